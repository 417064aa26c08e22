"""Fetching a release: the pointer, the signature, then every byte into a folder beside, which gets its name at last.

Nobody ever meets half a release under the name that was asked for. What lies there already is used again where its
bytes are right; an interrupted fetch is taken up. Withdrawn, expired, replayed and rolled-back releases are refused.
"""

import contextlib
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from slipway.errors import Refusal, UserError
from slipway.files import sha256_bytes
from slipway.records import Record
from slipway.release.bundle import manifest
from slipway.release.publishing.pointer import release_prefix
from slipway.release.reading import landing, memory, verify
from slipway.release.reading.download import Download, Wanted
from slipway.release.reading.reader import Reader
from slipway.release.signing import signature
from slipway.release.withdrawal import tombstone

SMALL = 64 << 20
"""Most bytes of a file that the manifest does not list."""


class Fetched(Record):
    """What was fetched, and what that took."""

    name: str
    version: str
    sequence: int
    manifest_sha256: str
    channel: str | None
    """That named it; None if it was asked for by its version."""
    directory: str
    state: landing.State
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
    target: Path | Callable[[str], Path],
    public: bytes,
    *,
    channel: str,
    beside: Iterable[Path] = (),
    begin: Callable[[int], Callable[[int], None]] = lambda _: lambda _: None,
    now: datetime | None = None,
) -> Fetched:
    """Bring a release into the directory `target`, which holds it, whole and verified, or is as it was.

    Args:
        store: where it lies.
        name: of the release.
        version: None for what the channel names.
        target: absent, empty, or an earlier fetch of a release of this name; or what gives it for a version.
        public: key that it must be signed with.
        channel: asked if there is no version.
        beside: other directories; those that hold releases of this name are read from before the store is.
        begin: given the bytes in all; what it returns is told of bytes as they arrive, by many threads.
        now: for tests.

    Raises:
        UserError: if there is no such release, or no room for it.
        Refusal: if it may not be used, or is not as signed; or `target` holds something else.
    """
    began = time.monotonic()
    asked = memory.ask(store, name, version, public, channel=channel, now=now)
    named = None if version else asked.pointers[0]
    which = version or str(asked.pointers[0].version)
    prefix, target = release_prefix(name, which), target if isinstance(target, Path) else target(which)
    wanted, sealed = plan(store, prefix, public, asked.log)
    if named and named.manifest_sha256 not in {file.sha256 for file in wanted if file.path == manifest.NAME}:
        raise _another(store, prefix)
    here = _here(store, target, name, public, beside=beside)
    with landing.workplace(target) as work:
        landing.room(target, wanted, work, here)
        download = Download(store, work, begin(sum(file.bytes for file in wanted)))
        tally = download.run(wanted, here, own=target)
        (download.tree / signature.NAME).write_bytes(sealed)
        verified = _proved(store, prefix, download.tree, public, log=asked.log)
        found = verified.release
        if named and named.sequence != found.sequence:
            raise _another(store, prefix)
        state = landing.land(download.tree, target, work)
    memory.note(store, public, *asked.pointers)
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


def _proved(store: Reader, prefix: str, tree: Path, public: bytes, *, log: Sequence[bytes]) -> verify.Verified:
    """That what was fetched into `tree` is the release at `prefix`, every byte, and was not withdrawn meanwhile."""
    verified = verify.verify(Placed(store, prefix, tree), prefix, public, log=log)
    if release_prefix(verified.release.name, verified.release.version) != prefix:
        raise _another(store, prefix)
    if tombstone.exists(store, prefix):  # a large release takes its time
        raise _withdrawn(store, prefix, public)
    return verified


def plan(store: Reader, prefix: str, public: bytes, log: Sequence[bytes] = ()) -> tuple[list[Wanted], bytes]:
    """The signed files of the release at `prefix`, and the signature's own bytes; no content was read.

    Raises:
        UserError: if there is none.
        Refusal: if it was withdrawn, its signature does not hold, or more or less lies there than was signed.
    """
    uri = f"{store.url}/{prefix}"
    present = {key.removeprefix(f"{prefix}/"): size for key, size in store.list(prefix).items()}
    verify.check_names(uri, present)
    if not present:
        raise UserError(f"{uri}: no such release; `slipway releases` lists those that there are")
    if tombstone.NAME in present:
        raise _withdrawn(store, prefix, public)
    for name in (signature.NAME, manifest.NAME):
        if name not in present:
            raise Refusal(f"{uri}/{name}: missing; this is no complete release")
    sealed = store.read(f"{prefix}/{signature.NAME}")[0]
    signed = verify.signed_files(store, prefix, public, log)
    if unlike := sorted((present.keys() - {signature.NAME}) ^ signed.keys()):
        why = "signed, but missing here" if unlike[0] in signed else "not covered by the signature; it was added later"
        raise Refusal(f"{uri}/{unlike[0]}: {why}")
    for path in signed:
        if path.startswith("/") or "\\" in path or {"", ".", ".."} & set(path.split("/")):
            raise Refusal(f"{uri}: its signature names {path!r}, which is not inside the release")
    sizes = {path: entry.bytes for path, entry in _manifest(store, prefix, signed).files.items()}
    for path, size in present.items():
        # What the manifest does not list is small; a store that says otherwise must not fill the disk.
        if size != sizes.get(path, min(size, SMALL)):
            raise Refusal(f"{uri}/{path}: {size:,} bytes, but {sizes.get(path, SMALL):,} were signed; do not use it")
    files = [Wanted(path, digest, present[path], f"{prefix}/{path}") for path, digest in sorted(signed.items())]
    return files, sealed


def _manifest(store: Reader, prefix: str, signed: dict[str, str]) -> manifest.Manifest:
    key = f"{prefix}/{manifest.NAME}"
    data = store.read(key)[0]
    if (found := sha256_bytes(data)) != signed[manifest.NAME]:
        raise Refusal(f"{store.url}/{key}: sha256 is {found}, but {signed[manifest.NAME]} was signed; do not use it")
    return manifest.parse(data, f"{store.url}/{key}")


def _here(store: Reader, target: Path, name: str, public: bytes, *, beside: Iterable[Path]) -> dict[str, list[Path]]:
    """sha256 -> files that were signed with it, at `target` (which must be ours to replace) and in `beside`."""
    found = landing.held(target, name, _signed(target, store, public))
    for other in beside:
        with contextlib.suppress(Refusal, PermissionError):  # what lies there is no release of ours, and offers nothing
            held = landing.held(other, name, _signed(other, store, public)) if other != target else {}
            found = {digest: [*found.get(digest, ()), *held.get(digest, ())] for digest in {*found, *held}}
    return found


def _signed(target: Path, store: Reader, public: bytes) -> dict[str, str] | None:
    """Path -> sha256 by the signature that lies in `target`; None if there is none that holds."""
    if not (target / signature.NAME).is_file():
        return None
    try:
        # Under a release's name, so that the key log of the store is followed.
        prefix = release_prefix("here", "here")
        return verify.signed_files(Placed(store, prefix, target), prefix, public)
    except Refusal:
        return None


def _withdrawn(store: Reader, prefix: str, public: bytes) -> Refusal:
    """What the tombstone says, which is remembered; one that does not hold forbids the release all the same."""
    try:
        found = tombstone.at(store, prefix, public)
    except Refusal as fault:
        return Refusal(f"{fault}. Do not use this release until its publisher has explained it")
    if found is None:
        return Refusal(f"{store.url}/{prefix}: changes while it is read; try again")
    memory.note_withdrawn(found, public)
    return tombstone.said(found, f"{store.url}/{tombstone.key_of(prefix)}")


def _another(store: Reader, prefix: str) -> Refusal:
    return Refusal(f"{store.url}/{prefix}: a signed release, but not the one that was asked for; do not use it")
