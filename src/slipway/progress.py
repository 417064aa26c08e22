"""How far work is, in the terminal or in a log."""

import os
import sys
import threading
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


class Transfer:
    """Bytes on their way: how many of how many, how fast, how long still. Shown once it takes a second.

    May be told of bytes by several threads; of a negative number when some have to go again.

        read back ███████████████░░░░░░░░░  63% 1.3 of 2.0 GB, 420 MB/s, 2 s left
    """

    def __init__(self, what: str, total: int) -> None:
        self._what, self._total, self._done = what, total, 0
        self._began, self._lock = time.monotonic(), threading.Lock()
        self._progress: Progress | None = None

    def __call__(self, count: int) -> None:
        with self._lock:
            self._done += count
            if self._done < self._total:
                self._show()

    def _show(self) -> None:
        seconds = time.monotonic() - self._began
        if seconds < 1 or not self._total:
            return
        self._progress = self._progress or Progress(self._what)
        rate = self._done / seconds
        left = f", {(self._total - self._done) / rate:.0f} s left" if 0 < self._done < self._total else ""
        amounts = f"{self._done / 1e9:.1f} of {self._total / 1e9:.1f} GB, {rate / 1e6:.0f} MB/s"
        self._progress(self._done, self._total, f"{amounts}{left}")

    def end(self) -> None:
        """Everything arrived; the last line stays if there was one before."""
        with self._lock:
            self._done = self._total
            if self._progress:
                self._show()
