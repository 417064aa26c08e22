"""One attempt at training, written down while it runs, so that a killed one counts as well.

A thread rewrites the attempt's file every few seconds; the loop only adds to counters. `slipway.records.ledger`
reads and sums the files.
"""

import os
import secrets
import socket
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import psutil

from slipway.errors import UserError
from slipway.files import write_atomic
from slipway.model.energy import Meter
from slipway.records.ledger import INTERVAL, AttemptRecord, Outcome


class Attempt:
    """An entry of the ledger: begun, added to, ended."""

    def __init__(self, path: Path, record: AttemptRecord, meter: Meter, covered: str, interval: float) -> None:
        self.path = path
        self._record, self._meter, self._covered = record, meter, covered
        self._tokens = self._flops = 0
        self._began = time.monotonic()
        self._writing, self._over = threading.Lock(), threading.Event()
        self._thread = threading.Thread(target=self._keep, args=(interval,), name="ledger", daemon=True)

    @classmethod
    def begin(
        cls,
        folder: Path,
        *,
        key: str,
        recipe: str,
        device: str,
        devices: int,
        peak_flops: float | None,
        interval: float = INTERVAL,
    ) -> "Attempt":
        """Open an entry; of a job of several processes only the first does.

        Args:
            folder: `.slipway/ledger` of the project.
            key: names settings, data and code of the run.
            recipe: its name.
            device: kind of device, e.g. `cpu AVX2` or `cuda NVIDIA H100`.
            devices: of the whole job.
            peak_flops: measured, per second, of all devices together.
            interval: seconds between two writes.

        Raises:
            UserError: if the file cannot be written.
        """
        here = min(devices, int(os.environ.get("LOCAL_WORLD_SIZE", "1")))
        meter = Meter.start(device.split(maxsplit=1)[0], here)
        now = datetime.now(UTC)
        record = AttemptRecord(
            key=key,
            recipe=recipe,
            began=now.isoformat(timespec="seconds"),
            host=socket.gethostname(),
            pid=os.getpid(),
            started=psutil.Process().create_time(),
            device=device,
            devices=devices,
            seconds=0.0,
            tokens=0,
            flops=0,
            peak_flops=peak_flops,
            energy_joules=None,
            energy_method=meter.method,
            outcome="running",
            step=None,
        )
        covered = f"; the first machine only, {here} of {devices} devices" if here < devices else ""
        path = folder / f"{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}.json"
        attempt = cls(path, record, meter, covered, interval)
        try:
            attempt._write("running", None)
        except OSError as error:
            raise UserError(
                f"{folder}: the ledger cannot be written ({error.strerror}); make room or set its rights"
            ) from None
        attempt._thread.start()
        return attempt

    def add(self, tokens: int, flops: int) -> None:
        """A step was done."""
        self._tokens += tokens
        self._flops += flops

    def end(self, outcome: Literal["finished", "failed", "interrupted"], step: int) -> None:
        """Close the entry: how it ended, and at which step of the run."""
        self._over.set()
        self._thread.join()
        self._try_to_write(outcome, step)

    def _keep(self, interval: float) -> None:
        while not self._over.wait(interval):
            self._try_to_write("running", None)

    def _try_to_write(self, outcome: Outcome, step: int | None) -> None:
        try:
            self._write(outcome, step)
        except OSError as error:
            # What was trained is worth more than the entry about it, which is written again in a moment.
            print(f"ledger: {self.path} could not be written: {error.strerror}", file=sys.stderr, flush=True)

    def _write(self, outcome: Outcome, step: int | None) -> None:
        with self._writing:
            joules = self._meter.joules()
            changes = {
                "seconds": time.monotonic() - self._began,
                "tokens": self._tokens,
                "flops": self._flops,
                "energy_joules": joules,
                "energy_method": self._meter.method + (self._covered if joules is not None else ""),
                "outcome": outcome,
                "step": step,
            }
            self._record = self._record.model_copy(update=changes)
            write_atomic(self.path, self._record.to_json())
