"""What a channel goes back to when the release that it names is withdrawn, and what withdrawing would do."""

from slipway.errors import Refusal, UserError
from slipway.files import sha256_bytes
from slipway.records import Record
from slipway.release.bundle import manifest
from slipway.release.publishing import recall
from slipway.release.publishing.claim import Claim, examine
from slipway.release.publishing.pointer import channels, release_prefix
from slipway.release.reading import verify
from slipway.release.reading.reader import Reader
from slipway.release.signing import signature
from slipway.release.withdrawal import tombstone


class Plan(Record):
    """What withdrawing a version would do."""

    claim: Claim
    moves: dict[str, str | None]
    """Channel that names the version -> version that it would name."""
    listed: tuple[str, ...]
    """Channels that name another version, and would only learn that this one is withdrawn."""
    replaced_by: str | None
    faults: tuple[str, ...] = ()
    """Channels that do not hold, so that nothing would be signed over them, and why."""


def plan(store: Reader, name: str, version: str, public: bytes, preferred: str) -> Plan:
    """What withdrawing would do now; changes nothing.

    Args:
        store: where the release lies.
        name: of the release.
        version: to be withdrawn.
        public: key of the publisher, PEM.
        preferred: channel whose version is named as the replacement, if several would do.

    Raises:
        UserError: if there is no such release.
    """
    log = examine(store, name, public)  # what is planted among the claims must not keep a release from being withdrawn
    known = {claim.version: claim for claim in log.claims}
    claim = known.get(version) or _stated(store, name, version, public)
    if claim is None:
        there = ", ".join(known) or "none of this name"
        raise UserError("; ".join([f"{store.url}: no release {name} {version}; there are {there}", *log.faults]))
    if manifest.NAME not in {key.rpartition("/")[2] for key in store.list(release_prefix(name, version))}:
        raise UserError(f"{store.url}: {name} {version} was claimed, but never released; there is nothing to withdraw")
    faults: list[str] = []
    moves: dict[str, str | None] = {}
    names: dict[str, str | None] = {}
    for channel in channels(store, name):
        try:
            at = recall.held(store, name, channel, public)
        except Refusal as fault:  # withdrawing tells of it, and goes on
            faults.append(str(fault))
            continue
        if (held := at.pointer) is None:
            continue
        names[channel] = held.version
        if held.version == version:
            moves[channel] = _earlier(store, at, known, public, version)
    first = [preferred] if preferred in names else []
    ways = [*(moves[c] for c in [*first, *moves] if c in moves), *(names[c] for c in first if names[c] != version)]
    replaced = next((way for way in ways if way is not None), None)
    listed = tuple(c for c in names if c not in moves)
    return Plan(claim=claim, moves=moves, listed=listed, replaced_by=replaced, faults=tuple(faults))


def _stated(store: Reader, name: str, version: str, public: bytes) -> Claim | None:
    """What a release that holds says of itself: that its claim was removed must not keep it from being withdrawn."""
    prefix = release_prefix(name, version)
    if not store.list(prefix):
        return None
    try:
        found = verify.verify(store, prefix, public, withdrawn=True).release
    except Refusal:
        return None  # nobody can use it
    return (
        Claim(**found.model_dump(exclude={"predecessor"})) if (found.name, found.version) == (name, version) else None
    )


def _earlier(store: Reader, at: recall.Held, known: dict[str, Claim], public: bytes, version: str) -> str | None:
    history, gone = (at.pointer.history, at.pointer.withdrawn) if at.pointer else ((), ())
    for past in reversed(history):
        if past in known and past not in {*gone, *at.withdrawn, version} and stands(store, known[past], public) is None:
            return past
    return None


def stands(store: Reader, claim: Claim, public: bytes) -> str | None:
    """Why a release cannot be named again; None if signature, manifest and the list of files are right.

    Content is not read: a channel must not wait for that. `slipway.release.withdrawal.yank` reads it afterwards.
    """
    prefix = release_prefix(claim.name, claim.version)
    present = {key.removeprefix(f"{prefix}/"): size for key, size in store.list(prefix).items()}
    if tombstone.NAME in present:
        return "withdrawn"
    try:
        signed = verify.signed_files(store, prefix, public)
        data, _ = store.read(f"{prefix}/{manifest.NAME}")
        files = manifest.parse(data).files
    except (Refusal, FileNotFoundError) as fault:
        return str(fault)
    right = (
        sha256_bytes(data) == signed.get(manifest.NAME) == claim.manifest_sha256
        and set(present) == {*signed, signature.NAME}
        and all((present.get(name), signed.get(name)) == (entry.bytes, entry.sha256) for name, entry in files.items())
    )
    return None if right else f"{store.url}/{prefix}: not the files that were signed"
