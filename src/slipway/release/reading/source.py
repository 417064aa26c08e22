"""Releases of the store as inputs: `release://NAME@VERSION`, or `release://NAME` for what the channel points at.

Nothing of a release is listed or fetched before it was verified: signature, statement and every byte. `slipway lock`
pins version and manifest digest, so a build takes that very release, wherever the channel points by then.

    >>> releases = Releases(lambda: LocalStore(".slipway/store"), lambda: public_pem, channel="stable")
    >>> releases.listing("release://pydocs", (".safetensors",)).revision
    'v1@sha256:b35359f3e8dc…'
"""

import re
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from pathlib import Path

from slipway.errors import Refusal, UserError
from slipway.files import Listed, Listing
from slipway.release.publishing.pointer import release_prefix
from slipway.release.reading import memory, verify
from slipway.release.reading.reader import Reader
from slipway.release.reading.verify import Verified
from slipway.release.statement import Identity

SCHEME = "release://"
BLOCK = 1 << 20
_REFERENCE = re.compile(r"([a-z0-9][a-z0-9._-]{0,62})(?:@([A-Za-z0-9_][A-Za-z0-9._-]*))?")
_FILE = re.compile(r"release://([a-z0-9][a-z0-9._-]{0,62})/(.+)")
_REVISION = re.compile(r"([A-Za-z0-9_][A-Za-z0-9._-]*)@sha256:([0-9a-f]{64})")


class Releases:
    """Reads releases of one store; never writes. Store and key are asked for only when a release is."""

    def __init__(
        self, store: Callable[[], Reader], public: Callable[[], bytes], channel: str, *, log: Sequence[bytes] = ()
    ) -> None:
        """Set it up.

        Args:
            store: opens the store.
            public: gives the PEM of a key of the publisher's; the key log leads from it to the one that signed.
            channel: that a name without a version is looked up in.
            log: a copy of the publisher's key log from elsewhere.
        """
        self._open, self._key, self._channel, self._log = store, public, channel, log
        self._known: dict[tuple[str, str], tuple[str, dict[str, str]]] = {}

    @cached_property
    def _store(self) -> Reader:
        return self._open()

    @cached_property
    def _public(self) -> bytes:
        return self._key()

    def find(self, reference: str) -> Verified:
        """The release `NAME@VERSION`, or the one that the channel points at for `NAME`; verified, all of it.

        Raises:
            UserError: if the reference names no release.
            Refusal: if the channel is expired or points at nothing, or a byte is not as signed.
        """
        if not (parts := _REFERENCE.fullmatch(reference)):
            raise UserError(f"{reference}: names no release; write NAME or NAME@VERSION")
        name, version = parts[1], parts[2]
        asked = memory.ask(self._store, name, version, self._public, channel=self._channel, log=self._log)
        if version is None:
            found = verify.verify_named(self._store, asked.pointers[0], self._public, log=asked.log)
        else:
            found = verify.verify(self._store, release_prefix(name, version), self._public, log=asked.log)
        if name != found.release.name or (version and version != found.release.version):
            raise Refusal(
                f"{found.uri}: signed as {found.release.name} {found.release.version}; someone copied it here"
            )
        memory.note(self._store, self._public, *asked.pointers)
        return found

    def listing(self, path: str, suffixes: tuple[str, ...]) -> Listing:
        """The files of a verified release, and its version with its manifest digest as the revision.

        Raises:
            UserError: and Refusal, as `find`.
        """
        release = self.find(path.removeprefix(SCHEME)).release
        name, version = release.name, release.version
        prefix = f"{release_prefix(name, version)}/"
        _, signed = self._verified(release)
        sizes = {key.removeprefix(prefix): size for key, size in self._store.list(prefix).items()}
        files = [
            Listed(f"{SCHEME}{name}/{file}", sizes[file], sha256)
            for file, sha256 in sorted(signed.items())
            if file.endswith(suffixes)
        ]
        return Listing(tuple(files), f"{version}@sha256:{release.manifest_sha256}")

    def fetch(self, file: Listed, revision: str | None, target: Path, note: Callable[[int], None]) -> None:
        """Write a file of the release `revision` to `target`, once all of that release was verified.

        Raises:
            Refusal: if the release is not the one that was pinned, or a byte is not as signed.
        """
        name, inside = _parts(file.path)
        version, signed = self._pinned(file.path, name, revision)
        if signed.get(inside) != file.sha256:
            raise _unlike(file.path, version, file.sha256, signed.get(inside))
        with self._store.open(f"{release_prefix(name, version)}/{inside}") as source, target.open("wb") as copy:
            while block := source.read(BLOCK):
                copy.write(block)
                note(len(block))

    def confirm(self, files: Iterable[tuple[str, str, str | None]]) -> None:
        """That files which were fetched once are what their release holds, and the release is as signed.

        Args:
            files: address, sha256 and revision of each; those of other schemes are passed over.

        Raises:
            Refusal: naming the first that is not.
        """
        for path, sha256, revision in files:
            if path.startswith(SCHEME):
                name, inside = _parts(path)
                version, signed = self._pinned(path, name, revision)
                if signed.get(inside) != sha256:
                    raise _unlike(path, version, sha256, signed.get(inside))

    def _verified(self, release: Identity) -> tuple[str, dict[str, str]]:
        """Manifest digest, and path -> sha256 of the signed files, of a release that `find` gave."""
        prefix = release_prefix(release.name, release.version)
        signed = verify.signed_files(self._store, prefix, self._public, self._log)
        if signed.get(verify.MANIFEST) != release.manifest_sha256:
            raise Refusal(f"{self._store.url}/{prefix}: changed while it was read; do not use it")
        self._known[release.name, release.version] = release.manifest_sha256, signed
        return release.manifest_sha256, signed

    def _pinned(self, path: str, name: str, revision: str | None) -> tuple[str, dict[str, str]]:
        """Version of the release that `revision` pins, and its signed files."""
        if not (pin := _REVISION.fullmatch(revision or "")):
            raise Refusal(f"{path}: not pinned to a release ({revision}); pin it: slipway lock")
        # Each release is read once.
        manifest, signed = self._known.get((name, pin[1])) or self._verified(self.find(f"{name}@{pin[1]}").release)
        if manifest != pin[2]:
            raise Refusal(
                f"{path}: release {pin[1]} has the manifest {manifest}, but inputs.lock pins {pin[2]}; nothing was "
                "read. A version is written once: find out who changed it; if the change is meant: slipway lock"
            )
        return pin[1], signed


def _parts(path: str) -> tuple[str, str]:
    """Name of the release and path inside it."""
    if not (parts := _FILE.fullmatch(path)):
        raise Refusal(f"{path}: no file of a release; write inputs.lock again: slipway lock")
    return parts[1], parts[2]


def _unlike(path: str, version: str, asked: str | None, signed: str | None) -> Refusal:
    return Refusal(
        f"{path}: release {version} signed sha256 {signed} for it, but inputs.lock says {asked}; nothing was read. "
        "Pin it again: slipway lock"
    )
