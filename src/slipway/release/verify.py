"""Verification of a release where it lies: signature, statement and every byte, from the public key alone.

It reads through the store's `list`, `read` and `open`, so a directory, a copy of it and an S3 prefix are
verified by the same lines. No network but the store's, no clock but for the expiry of a channel pointer.
"""

import shutil
from datetime import UTC, datetime
from pathlib import Path

from slipway.errors import Refusal
from slipway.files import sha256_bytes, sha256_file
from slipway.records import Record
from slipway.release import rendered, signature, statement, tombstone
from slipway.release.bundle import manifest
from slipway.release.pointer import pointer_key, read_pointer, release_prefix
from slipway.release.reader import Reader, stream_digest

MANIFEST = manifest.NAME
BESIDE = (MANIFEST, statement.NAME, signature.NAME)
"""Files of every release that the manifest does not list; with the pages that its statement asks for."""


class Verified(Record):
    """What was proved."""

    release: statement.Identity
    uri: str
    files: int
    bytes: int
    signed_by: str
    """sha256 of the public key's PEM."""


def listed_files(data: bytes, what: str = MANIFEST) -> dict[str, str]:
    """Path -> sha256 of the files a manifest lists; raises Refusal for anything but the manifest of a bundle."""
    listed = manifest.parse(data, what).files
    for name in (*BESIDE, *rendered.NAMES):
        if name in listed:
            raise Refusal(f"{what}: lists {name}, which is made at release and cannot be part of a bundle")
    return {path: entry.sha256 for path, entry in sorted(listed.items())}


def signed_files(store: Reader, prefix: str, public: bytes) -> dict[str, str]:
    """Path -> sha256 of every file of the release at `prefix` as signed; the signature itself is none of them.

    Raises:
        Refusal: if the signature does not hold. Whether the files do, `verify` says.
    """
    key = f"{prefix.strip('/')}/{signature.NAME}".lstrip("/")
    return signature.read(store.read(key)[0], public, f"{store.url}/{key}")


def verify(store: Reader, prefix: str, public: bytes, *, withdrawn: bool = False) -> Verified:
    """Check the release at `prefix` against `public` (PEM): nothing missing, nothing added, every byte as signed.

    Args:
        store: where it lies.
        prefix: of its keys.
        public: key that it must be signed with.
        withdrawn: a release with a tombstone is checked too, not refused for it.

    Raises:
        Refusal: naming the first file that does not hold, or the tombstone of a release that was withdrawn.
    """
    base = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
    uri = f"{store.url}/{base}".rstrip("/")
    present = {key.removeprefix(base): size for key, size in store.list(prefix).items()}
    for name in BESIDE:
        if name not in present:
            raise Refusal(f"{uri}/{name}: missing; this is no complete release")
    if present.pop(tombstone.NAME, None) is not None and not withdrawn:
        raise tombstone.refusal(store, base + tombstone.NAME, public)
    small = {name: store.read(base + name)[0] for name in BESIDE}
    signed = signature.read(small[signature.NAME], public, f"{uri}/{signature.NAME}")
    for name in (MANIFEST, statement.NAME):
        _compare(f"{uri}/{name}", sha256_bytes(small[name]), signed.get(name))
    identity, content = statement.read(small[statement.NAME], public, f"{uri}/{statement.NAME}")
    if identity.manifest_sha256 != sha256_bytes(small[MANIFEST]):
        raise Refusal(f"{uri}/{MANIFEST}: not the manifest that the statement was signed for")
    belongs = listed_files(small[MANIFEST], f"{uri}/{MANIFEST}")
    belongs |= {name: signed.get(name, "") for name in rendered.stated(content)}
    for name in sorted(present.keys() | signed.keys() | belongs.keys()):
        if name == signature.NAME:
            continue
        if name not in signed:
            raise Refusal(f"{uri}/{name}: not covered by the signature; it was added after signing")
        if name not in present:
            raise Refusal(f"{uri}/{name}: signed, but missing here")
        if name not in small:
            _compare(f"{uri}/{name}", belongs.get(name), signed[name])
            _compare(f"{uri}/{name}", stream_digest(store, base + name), signed[name])
    return Verified(
        release=identity, uri=uri, files=len(present), bytes=sum(present.values()), signed_by=sha256_bytes(public)
    )


def fetch(store: Reader, prefix: str, target: Path, public: bytes) -> Path:
    """Download the signed files of a release, and no others, into `target`, and return it.

    Raises:
        Refusal: if the signature does not hold, names a path outside the release, or a file is not as signed.
    """
    target = target.resolve()
    for name, digest in signed_files(store, prefix, public).items():
        path, key = (target / name).resolve(), f"{prefix}/{name}"
        if not path.is_relative_to(target):
            raise Refusal(f"{store.url}/{prefix}: its signature names {name!r}, which is not inside the release")
        path.parent.mkdir(parents=True, exist_ok=True)
        with store.open(key) as source, path.open("wb") as copy:
            shutil.copyfileobj(source, copy, 1 << 20)
        _compare(f"{store.url}/{key}", sha256_file(path), digest)
    (target / signature.NAME).write_bytes(store.read(f"{prefix}/{signature.NAME}")[0])
    return target


def _compare(what: str, found: str | None, expected: str | None) -> None:
    if found is None or found != expected:
        raise Refusal(f"{what}: sha256 is {found}, but {expected} was signed; the file was altered, do not use it")


def verify_channel(store: Reader, name: str, channel: str, public: bytes, now: datetime | None = None) -> Verified:
    """Follow a channel's pointer and check the release behind it.

    Raises:
        Refusal: for an expired pointer, one that does not fit its release, and as `verify` does.
    """
    try:
        pointer = read_pointer(store, name, channel, public)
    except FileNotFoundError:
        raise Refusal(
            f"{store.url}/{pointer_key(name, channel)}: the pointer is missing; nothing was released on this channel, "
            "or it was removed. `slipway release` writes it"
        ) from None
    if pointer.version is None:
        raise Refusal(
            f"{store.url}/{pointer_key(name, channel)}: names no release; what it named was withdrawn "
            f"({', '.join(pointer.withdrawn)}). Wait for the next release"
        )
    if datetime.fromisoformat(pointer.expires) < (now or datetime.now(UTC)):
        raise Refusal(
            f"{store.url}/{pointer_key(name, channel)}: expired {pointer.expires}; it may be an old copy. "
            "The publisher renews it with `slipway release`"
        )
    verified = verify(store, release_prefix(name, pointer.version), public)
    release = verified.release
    found = (release.name, release.version, release.sequence, release.manifest_sha256)
    if found != (name, pointer.version, pointer.sequence, pointer.manifest_sha256):
        raise Refusal(f"{verified.uri}: a signed release, but not the one that the channel names; do not use it")
    return verified
