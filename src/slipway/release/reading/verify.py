"""Verification of a release where it lies: signature, statement and every byte, from the public key alone.

It reads through the store's `list`, `read` and `open`, so a directory, a copy of it and an S3 prefix are
verified by the same lines. No network but the store's, no clock but for the expiry of a channel pointer.
The key may be one of before or after a rotation: the key log leads from it to the one that signed.
"""

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime

from slipway.errors import Refusal
from slipway.files import sha256_bytes
from slipway.records import Record
from slipway.release import rendered, statement
from slipway.release.bundle import manifest
from slipway.release.publishing.pointer import Pointer, pointer_key, read_pointer, release_prefix
from slipway.release.reading import hashing
from slipway.release.reading.reader import Reader
from slipway.release.signing import keyring, signature
from slipway.release.withdrawal import tombstone

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
    signed_at: str = ""
    """ISO 8601, as the publisher's machine said; signed, not proved."""
    key_events: int = 0
    """Events of the key log that were followed from the key given."""
    certificate: str | None = None
    """Whom an authority vouches for, where the release was verified by a certificate."""
    gate: str = ""
    """The gate's verdict, as signed; empty for releases that state none."""
    approvals: str = ""
    """Who approved, as signed."""
    commit: str | None = None
    """Git commit of the build, as signed."""
    dirty: bool | None = None
    """Whether tracked files differed from it."""


def listed_files(data: bytes, what: str = MANIFEST) -> dict[str, str]:
    """Path -> sha256 of the files a manifest lists; raises Refusal for anything but the manifest of a bundle."""
    listed = manifest.parse(data, what).files
    for name in (*BESIDE, *rendered.NAMES):
        if name in listed:
            raise Refusal(f"{what}: lists {name}, which is made at release and cannot be part of a bundle")
    return {path: entry.sha256 for path, entry in sorted(listed.items())}


def signed_files(store: Reader, prefix: str, public: bytes, log: Sequence[bytes] = ()) -> dict[str, str]:
    """Path -> sha256 of every file of the release at `prefix` as signed; the signature itself is none of them.

    Raises:
        Refusal: if the signature does not hold, or its key does not count. Whether the files do, `verify` says.
    """
    key = f"{prefix.strip('/')}/{signature.NAME}".lstrip("/")
    data, what = store.read(key)[0], f"{store.url}/{key}"
    return _signed(keyring.of_release(store, prefix, public, log), data, what)[0]


def _signed(ring: keyring.Keyring, data: bytes, what: str) -> tuple[dict[str, str], bytes]:
    """Path -> sha256 as a model signature says, and the key of the ring that made it."""
    hint = signature.signed_by(data, what)
    key = ring.pick(hint)
    if sha256_bytes(key) != hint:
        raise Refusal(
            f"{what}: the signature does not fit the public key given: it names key {hint[:16]!a}…, but key "
            f"{sha256_bytes(key)[:16]}… was given; altered, or signed by another. If the publisher changed the key, "
            "give the key log too: --keys (docs/keys.md)"
        )
    signed = signature.read(data, key, what)
    ring.permit(key, sha256_bytes(data), what)
    return signed, key


def verify(
    store: Reader, prefix: str, public: bytes, *, withdrawn: bool = False, log: Sequence[bytes] = ()
) -> Verified:
    """Check the release at `prefix` against `public` (PEM): nothing missing, nothing added, every byte as signed.

    Args:
        store: where it lies; its key log is followed.
        prefix: of its keys.
        public: a key of the publisher, that signs now, did or will (`slipway.release.signing.keyring`).
        withdrawn: a release with a tombstone is checked too, not refused for it.
        log: a copy of the key log from elsewhere, for a bare directory.

    Raises:
        Refusal: naming the first file that does not hold, or the tombstone of a release that was withdrawn.
    """
    base = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
    uri = f"{store.url}/{base}".rstrip("/")
    present = {key.removeprefix(base): size for key, size in store.list(prefix).items()}
    check_names(uri, present)
    for name in BESIDE:
        if name not in present:
            raise Refusal(f"{uri}/{name}: missing; this is no complete release")
    ring = keyring.of_release(store, prefix, public, log)
    if present.pop(tombstone.NAME, None) is not None and not withdrawn:
        raise tombstone.refusal(store, base + tombstone.NAME, ring)
    small = {name: _present(store, base + name) for name in BESIDE}
    signed, signer = _signed(ring, small[signature.NAME], f"{uri}/{signature.NAME}")
    for name in (MANIFEST, statement.NAME):
        _compare(f"{uri}/{name}", sha256_bytes(small[name]), signed.get(name))
    identity, content = statement.read(small[statement.NAME], signer, f"{uri}/{statement.NAME}")
    if identity.manifest_sha256 != sha256_bytes(small[MANIFEST]):
        raise Refusal(f"{uri}/{MANIFEST}: not the manifest that the statement was signed for")
    belongs = listed_files(small[MANIFEST], f"{uri}/{MANIFEST}")
    belongs |= {name: signed.get(name, "") for name in rendered.stated(content)}
    _complete(uri, present.keys(), signed, belongs)
    rest = {base + name: present[name] for name in sorted(signed.keys() - small.keys())}
    try:
        for key, found in hashing.digests(store, rest):
            _compare(f"{store.url}/{key}", found, signed[key.removeprefix(base)])
    except FileNotFoundError as error:
        raise _gone(str(error)) from None
    return Verified(
        release=identity,
        uri=uri,
        files=len(present),
        bytes=sum(present.values()),
        signed_by=sha256_bytes(signer),
        key_events=len(ring.events),
        **statement.summary(content),
    )


def check_names(uri: str, names: Iterable[str]) -> None:
    """Refuse names that would write something else into a terminal, such as the lines of a release that verified."""
    for name in names:
        if not name.isprintable():
            raise Refusal(f"{uri}: holds {name!a}, a name with control characters; do not use it")


def _present(store: Reader, key: str) -> bytes:
    """A small object that was listed."""
    try:
        return store.read(key)[0]
    except FileNotFoundError as error:
        raise _gone(str(error)) from None


def _gone(what: str) -> Refusal:
    return Refusal(f"{what}: listed, but not there when it was read; the release changes, or its store hides it")


def _complete(uri: str, present: AbstractSet[str], signed: Mapping[str, str], belongs: Mapping[str, str]) -> None:
    """That files, signature and manifest speak of the same names, each with one digest."""
    folded: dict[str, str] = {}
    for name in sorted(present | signed.keys() | belongs.keys()):
        if name == signature.NAME:
            continue
        if name not in signed:
            raise Refusal(f"{uri}/{name}: not covered by the signature; it was added after signing")
        if name not in present:
            raise Refusal(f"{uri}/{name}: signed, but missing here")
        if name not in (MANIFEST, statement.NAME):
            _compare(f"{uri}/{name}", belongs.get(name), signed[name])
        twin = folded.setdefault(unicodedata.normalize("NFC", name).casefold(), name)
        if twin != name:
            raise Refusal(f"{uri}/{name}: one file with {twin} on systems that do not tell case; do not use it")


def _compare(what: str, found: str | None, expected: str | None) -> None:
    if found is None or found != expected:
        raise Refusal(f"{what}: sha256 is {found}, but {expected} was signed; the file was altered, do not use it")


def verify_channel(
    store: Reader, name: str, channel: str, public: bytes, now: datetime | None = None, *, log: Sequence[bytes] = ()
) -> Verified:
    """Follow a channel's pointer and check the release behind it.

    Raises:
        Refusal: for an expired pointer, one that does not fit its release, and as `verify` does.
    """
    try:
        pointer = read_pointer(store, name, channel, public, log)
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
    return verify_named(store, pointer, public, log=log)


def verify_named(store: Reader, pointer: Pointer, public: bytes, *, log: Sequence[bytes] = ()) -> Verified:
    """Check the release that a pointer, checked itself, names; raises Refusal if it is another one, or as `verify`."""
    verified = verify(store, release_prefix(pointer.name, str(pointer.version)), public, log=log)
    release = verified.release
    found = (release.name, release.version, release.sequence, release.manifest_sha256)
    if found != (pointer.name, pointer.version, pointer.sequence, pointer.manifest_sha256):
        raise Refusal(f"{verified.uri}: a signed release, but not the one that the channel names; do not use it")
    return verified
