"""Files from elsewhere, kept by content: `.slipway/inputs/<sha256>`.

A download goes to a name of its own and is moved to its digest when it is complete, so a kill leaves at most a
stray file, which the next download removes. One run of a project downloads at a time; a second one waits and finds
the files. What is kept is hashed again each time it is used.
"""

import fcntl
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from slipway.data.sources.wanted import Remote
from slipway.errors import Refusal, UserError
from slipway.files import Listed, sha256_file

SPARE = 1 << 30
"""Bytes that a download leaves free on the disk."""


class Downloads:
    """The kept files of one project; `note` gets bytes done, bytes in all and a label."""

    def __init__(
        self, root: Path, remotes: Mapping[str, Remote], note: Callable[[int, int, str], None] | None = None
    ) -> None:
        self._kept = root / ".slipway" / "inputs"
        self._remotes = remotes
        self._note = note or (lambda *_: None)

    def take(self, listed: Listed, remote: Remote, revision: str | None = None) -> str:
        """Fetch a file and keep it; returns its sha256."""
        with self._alone():
            return self._fetch(listed, remote, revision)

    def locked(self, listed: Listed, remote: Remote, revision: str | None = None) -> Path:
        """Where the file of the digest `listed.sha256` lies, fetched if need be.

        Raises:
            Refusal: if what is fetched has another digest; it is not kept under the one that was asked for.
        """
        place = self._kept / str(listed.sha256)
        if place.exists() and sha256_file(place) == listed.sha256:
            return place
        with self._alone():
            if place.exists() and sha256_file(place) == listed.sha256:
                return place  # by a run that was faster
            place.unlink(missing_ok=True)
            actual = self._fetch(listed, remote, revision)
        if actual != listed.sha256:
            raise Refusal(
                f"{listed.path}: what is there now has sha256 {actual}, but inputs.lock says {listed.sha256}; nothing "
                "was read. Find out who changed it; if the change is meant, accept it: slipway lock"
            )
        return place

    @contextmanager
    def _alone(self) -> Iterator[None]:
        self._kept.mkdir(parents=True, exist_ok=True)
        # The kernel lets go of the lock when its holder dies, however it dies.
        with (self._kept / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _fetch(self, listed: Listed, remote: Remote, revision: str | None) -> str:
        if (free := shutil.disk_usage(self._kept).free) < listed.bytes + SPARE:
            raise UserError(
                f"{listed.path}: has {listed.bytes:,} bytes, but {self._kept} has {free:,} free, of which "
                f"{SPARE:,} are left alone; make room there"
            )
        for stray in self._kept.glob(".part*"):  # also what the library of a killed run began
            if stray.is_dir():
                shutil.rmtree(stray)
            else:
                stray.unlink()
        part, done = self._kept / ".part", 0

        def note(more: int) -> None:
            nonlocal done
            done += more
            if done < listed.bytes:
                self._note(done, listed.bytes, listed.path)

        try:
            remote.fetch(listed, revision, part, note)
            sha256 = sha256_file(part)
            part.replace(self._kept / sha256)
        finally:
            part.unlink(missing_ok=True)
        self._note(listed.bytes, listed.bytes, listed.path)
        return sha256
