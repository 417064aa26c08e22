"""Publishing: a version is claimed, every file written once, all verified in the store, then the channel moves.

A claim (`slipway.release.claim`) decides which bundle owns a version. The files follow, the manifest last; a reader
who starts at the channel never meets half a release. Nothing is sent that does not verify here. A rerun continues
where a crash left off.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from slipway.errors import Refusal
from slipway.files import sha256_bytes
from slipway.records import Record
from slipway.release import rendered, signature, statement
from slipway.release.claim import Claim, Store
from slipway.release.keys import public_of
from slipway.release.pointer import Pointer, current, move_pointer, release_prefix
from slipway.release.reader import Reader, stream_digest
from slipway.release.verify import BESIDE, MANIFEST, listed_files, signed_files, verify

if TYPE_CHECKING:
    from securesystemslib.signer import Signer

QUIET = 1.0
"""Seconds of publishing after which each further file is printed."""


class Staged(Reader, Protocol):
    """The signed directory, to be read as a release and to be sent from."""

    @property
    def root(self) -> Path: ...


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
    damaged: tuple[str, ...]
    """Keys in the release before that are missing or not as signed; their content was sent from here instead."""
    pointer: str
    """What became of the channel: `moved`, `renewed`, `unchanged`, or `superseded` by a later release."""


def _predecessor(store: Reader, name: str, pointer: Pointer | None) -> dict[str, str]:
    """sha256 -> key of the files that the channel's release holds; none if its manifest is not the one pointed at."""
    if pointer is None or pointer.version is None:
        return {}
    prefix = release_prefix(name, pointer.version)
    try:
        data, _ = store.read(f"{prefix}/{MANIFEST}")
    except FileNotFoundError:
        return {}  # twins only save time: every file can be sent from here
    if sha256_bytes(data) != pointer.manifest_sha256:
        return {}
    return {digest: f"{prefix}/{path}" for path, digest in listed_files(data).items()}


def publish(
    store: Store,
    claim: Claim,
    staged: Staged,
    signer: "Signer",
    *,
    channel: str,
    expires_days: int,
    over: Callable[[Pointer], None] | None = None,
) -> Published:
    """Bring the signed directory `staged` to its place and move the channel to it; lists the files if it takes long.

    Args:
        store: where it goes.
        claim: the version that belongs to it.
        staged: what `seal_release` made; verified as a reader would before anything is sent.
        signer: of this project; moves the channel.
        channel: name of the channel.
        expires_days: how long the pointer is good for.
        over: given the earlier release's pointer that is about to be moved; raises Refusal if it may not be.

    Raises:
        Refusal: naming the local file that is not as signed, or the object in the store that is not what was sent.
    """
    prefix = release_prefix(claim.name, claim.version)
    public = public_of(signer)
    held = _predecessor(store, claim.name, current(store, claim.name, channel, public))
    expected = _expected(staged, claim, public)
    # A folder without files is what an interrupted attempt leaves; it gets them now.
    present = {key for key in store.list(prefix) if not key.endswith("/")}
    if extra := sorted(present - {f"{prefix}/{path}" for path in expected}):
        raise Refusal(f"{store.url}/{extra[0]}: not of this release; someone else wrote it, raise release.version")
    count = {"sent": 0, "copied": 0, "present": 0, "sent_bytes": 0}
    damaged: list[str] = []
    began = time.monotonic()
    for number, (path, digest) in enumerate(expected.items(), start=1):
        key = f"{prefix}/{path}"
        twin = held.get(digest)
        if twin and key not in present and not _holds(store, twin, digest):
            damaged.append(twin)
            twin = None
        how = "present" if key in present else _place(store, key, staged.root / path, twin)
        count[how] += 1
        count["sent_bytes"] += (staged.root / path).stat().st_size if how == "sent" else 0
        if time.monotonic() - began > QUIET:
            print(f"[publish] {number} of {len(expected)}: {path}", flush=True)
    try:
        _prove(store, prefix, claim, public)
    except Refusal as refusal:
        raise Refusal(
            f"{refusal}. The channel was not moved; examine the store, then raise release.version in params.yaml"
        ) from None
    moved = move_pointer(store, claim, signer, channel=channel, expires_days=expires_days, over=over)
    return Published(uri=f"{store.url}/{prefix}", **count, damaged=tuple(damaged), pointer=moved)


def _prove(store: Reader, prefix: str, claim: Claim, public: bytes) -> None:
    """Verify the release at `prefix`, and that it is the claimed one."""
    verified = verify(store, prefix, public)
    if verified.release.model_dump(exclude={"predecessor"}) != claim.model_dump():
        raise Refusal(f"{verified.uri}: a signed release, but not the one claimed as {claim.name} {claim.version}")


def _expected(staged: Staged, claim: Claim, public: bytes) -> dict[str, str]:
    """Path -> sha256 in the order of writing: the bundle's files, statement, pages, signature, the manifest last.

    The pages are made from the statement: if that is there, whoever takes up the release makes the same pages.
    """
    try:
        _prove(staged, "", claim, public)
    except Refusal as refusal:
        raise Refusal(f"{refusal}. Nothing was sent; run `slipway release` again, which signs anew") from None
    signed = signed_files(staged, "", public)
    files = {path: digest for path, digest in sorted(signed.items()) if path not in {*BESIDE, *rendered.NAMES}}
    first = {name: signed[name] for name in (statement.NAME, *rendered.NAMES) if name in signed}
    return files | first | {signature.NAME: stream_digest(staged, signature.NAME), MANIFEST: signed[MANIFEST]}


def _holds(store: Reader, key: str, digest: str) -> bool:
    try:
        return stream_digest(store, key) == digest
    except FileNotFoundError:
        return False


def _place(store: Store, key: str, path: Path, twin: str | None) -> str:
    """Bring one file into the store: from its twin there if it has one, else from here."""
    try:
        if twin is not None:
            store.copy(twin, key)
            return "copied"
        store.create(key, path)
    except FileExistsError:
        return "present"  # a retried request met its own first try; verifying decides
    return "sent"
