"""Channel pointers: which release a channel names, signed, moved by compare-and-swap, and only for a while.

As in The Update Framework (https://theupdateframework.github.io/specification/latest/), an expiry and a serial number
that never goes back keep an old pointer from passing for the present one.
"""

import json
from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from slipway.errors import Refusal, UserError
from slipway.records import Record
from slipway.release.publishing.claim import RACES, Claim, Store
from slipway.release.reading.reader import Reader
from slipway.release.signing import keyring
from slipway.release.signing.envelope import seal
from slipway.release.signing.keys import public_of
from slipway.release.withdrawal import tombstone

if TYPE_CHECKING:
    from securesystemslib.signer import Signer

POINTER = "application/vnd.slipway.pointer+json"
KEPT = 200
"""Versions that a pointer remembers to fall back to."""


class Pointer(Record):
    """What a channel points at; signed, and moved by compare-and-swap."""

    name: str
    channel: str
    version: str | None
    """None: every release that it named was withdrawn."""
    sequence: int
    """Of the release; 0 if there is none."""
    manifest_sha256: str | None
    expires: str
    """ISO 8601; readers refuse a pointer that was not renewed until then, because it may be a replay."""
    serial: int = 0
    """Counts every change of this pointer and never goes back, as `sequence` does when a release is withdrawn."""
    withdrawn: tuple[str, ...] = ()
    """Versions of this name that were withdrawn, so that who hides a tombstone is found out."""
    history: tuple[str, ...] = ()
    """Versions that this channel named before, the latest last: what it falls back to when one is withdrawn."""
    keys: int = 0
    """Events of the key log when it was signed, so that who hides the log's end is found out."""


def pointer_key(name: str, channel: str) -> str:
    """Where the pointer of a channel lies."""
    return f"channels/{name}/{channel}.json"


def release_prefix(name: str, version: str) -> str:
    """Where a release lies."""
    return f"releases/{name}/{version}"


def channels(store: Reader, name: str) -> list[str]:
    """The channels of a name, sorted."""
    keys = store.list(f"channels/{name}")
    return sorted(key.rpartition("/")[2].removesuffix(".json") for key in keys if key.endswith(".json"))


def read_pointer(store: Reader, name: str, channel: str, public: bytes, log: Sequence[bytes] = ()) -> Pointer:
    """What a channel points at, after its signature was checked; expiry is left to `verify_channel`.

    `public` is any key of the publisher's line, `log` a copy of the key log from elsewhere (`signing.keyring`).

    Raises:
        FileNotFoundError: if nothing was ever released there.
        Refusal: if the signature does not hold or it was signed for another channel.
    """
    return _read(store, name, channel, public, log)[0]


def _read(store: Reader, name: str, channel: str, public: bytes, log: Sequence[bytes] = ()) -> tuple[Pointer, str]:
    """The pointer, and the tag of the very bytes that it was read from."""
    key = pointer_key(name, channel)
    data, tag = store.read(key)
    what = f"{store.url}/{key}"
    ring = keyring.read(store, public, copy=log)  # after the pointer, for a rotation writes its event first
    try:
        pointer = Pointer.model_validate_json(json.dumps(ring.present(data, POINTER, what)))
    except ValueError as error:
        raise Refusal(f"{what}: signed, but no channel pointer ({type(error).__name__})") from None
    if (pointer.name, pointer.channel) != (name, channel):
        raise Refusal(f"{what}: signed for {pointer.name}/{pointer.channel}; someone copied it here")
    if pointer.keys > len(ring.events):
        raise Refusal(f"{what}: signed after {pointer.keys} key events, but {len(ring.events)} are here; one is hidden")
    return pointer, tag


def current(store: Reader, name: str, channel: str, public: bytes) -> Pointer | None:
    """What the channel points at, or None before the first release; raises Refusal if the pointer does not hold."""
    try:
        return read_pointer(store, name, channel, public)
    except FileNotFoundError:
        return None


def withdrawn(store: Reader, name: str, public: bytes) -> dict[str, str]:
    """Version -> channel whose pointer says that it was withdrawn, by the pointers of this name that hold.

    One that does not hold says nothing here: whoever reads that channel is told.
    """
    found: dict[str, str] = {}
    for channel in channels(store, name):
        try:
            pointer = read_pointer(store, name, channel, public)
        except (Refusal, FileNotFoundError):
            continue
        found |= dict.fromkeys(pointer.withdrawn, channel)
    return found


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
        held, tag = _held(store, claim.name, channel, public_of(signer))
        if (held and claim.version in held.withdrawn) or tombstone.exists(store, prefix):
            raise _dead(store, claim)
        outcome = "moved"
        if held is not None and held.sequence > claim.sequence:
            return "superseded"
        if held is not None and held.sequence == claim.sequence:
            if datetime.fromisoformat(held.expires) - now > timedelta(days=expires_days) / 2:
                return "unchanged"
            outcome = "renewed"
        elif held is not None and over is not None:
            over(held)
        known = held.withdrawn if held else tuple(sorted(withdrawn(store, claim.name, public_of(signer))))
        pointer = _next(held, channel, expires_days, now, withdrawn=known, **claim.model_dump())
        if swap_pointer(store, pointer, signer, tag):
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
        held, tag = _read(store, name, channel, public_of(signer))
        gone = {*held.withdrawn, version}
        back: dict[str, object] = {"version": None, "sequence": 0, "manifest_sha256": None}
        if held.version is not None and held.version not in {*gone, *avoid}:
            if version in held.withdrawn:
                return held, held
            back = held.model_dump(include=set(back))
        elif held.version is None and version in held.withdrawn:
            return held, held
        else:
            earlier = (good(past) for past in reversed(held.history) if past not in {*gone, *avoid})
            if (claim := next((claim for claim in earlier if claim is not None), None)) is not None:
                back = claim.model_dump(include=set(back))
        pointer = _next(held, channel, expires_days, now, name=name, withdrawn=tuple(sorted(gone)), **back)
        if swap_pointer(store, pointer, signer, tag):
            return held, pointer
    raise _lost(store, pointer_key(name, channel))


def swap_pointer(store: Store, pointer: Pointer, signer: "Signer", tag: str | None) -> bool:
    """Sign a pointer and put it in the place of the one with this tag; False if someone was faster."""
    pointer = pointer.model_copy(update={"keys": keyring.seen(store, public_of(signer))})
    sealed = seal(json.loads(pointer.to_json()), POINTER, signer)
    return store.swap(pointer_key(pointer.name, pointer.channel), sealed, tag)


def _held(store: Reader, name: str, channel: str, public: bytes) -> tuple[Pointer | None, str | None]:
    try:
        return _read(store, name, channel, public)
    except FileNotFoundError:
        return None, None


def _next(held: Pointer | None, channel: str, expires_days: int, now: datetime, **values: object) -> Pointer:
    """The pointer that follows `held`, with these `values`."""
    version, history = values["version"], held.history if held else ()
    # What it falls back to was earlier in its history; what it named in between is in `withdrawn`, or did not hold.
    past = history[: history.index(version)] if version in history else history
    if held and held.version not in (None, version) and version not in history:
        past = (*past, str(held.version))
    return Pointer(
        **values,  # type: ignore[arg-type]
        channel=channel,
        expires=(now + timedelta(days=expires_days)).isoformat(timespec="seconds"),
        serial=held.serial + 1 if held else 1,
        history=past[-KEPT:],
    )


def _dead(store: Reader, claim: Claim) -> Refusal:
    return Refusal(
        f"{store.url}: {claim.name} {claim.version} was withdrawn and is not released again; raise release.version in "
        f"params.yaml. If a channel names it: slipway yank {claim.name}@{claim.version}"
    )


def _lost(store: Reader, key: str) -> UserError:
    return UserError(f"{store.url}/{key}: lost {RACES} races for the channel; is the store writable and consistent?")
