"""Fetching a release: the pointer, the signature, then every byte into a folder beside, which gets its name at last.

Nobody ever meets half a release under the name that was asked for. What lies there already is used again where its
bytes are right; an interrupted fetch is taken up. Withdrawn, expired, replayed and rolled-back releases are refused.
"""

import os
import shutil
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Literal

from slipway.errors import Refusal, UserError
from slipway.files import sha256_bytes
from slipway.records import Record
from slipway.release import memory, signature, tombstone, verify
from slipway.release.bundle import manifest
from slipway.release.download import Download, Wanted
from slipway.release.pointer import Pointer, release_prefix
from slipway.release.reader import Reader


class Fetched(Record):
    """What was fetched, and what that took."""

    name: str
    version: str
    sequence: int
    manifest_sha256: str
    channel: str | None
    """That named it; None if it was asked for by its version."""
    directory: str
    state: Literal["new", "changed", "unchanged"]
    """Of the directory."""
    files: int
    bytes: int
    sent: int
    """Bytes that came from the store now."""
    taken_up: int
    """Bytes that an interrupted attempt had brought."""
    reused: int
    """Bytes that lay here."""
    seconds: float
    signed_by: str


class Placed:
    """A store in which one release is replaced by its copy in a directory, so that the copy is verified as if there."""

    def __init__(self, store: Reader, prefix: str, directory: Path) -> None:
        self._store, self._prefix, self._directory = store, f"{prefix}/", directory
        self.url = store.url

    def _path(self, key: str) -> Path | None:
        return self._directory / key.removeprefix(self._prefix) if key.startswith(self._prefix) else None

    def list(self, prefix: str = "") -> dict[str, int]:
        """As of a store."""
        if f"{prefix.rstrip('/')}/" != self._prefix:
            return self._store.list(prefix)
        return {self._prefix + name: path.stat().st_size for name, path in manifest.entries(self._directory).items()}

    def read(self, key: str) -> tuple[bytes, str]:
        """As of a store."""
        if (path := self._path(key)) is None:
            return self._store.read(key)
        data = path.read_bytes()
        return data, sha256_bytes(data)

    def open(self, key: str) -> BinaryIO:
        """As of a store."""
        path = self._path(key)
        return self._store.open(key) if path is None else path.open("rb")


def fetch(
    store: Reader,
    name: str,
    version: str | None,
    target: Path,
    public: bytes,
    *,
    channel: str,
    progress: Callable[[int, int], None] = lambda *_: None,
    now: datetime | None = None,
) -> Fetched:
    """Bring a release into the directory `target`, which holds it, whole and verified, or is as it was.

    Args:
        store: where it lies.
        name: of the release.
        version: None for what the channel names.
        target: absent, empty, or an earlier fetch of a release of this name.
        public: key that it must be signed with.
        channel: asked if there is no version.
        progress: told bytes done and bytes in all.
        now: for tests.

    Raises:
        UserError: if there is no such release, or no room for it.
        Refusal: if it may not be used, or is not as signed; or `target` holds something else.
    """
    began = time.monotonic()
    pointers = _asked(store, name, version, public, channel=channel, now=now)
    wanted_version = version or str(pointers[0].version)
    prefix = release_prefix(name, wanted_version)
    small, wanted = plan(store, prefix, public)
    if version is None and sha256_bytes(small[manifest.NAME]) != pointers[0].manifest_sha256:
        raise Refusal(f"{store.url}/{prefix}: a signed release, but not the one that the channel names; do not use it")
    held = _held(store, target, name, public)
    with _workplace(target) as work:
        done, total = 0, sum(file.bytes for file in wanted)

        def told(count: int) -> None:
            nonlocal done
            done += count
            progress(min(done, total), total)

        _room(target, wanted, held)
        download = Download(store, work, told)
        tally = download.run(wanted, held)
        (download.tree / signature.NAME).write_bytes(small[signature.NAME])
        verified = verify.verify(Placed(store, prefix, download.tree), prefix, public)
        found = verified.release
        if (found.name, found.version) != (name, wanted_version):
            raise Refusal(f"{verified.uri}: signed as {found.name} {found.version}; someone copied it here")
        if version is None and found.sequence != pointers[0].sequence:
            raise Refusal(f"{verified.uri}: a signed release, but not the one that the channel names; do not use it")
        state = _swap(download.tree, target, work)
    memory.note(store, public, *pointers)
    return Fetched(
        **found.model_dump(include={"name", "version", "sequence", "manifest_sha256"}),
        channel=None if version else channel,
        directory=str(target),
        state=state,
        files=verified.files,
        bytes=verified.bytes,
        **tally._asdict(),
        seconds=round(time.monotonic() - began, 2),
        signed_by=verified.signed_by,
    )
