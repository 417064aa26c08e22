"""Publishing: a version is claimed, every file written once and read back, then the channel moves.

Claims under `claims/<name>/` are numbered and create-only, so they form a log: whoever writes number n has
read 1 … n-1. That alone decides which bundle owns a version, however many publishers race. The files follow, the
manifest last; a reader who starts at the channel never meets half a release. A rerun continues where a crash
left off.
"""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

from slipway.errors import Refusal, UserError
from slipway.files import sha256_bytes, sha256_file
from slipway.records import Record
from slipway.release import signature, statement
from slipway.release.envelope import seal
from slipway.release.keys import public_pem
from slipway.release.verify import (
    MANIFEST,
    POINTER,
    Pointer,
    Reader,
    listed_files,
    pointer_key,
    read_pointer,
    release_prefix,
    stream_digest,
)

RACES = 100
"""Lost races in a row after which something else must be wrong."""


class Store(Reader, Protocol):
    """What publishing asks of a store beyond reading; `slipway.adapters.store` has two of them."""

    def create(self, key: str, content: bytes | Path) -> None: ...
    def copy(self, source: str, key: str) -> None: ...
    def swap(self, key: str, content: bytes, tag: str | None) -> bool: ...


class Claim(Record):
    """A version that belongs to a bundle, and to no other ever after."""

    name: str
    version: str
    sequence: int
    manifest_sha256: str


class Published(Record):
    """What publishing did."""

    uri: str
    sent: int
    """Files sent."""
    sent_bytes: int
    copied: int
    """Files copied inside the store from the release before."""
    present: int
    """Files that an earlier attempt had brought there."""
    pointer: str
    """What became of the channel: `moved`, `renewed`, `unchanged`, or `superseded` by a later release."""


def claims(store: Reader, name: str) -> list[Claim]:
    """All claims of a name, by sequence."""
    found = [Claim.model_validate_json(store.read(key)[0]) for key in store.list(f"claims/{name}")]
    return sorted(found, key=lambda claim: claim.sequence)


def claim_version(store: Store, name: str, version: str, manifest_sha256: str) -> Claim:
    """Give the bundle a version: the one it already has, else `version`, where `auto` is `v<sequence>`.

    Raises:
        Refusal: if the version belongs to another bundle.
    """
    for _ in range(RACES):
        taken = claims(store, name)
        for claim in taken:
            if claim.manifest_sha256 == manifest_sha256:
                return claim
        sequence = len(taken) + 1
        wanted = f"v{sequence}" if version == "auto" else version
        if any(claim.version == wanted for claim in taken):
            raise Refusal(
                f"{store.url}: {name} {wanted} is another bundle already, and a version is written once; "
                "raise release.version in params.yaml"
            )
        if not wanted.replace(".", "").replace("-", "").replace("_", "").isalnum() or wanted.startswith((".", "-")):
            raise UserError(f"release.version {wanted!r}: only letters, digits, `.`, `-` and `_`")
        claim = Claim(name=name, version=wanted, sequence=sequence, manifest_sha256=manifest_sha256)
        try:
            store.create(f"claims/{name}/{sequence:06d}.json", claim.to_json().encode())
        except FileExistsError:
            continue  # someone was faster; read on and try the next number
        return claim
    raise UserError(f"{store.url}: lost {RACES} races for a version of {name}; is the store writable and consistent?")


def _predecessor(store: Reader, name: str, pointer: Pointer | None) -> dict[str, str]:
    """sha256 -> key of the files that the channel's release holds."""
    if pointer is None:
        return {}
    prefix = release_prefix(name, pointer.version)
    data, _ = store.read(f"{prefix}/{MANIFEST}")
    return {digest: f"{prefix}/{path}" for path, digest in listed_files(data).items()}


def current(store: Reader, name: str, channel: str, public: bytes) -> Pointer | None:
    """What the channel points at, or None before the first release; raises Refusal if the pointer does not hold."""
    try:
        return read_pointer(store, name, channel, public)
    except FileNotFoundError:
        return None


def publish(
    store: Store,
    claim: Claim,
    staged: Path,
    private: Path,
    *,
    channel: str,
    expires_days: int,
    progress: Callable[[int, int, str], None] = lambda *_: None,
) -> Published:
    """Bring the signed directory `staged` to its place and move the channel to it.

    Raises:
        Refusal: naming the local file that is not as signed, or the object in the store that is not what was sent.
    """
    prefix = release_prefix(claim.name, claim.version)
    pointer = current(store, claim.name, channel, public_pem(private))
    expected = _expected(staged, claim)
    held = _predecessor(store, claim.name, pointer)
    present = store.list(prefix)
    if extra := sorted(set(present) - {f"{prefix}/{path}" for path in expected}):
        raise Refusal(f"{store.url}/{extra[0]}: not of this release; someone else wrote it, raise release.version")
    count = {"sent": 0, "copied": 0, "present": 0, "sent_bytes": 0}
    for number, (path, digest) in enumerate(expected.items(), start=1):
        key = f"{prefix}/{path}"
        how = "present" if key in present else _place(store, key, staged / path, digest, held.get(digest))
        count[how] += 1
        count["sent_bytes"] += (staged / path).stat().st_size if how == "sent" else 0
        found = stream_digest(store, key)
        if found != digest:
            raise Refusal(
                f"{store.url}/{key}: sha256 reads back as {found}, but {digest} belongs there; the channel "
                "was not moved. Examine the store, then raise release.version"
            )
        progress(number, len(expected), path)
    moved = move_pointer(store, claim, private, channel=channel, expires_days=expires_days)
    return Published(uri=f"{store.url}/{prefix}", **count, pointer=moved)


def _expected(staged: Path, claim: Claim) -> dict[str, str]:
    """Path -> sha256 in the order of writing: the bundle's files, statement, signature, and the manifest last."""
    manifest = (staged / MANIFEST).read_bytes()
    if sha256_bytes(manifest) != claim.manifest_sha256:
        raise Refusal(f"{staged / MANIFEST}: not the bundle that {claim.name} {claim.version} was claimed for")
    files = listed_files(manifest, str(staged / MANIFEST)) | {
        name: sha256_file(staged / name) for name in (statement.NAME, signature.NAME)
    }
    return files | {MANIFEST: claim.manifest_sha256}


def _place(store: Store, key: str, path: Path, digest: str, twin: str | None) -> str:
    """Bring one file into the store: from its twin there if it has one, else from here."""
    try:
        if twin is not None:
            store.copy(twin, key)
            return "copied"
        found = sha256_file(path)
        if found != digest:
            raise Refusal(
                f"{path}: sha256 is {found}, but {digest} was signed; rebuild with `slipway build --force bundle`"
            )
        store.create(key, path)
    except FileExistsError:
        return "present"  # a retried request met its own first try; reading back decides
    return "sent"


def move_pointer(
    store: Store, claim: Claim, private: Path, *, channel: str, expires_days: int, now: datetime | None = None
) -> str:
    """Point the channel at the release, never backwards; renew a pointer whose time is half over.

    Returns: `moved`, `renewed`, `unchanged`, or `superseded` if the channel is already at a later release.
    """
    now = now or datetime.now(UTC)
    key = pointer_key(claim.name, channel)
    for _ in range(RACES):
        try:
            tag: str | None = store.read(key)[1]
            held = read_pointer(store, claim.name, channel, public_pem(private))
        except FileNotFoundError:
            tag, held = None, None
        outcome = "moved"
        if held is not None and held.sequence > claim.sequence:
            return "superseded"
        if held is not None and held.sequence == claim.sequence:
            if datetime.fromisoformat(held.expires) - now > timedelta(days=expires_days) / 2:
                return "unchanged"
            outcome = "renewed"
        pointer = Pointer(
            **claim.model_dump(),
            channel=channel,
            expires=(now + timedelta(days=expires_days)).isoformat(timespec="seconds"),
        )
        if store.swap(key, seal(json.loads(pointer.to_json()), POINTER, private), tag):
            return outcome
    raise UserError(f"{store.url}/{key}: lost {RACES} races for the channel; is the store writable and consistent?")
