"""Moving channels: to a release, back from one that was withdrawn; signed, and by compare-and-swap.

Whoever moves a channel reads it first, and what he read must not be behind what this publisher remembers
(`publishing.recall`): else an old pointer that somebody put back would be carried on.
"""

import json
from collections.abc import Callable, Collection
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from slipway.errors import Refusal, UserError
from slipway.release.publishing import recall
from slipway.release.publishing.claim import RACES, Claim, Store
from slipway.release.publishing.pointer import POINTER, Pointer, pointer_key, release_prefix, withdrawn
from slipway.release.reading.reader import Reader
from slipway.release.signing import keyring
from slipway.release.signing.envelope import seal
from slipway.release.signing.keys import public_of
from slipway.release.withdrawal import tombstone

if TYPE_CHECKING:
    from securesystemslib.signer import Signer

KEPT = 200
"""Versions that a pointer remembers to fall back to."""


def move_pointer(
    store: Store,
    claim: Claim,
    signer: "Signer",
    *,
    channel: str,
    expires_days: int,
    now: datetime | None = None,
    over: Callable[[Pointer], None] | None = None,
) -> str:
    """Point the channel at the release, never backwards; renew a pointer whose time is half over.

    `over` is given the pointer of an earlier release before it is moved, and raises Refusal if it may not be.

    Returns: `moved`, `renewed`, `unchanged`, or `superseded` if the channel is already at a later release.

    Raises:
        Refusal: if the release was withdrawn, before or while it was moved to.
    """
    now = now or datetime.now(UTC)
    key, prefix = pointer_key(claim.name, channel), release_prefix(claim.name, claim.version)
    for _ in range(RACES):
        at = recall.held(store, claim.name, channel, public_of(signer))
        held = at.pointer
        gone = {*(held.withdrawn if held else withdrawn(store, claim.name, public_of(signer))), *at.withdrawn}
        if claim.version in gone or tombstone.exists(store, prefix):
            raise _dead(store, claim)
        outcome = "moved"
        if held is not None and held.sequence > claim.sequence:
            return "superseded"
        if held is not None and held.sequence == claim.sequence:
            _agrees(store, held, claim)
            if not at.restored and datetime.fromisoformat(held.expires) - now > timedelta(days=expires_days) / 2:
                return "unchanged"
            outcome = "renewed"
        elif held is not None and over is not None:
            over(held)
        pointer = _next(at, channel, expires_days, now, withdrawn=tuple(sorted(gone)), **claim.model_dump())
        if swap_pointer(store, pointer, signer, at.tag):
            # A tombstone is written before the channels are listed. So either it is seen here, or whoever wrote it
            # sees this pointer and moves it on.
            if tombstone.exists(store, prefix):
                raise _dead(store, claim)
            return outcome
    raise _lost(store, key)


def take_back(
    store: Store,
    name: str,
    version: str,
    signer: "Signer",
    *,
    channel: str,
    expires_days: int,
    good: Callable[[str], Claim | None],
    avoid: Collection[str] = (),
    now: datetime | None = None,
) -> tuple[Pointer, Pointer]:
    """Say in a channel's pointer that a version was withdrawn; if it names that one, it names the last good one then.

    Args:
        store: where the channel lies.
        name: of the releases.
        version: that was withdrawn.
        signer: of the publisher.
        channel: that exists.
        expires_days: how long the new pointer is good for.
        good: given a version that the channel named before, latest first: its claim, None if it cannot be named again.
        avoid: versions that are not to be named either, though nobody withdrew them: they do not hold.
        now: for tests.

    Returns: the pointer before and after; the same one if there was nothing to do.
    """
    now = now or datetime.now(UTC)
    for _ in range(RACES):
        at = recall.held(store, name, channel, public_of(signer))
        if (held := at.pointer) is None:
            raise Refusal(
                f"{store.url}/{pointer_key(name, channel)}: the pointer is missing; release another bundle first "
                f"({recall.RESTORED}), which makes it anew, then run this again"
            )
        gone = {*held.withdrawn, *at.withdrawn, version}
        back: dict[str, object] = {"version": None, "sequence": 0, "manifest_sha256": None}
        if held.version is not None and held.version not in {*gone, *avoid}:
            if version in held.withdrawn and not at.restored:
                return held, held
            back = held.model_dump(include=set(back))
        elif held.version is None and version in held.withdrawn and not at.restored:
            return held, held
        else:
            earlier = (good(past) for past in reversed(held.history) if past not in {*gone, *avoid})
            if (claim := next((claim for claim in earlier if claim is not None), None)) is not None:
                back = claim.model_dump(include=set(back))
        pointer = _next(at, channel, expires_days, now, name=name, withdrawn=tuple(sorted(gone)), **back)
        if swap_pointer(store, pointer, signer, at.tag):
            return held, pointer
    raise _lost(store, pointer_key(name, channel))


def swap_pointer(store: Store, pointer: Pointer, signer: "Signer", tag: str | None) -> bool:
    """Sign a pointer, put it in the place of the one with this tag, remember it; False if someone was faster."""
    pointer = pointer.model_copy(update={"keys": keyring.seen(store, public_of(signer))})
    sealed = seal(json.loads(pointer.to_json()), POINTER, signer)
    if not store.swap(pointer_key(pointer.name, pointer.channel), sealed, tag):
        return False
    recall.note(store, pointer, public_of(signer))
    return True


def _agrees(store: Reader, held: Pointer, claim: Claim) -> None:
    """That a channel at the number of a claim is at its release."""
    if (held.version, held.manifest_sha256) != (claim.version, claim.manifest_sha256):
        raise Refusal(
            f"{store.url}/{pointer_key(held.name, held.channel)}: names {held.version} as release {held.sequence}, but "
            f"that number was claimed for {claim.version}; somebody removed a claim. Restore it from a backup, or "
            "raise release.version in params.yaml"
        )


def _next(at: recall.Held, channel: str, expires_days: int, now: datetime, **values: object) -> Pointer:
    """The pointer that follows the one that is held, with these `values`."""
    held, version = at.pointer, values["version"]
    history = held.history if held else ()
    # What it falls back to was earlier in its history; what it named in between is in `withdrawn`, or did not hold.
    past = history[: history.index(version)] if version in history else history
    if held and held.version not in (None, version) and version not in history:
        past = (*past, str(held.version))
    return Pointer(
        **values,  # type: ignore[arg-type]
        channel=channel,
        expires=(now + timedelta(days=expires_days)).isoformat(timespec="seconds"),
        serial=at.serial + 1,
        history=past[-KEPT:],
    )


def _dead(store: Reader, claim: Claim) -> Refusal:
    return Refusal(
        f"{store.url}: {claim.name} {claim.version} was withdrawn and is not released again; raise release.version in "
        f"params.yaml. If a channel names it: slipway yank {claim.name}@{claim.version}"
    )


def _lost(store: Reader, key: str) -> UserError:
    return UserError(f"{store.url}/{key}: lost {RACES} races for the channel; is the store writable and consistent?")
