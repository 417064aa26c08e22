"""How far a release got: one JSON line per event, flushed to disk before the next step begins.

The journal under `.slipway/releases/<bundle digest>/` is the truth; the state that Prefect shows is advice. A line
that a crash cut short counts as not written.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from slipway.errors import Refusal, UserError
from slipway.files import write_atomic

WAIT = 600.0
"""Seconds that a second release waits for the first."""


@dataclass(frozen=True)
class Journal:
    """The journal of one bundle's release."""

    folder: Path
    """Holds the journal and what the steps leave for each other."""

    @classmethod
    def of(cls, root: Path, bundle_digest: str) -> "Journal":
        """The journal for a bundle in the project at `root`."""
        return cls(root / ".slipway" / "releases" / bundle_digest)

    @property
    def path(self) -> Path:
        return self.folder / "journal.jsonl"

    def entries(self) -> list[dict[str, Any]]:
        """All complete lines, oldest first; raises Refusal if one before the last cannot be read."""
        if not self.path.exists():
            return []
        lines = self.path.read_bytes().split(b"\n")
        found = []
        for number, line in enumerate(lines[:-1], start=1):  # what follows the last newline was cut by a crash
            try:
                found.append(json.loads(line))
            except ValueError:
                raise Refusal(
                    f"{self.path}:{number}: not readable; restore it or remove the file to start over"
                ) from None
        return found

    def done(self, step: str) -> dict[str, Any] | None:
        """Result of `step` if it was finished and not begun again since, or None."""
        events = [entry for entry in self.entries() if entry["step"] == step]
        return events[-1]["result"] if events and events[-1]["event"] == "done" else None

    def write(self, step: str, event: str, result: dict[str, Any] | None = None) -> None:
        """Append a line and flush it to disk."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._mend()
        time = datetime.now(UTC).isoformat(timespec="milliseconds")
        line = json.dumps({"event": event, "pid": os.getpid(), "result": result, "step": step, "time": time})
        with self.path.open("ab") as stream:
            stream.write(line.encode() + b"\n")
            stream.flush()
            os.fsync(stream.fileno())

    def _mend(self) -> None:
        """Cut off a torn last line, so that the next one is readable."""
        if not self.path.exists():
            return
        whole = self.path.read_bytes()
        if whole and not whole.endswith(b"\n"):
            write_atomic(self.path, whole[: whole.rfind(b"\n") + 1])


@contextmanager
def release_lock(root: Path, wait: float = WAIT) -> Iterator[None]:
    """Hold the project's release lock; a second release says who has it and waits `wait` seconds.

    The operating system frees the lock when its holder dies.

    Raises:
        UserError: naming the holder's process id, if the wait was in vain.
    """
    from filelock import FileLock, Timeout

    folder = root / ".slipway"
    folder.mkdir(exist_ok=True)
    holder = folder / "release.holder"
    lock = FileLock(folder / "release.lock")

    def who() -> str:
        return holder.read_text().strip() if holder.exists() else "unknown"

    try:
        try:
            lock.acquire(timeout=0)
        except Timeout:
            print(f"release: process {who()} is releasing; waiting up to {wait:.0f} s", flush=True)
            lock.acquire(timeout=wait)
    except Timeout:
        raise UserError(f"process {who()} has held {lock.lock_file} for {wait:.0f} s; wait for it or end it") from None
    try:
        write_atomic(holder, f"{os.getpid()}\n")
        yield
    finally:
        lock.release()
