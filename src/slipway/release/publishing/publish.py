"""Publishing: a version is claimed, every file written once, all verified in the store, then the channel moves.

A claim (`publishing.claim`) decides which bundle owns a version. The files follow and are read back; statement,
signature and manifest come last. A reader who starts at the channel never meets half a release. Nothing is sent that
does not verify here. A rerun continues where a crash left off, and sends nothing that is there.
"""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from slipway.errors import Refusal
from slipway.progress import Transfer
from slipway.records import Record
from slipway.release import rendered, statement
from slipway.release.publishing import noted, recall, twins
from slipway.release.publishing.carrying import SMALL, Load
from slipway.release.publishing.claim import Claim, Store
from slipway.release.publishing.moving import move_pointer
from slipway.release.publishing.pointer import Pointer, release_prefix
from slipway.release.publishing.read_back import ReadBack
from slipway.release.reading.reader import Hashed, Reader, stream_digest
from slipway.release.reading.verify import BESIDE, MANIFEST, signed_files, verify
from slipway.release.signing import signature
from slipway.release.signing.keys import public_of
from slipway.release.withdrawal import tombstone

if TYPE_CHECKING:
    from securesystemslib.signer import Signer

CHECKED_AT_A_TIME = 4


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
    """Files copied inside the store from an earlier release."""
    present: int
    """Files that an earlier attempt had brought there."""
    damaged: tuple[str, ...]
    """Keys in earlier releases that are missing or not as signed; their content was sent from here instead."""
    read_back_bytes: int
    """Read from the store and hashed now; the rest was lately, and has not changed since."""
    pointer: str
    """What became of the channel: `moved`, `renewed`, `unchanged`, or `superseded` by a later release."""


@dataclass(frozen=True)
class _Task:
    """One release on its way: what it is, where it lies, where it goes."""

    store: Store
    staged: Staged
    claim: Claim
    public: bytes
    expected: dict[str, str]
    """Path -> sha256, in the order of writing."""
    sizes: dict[str, int]
    """Path -> bytes of the staged files."""
    absent: tuple[str, ...]
    """Paths that are not in the store yet."""

    @property
    def prefix(self) -> str:
        return release_prefix(self.claim.name, self.claim.version)

    @property
    def last(self) -> list[str]:
        """Paths that come when all others were read back."""
        return [path for path in self.expected if path in {*BESIDE, *rendered.NAMES}]


def publish(
    store: Store,
    claim: Claim,
    staged: Staged,
    signer: "Signer",
    *,
    channel: str,
    expires_days: int,
    over: Callable[[Pointer], None] | None = None,
    seen: Path | None = None,
) -> Published:
    """Bring the signed directory `staged` to its place and move the channel to it; shows how far it is.

    Args:
        store: where it goes.
        claim: the version that belongs to it.
        staged: what `seal_release` made; what is to be sent of it is verified as a reader would before.
        signer: of this project; moves the channel.
        channel: name of the channel.
        expires_days: how long the pointer is good for.
        over: given the earlier release's pointer that is about to be moved; raises Refusal if it may not be.
        seen: folder that remembers what was read back (`read_back`); without one every byte is read again.

    Raises:
        Refusal: naming the local file that is not as signed, or the object in the store that is not what was sent.
    """
    public, memory = public_of(signer), ReadBack(seen, store)
    pointer = recall.held(store, claim.name, channel, public).pointer
    task = _task(store, staged, claim, public)
    if statement.NAME not in task.absent:
        _agree(task)  # whoever was slower learns it here, before all is sent and read back for nothing
    wanted = {task.expected[path]: task.sizes.get(path, 0) for path in task.absent}
    twin, damaged = twins.sound(memory, wanted, twins.find(store, claim.name, pointer, wanted, public))
    _check(task, [path for path in task.absent if task.expected[path] not in twin])
    load = Load(store, task.prefix, staged.root, task.expected, twin)
    try:
        read = _bring(task, load, memory)
    except _Overtaken:
        raise
    except Refusal as refusal:
        raise Refusal(
            f"{refusal}. The channel was not moved; examine the store, then raise release.version in params.yaml"
        ) from None
    moved = move_pointer(store, claim, signer, channel=channel, expires_days=expires_days, over=over)
    return Published(
        uri=f"{store.url}/{task.prefix}",
        sent=load.count("sent"),
        sent_bytes=sum(task.sizes[path] for path, how in load.how.items() if how == "sent"),
        copied=load.count("copied"),
        present=load.count("present") + len(task.expected) - len(task.absent),
        damaged=tuple(damaged),
        read_back_bytes=read,
        pointer=moved,
    )


def _task(store: Store, staged: Staged, claim: Claim, public: bytes) -> _Task:
    """What there is to do; raises Refusal if something else lies where the release belongs."""
    prefix, expected = release_prefix(claim.name, claim.version), _expected(staged, public)
    # A folder without files is what an interrupted attempt leaves; it gets them now. Verifying judges a tombstone.
    present = {key for key in store.list(prefix) if not key.endswith("/")} - {f"{prefix}/{tombstone.NAME}"}
    if extra := sorted(present - {f"{prefix}/{path}" for path in expected}):
        raise Refusal(f"{store.url}/{extra[0]}: not of this release; someone else wrote it, raise release.version")
    absent = tuple(path for path in expected if f"{prefix}/{path}" not in present)
    return _Task(store, staged, claim, public, expected, staged.list(), absent)


def _expected(staged: Staged, public: bytes) -> dict[str, str]:
    """Path -> sha256 in the order of writing: the bundle's files, statement, pages, signature, the manifest last.

    The pages are made from the statement: if that is there, whoever takes up the release makes the same pages.
    """
    try:
        signed = signed_files(staged, "", public)
    except Refusal as refusal:
        raise _unsent(refusal) from None
    if MANIFEST not in signed or statement.NAME not in signed:
        raise _unsent(Refusal(f"{staged.url}: signed without its manifest or its statement"))
    files = {path: digest for path, digest in sorted(signed.items()) if path not in {*BESIDE, *rendered.NAMES}}
    first = {name: signed[name] for name in (statement.NAME, *rendered.NAMES) if name in signed}
    return files | first | {signature.NAME: stream_digest(staged, signature.NAME), MANIFEST: signed[MANIFEST]}


def _check(task: _Task, to_send: Iterable[str]) -> None:
    """Verify the staged directory as a reader would; what is as it was when it was hashed for sealing is not read.

    Nor are large files that will not be sent.
    """
    known = noted.unchanged(task.staged.root)
    read = [path for path in to_send if path in task.sizes and path not in known]
    aside = {path: task.expected[path] for path in task.expected if task.sizes.get(path, 0) > SMALL}
    shown = Transfer("publish: check", sum(task.sizes[path] for path in read))
    with ThreadPoolExecutor(CHECKED_AT_A_TIME) as pool:
        hashed = dict(zip(read, pool.map(lambda path: stream_digest(task.staged, path, shown), read), strict=True))
    shown.end()
    try:
        _prove(Hashed(task.staged, aside | known | hashed), "", task)
    except Refusal as refusal:
        raise _unsent(refusal) from None


def _unsent(refusal: Refusal) -> Refusal:
    return Refusal(f"{refusal}. Nothing was sent; run `slipway release` again, which signs anew")


def _bring(task: _Task, load: Load, memory: ReadBack) -> int:
    """Bring what is absent into the store and verify what lies there then; how many bytes were read back."""
    last = task.last
    load.place({path: task.sizes[path] for path in task.absent if path not in last})
    sizes = {f"{task.prefix}/{path}": task.sizes[path] for path in task.expected if path not in last}
    digests, read = memory.hash(sizes, "publish: read back")
    for path, expected in task.expected.items():
        found = digests.get(f"{task.prefix}/{path}", "that of nothing, for it is missing")
        if path not in last and found != expected:
            raise Refusal(f"{task.store.url}/{task.prefix}/{path}: sha256 is {found}, but {expected} was signed")
    for path in last:
        if path in task.absent:
            load.place({path: task.sizes[path]})
        if path == statement.NAME:
            _agree(task)
    _prove(Hashed(task.store, digests), task.prefix, task)
    return read + sum(task.sizes[path] for path in last)


class _Overtaken(Refusal):
    """Someone else is releasing the same bundle."""


def _agree(task: _Task) -> None:
    """Go on only over our own statement: a signature over another one would never fit, and is written once.

    Raises:
        _Overtaken: if there is another statement; sealing anew takes that one up.
    """
    key = f"{task.prefix}/{statement.NAME}"
    if stream_digest(task.store, key) != task.expected[statement.NAME]:
        raise _Overtaken(
            f"{task.store.url}/{key}: not the statement that was signed here; someone else is releasing this bundle. "
            "The channel was not moved; run `slipway release` again, which takes up what they signed"
        )


def _prove(store: Reader, prefix: str, task: _Task) -> None:
    """Verify the release at `prefix`, and that it is the claimed one."""
    verified, claim = verify(store, prefix, task.public), task.claim
    if verified.release.model_dump(exclude={"predecessor"}) != claim.model_dump():
        raise Refusal(f"{verified.uri}: a signed release, but not the one claimed as {claim.name} {claim.version}")
