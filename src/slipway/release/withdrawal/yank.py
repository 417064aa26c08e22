"""Withdrawing a release: tombstone, then every channel pointer, then the advisory; safe to interrupt and to repeat.

The tombstone comes first, in one create-only write: from then on whoever verifies the release refuses it, wherever the
channels point. Then every channel learns that the version is withdrawn, and one that named it goes back to the last
version it named that still stands. A run that was killed in between leaves readers refusing, never using; the next run
finishes it. Nothing is deleted.
"""

import time
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from slipway.errors import Refusal, UserError
from slipway.records import Record
from slipway.release.publishing import recall
from slipway.release.publishing.claim import Claim, Store, examine
from slipway.release.publishing.moving import take_back
from slipway.release.publishing.pointer import channels, release_prefix
from slipway.release.reading import verify
from slipway.release.reading.reader import Reader
from slipway.release.signing.keys import public_of
from slipway.release.withdrawal import advisory, tombstone
from slipway.release.withdrawal.fallback import Plan, plan, stands
from slipway.release.withdrawal.tombstone import Severity, Yanked

if TYPE_CHECKING:
    from securesystemslib.signer import Signer


Then = Callable[[Yanked, Mapping[str, str | None], Collection[str]], None]
"""Told of the tombstone, of the version that each channel names now, and of versions that did not hold."""


class Cause(NamedTuple):
    """Why a release is withdrawn."""

    reason: str
    """For those who use it, in a sentence or two."""
    severity: Severity | None = None
    advisory: str | None = None
    """What else describes the fault: a URL or an id."""


class Moved(Record):
    """What became of a channel."""

    channel: str
    before: str | None
    """Version that it named."""
    after: str | None
    serial: int


class Withdrawal(Record):
    """What a withdrawal did, or found done already."""

    yanked: Yanked
    new: bool
    """Whether this call wrote the tombstone; else it finished, or repeated, an earlier one."""
    channels: tuple[Moved, ...]
    advisory: str | None
    """Key of the advisory; None if it could not be written."""
    unlike: tuple[str, ...]
    """What did not go as it should; empty if all is done."""
    seconds: float
    """Until no channel named the version any more."""


def yank(
    store: Store,
    name: str,
    version: str,
    signer: "Signer",
    *,
    cause: Cause,
    preferred: str,
    expires_days: int,
    note: Callable[[str], None] = lambda _: None,
    then: Then = lambda *_: None,
) -> Withdrawal:
    """Withdraw a release, or finish withdrawing it.

    Args:
        store: where it lies.
        name: of the release.
        version: to be withdrawn.
        signer: of the publisher.
        cause: why.
        preferred: as of `plan`.
        expires_days: how long the channels' new pointers are good for.
        note: told of each thing done.
        then: called when the channels were moved, and once more if they had to go further back.

    Raises:
        UserError: if there is no such release, or no reason is given.
    """
    if not cause.reason.strip():
        raise UserError("--reason is empty; say to those who use the release what is wrong and what they should do")
    began, public = time.monotonic(), public_of(signer)
    ahead = plan(store, name, version, public, preferred)
    faults: list[str] = []
    yanked, new = _bury(store, _compose(ahead, cause), signer, faults)
    note(f"tombstone  {store.url}/{tombstone.key_of(release_prefix(name, version))}{'' if new else ' (there already)'}")
    seconds = 0.0
    moved: dict[str, Moved] = {}
    for moved, passed in _move_all(store, yanked, signer, again=not new, days=expires_days, faults=faults, note=note):
        seconds = seconds or time.monotonic() - began
        then(yanked, {channel: move.after for channel, move in moved.items()}, passed)
    try:
        written = advisory.write(store, yanked, signer)
        note(f"advisory   {store.url}/{written}")
    except Refusal as fault:
        written = None
        faults.append(str(fault))
    return Withdrawal(
        yanked=yanked,
        new=new,
        channels=tuple(moved.values()),
        advisory=written,
        unlike=tuple(dict.fromkeys(faults)),
        seconds=round(seconds, 2),
    )


def _compose(ahead: Plan, cause: Cause) -> Yanked:
    return Yanked(
        name=ahead.claim.name,
        version=ahead.claim.version,
        manifest_sha256=ahead.claim.manifest_sha256,
        reason=cause.reason.strip(),
        time=datetime.now(UTC).isoformat(timespec="seconds"),
        replaced_by=ahead.replaced_by,
        severity=cause.severity,
        advisory=cause.advisory,
    )


def _bury(store: Store, yanked: Yanked, signer: "Signer", faults: list[str]) -> tuple[Yanked, bool]:
    """Write the tombstone, or take the one that lies there; whether it was written now."""
    prefix = release_prefix(yanked.name, yanked.version)
    try:
        store.create(tombstone.key_of(prefix), tombstone.write(yanked, signer))
        return yanked, True
    except FileExistsError:
        pass
    try:
        return tombstone.at(store, prefix, public_of(signer)) or yanked, False
    except Refusal as fault:
        # It forbids the release all the same; but its users are not told why.
        faults.append(f"{fault}. Remove it and run this again, so that users are told the reason")
        return yanked, False


def _move_all(
    store: Store,
    yanked: Yanked,
    signer: "Signer",
    *,
    again: bool,
    days: int,
    faults: list[str],
    note: Callable[[str], None],
) -> Iterator[tuple[dict[str, Moved], set[str]]]:
    """Tell every channel; one that falls back to a version whose bytes do not hold goes further back.

    Yields: what became of the channels, before content is read, and the versions that were passed over.
    """
    name, version, instead, public = yanked.name, yanked.version, yanked.replaced_by, public_of(signer)
    log = examine(store, name, public)
    faults += log.faults
    known = {claim.version: claim for claim in log.claims}
    moved: dict[str, Moved] = {}
    avoid: set[str] = set()

    def good(past: str) -> Claim | None:
        return known[past] if past in known and stands(store, known[past], public) is None else None

    while True:
        fallen = set()
        # One that is hidden is told of; else it would come back as if nothing had been withdrawn.
        for channel in sorted({*channels(store, name), *recall.remembered(store, name, public)}):
            try:
                before, after = take_back(
                    store, name, version, signer, channel=channel, expires_days=days, good=good, avoid=avoid
                )
            except Refusal as fault:
                faults.append(str(fault))
                continue
            first = moved[channel].before if channel in moved else before.version
            moved[channel] = Moved(channel=channel, before=first, after=after.version, serial=after.serial)
            # Again, for the run that moved it may have died before it read the content.
            if after.version is not None and (before.version != after.version or (again and after.version == instead)):
                fallen.add(after.version)
            note(f"channel    {channel}: {before.version or 'nothing'} -> {after.version or 'nothing'}")
        yield moved, avoid
        broken = {past: why for past in fallen - avoid if (why := _whole(store, known[past], public))}
        if not broken:
            return
        faults += broken.values()
        avoid |= set(broken)


def _whole(store: Reader, claim: Claim, public: bytes) -> str | None:
    """Why the release does not hold, after every byte of it was read."""
    try:
        found = verify.verify(store, release_prefix(claim.name, claim.version), public)
    except Refusal as fault:
        return f"{fault}. No channel goes back to it; withdraw it too: slipway yank {claim.name}@{claim.version}"
    right = found.release.model_dump(exclude={"predecessor"}) == claim.model_dump()
    return None if right else f"{found.uri}: a signed release, but not the one claimed; no channel goes back to it"
