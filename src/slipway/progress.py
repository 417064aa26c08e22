"""How far work is, in the terminal or in a log."""

import os
import sys
import time


class Progress:
    """Shows how far a piece of work is: a line that redraws in a terminal, one every 5 s elsewhere."""

    def __init__(self, stage: str) -> None:
        # Under `slipway build` every line carries the stage's name already.
        self._name = "" if os.environ.get("SLIPWAY_SUPERVISOR_PID") else f"{stage} "
        self._last = 0.0

    def __call__(self, done: int, total: int, note: str = "") -> None:
        now, final = time.monotonic(), done >= total
        if now - self._last < (0.1 if sys.stdout.isatty() else 5.0) and not final:
            return
        self._last = now
        share = done / max(total, 1)
        bar = "█" * int(24 * share) + "░" * (24 - int(24 * share))
        line = f"{self._name}{bar} {share:4.0%} {note}".rstrip()
        if sys.stdout.isatty():
            print(f"\r\x1b[2K{line}", end="\n" if final else "", flush=True)
        else:
            print(line, flush=True)
