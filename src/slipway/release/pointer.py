"""Channel pointers: which release a channel names, signed, moved by compare-and-swap, and only for a while.

As in The Update Framework (https://theupdateframework.github.io/specification/latest/), an expiry and a serial number
that never goes back keep an old pointer from passing for the present one.
"""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from slipway.errors import Refusal, UserError
from slipway.records import Record
from slipway.release.claim import RACES, Claim, Store
from slipway.release.envelope import seal, unseal
from slipway.release.keys import public_of
from slipway.release.reader import Reader

if TYPE_CHECKING:
    from securesystemslib.signer import Signer

POINTER = "application/vnd.slipway.pointer+json"


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


def pointer_key(name: str, channel: str) -> str:
    """Where the pointer of a channel lies."""
    return f"channels/{name}/{channel}.json"


def release_prefix(name: str, version: str) -> str:
    """Where a release lies."""
    return f"releases/{name}/{version}"


def read_pointer(store: Reader, name: str, channel: str, public: bytes) -> Pointer:
    """What a channel points at, after its signature was checked; expiry is left to `verify_channel`.

    Raises:
        FileNotFoundError: if nothing was ever released there.
        Refusal: if the signature does not hold or it was signed for another channel.
    """
    key = pointer_key(name, channel)
    data, _ = store.read(key)
    what = f"{store.url}/{key}"
    try:
        pointer = Pointer.model_validate_json(json.dumps(unseal(data, POINTER, public, what)))
    except ValueError as error:
        raise Refusal(f"{what}: signed, but no channel pointer ({type(error).__name__})") from None
    if (pointer.name, pointer.channel) != (name, channel):
        raise Refusal(f"{what}: signed for {pointer.name}/{pointer.channel}; someone copied it here")
    return pointer


def current(store: Reader, name: str, channel: str, public: bytes) -> Pointer | None:
    """What the channel points at, or None before the first release; raises Refusal if the pointer does not hold."""
    try:
        return read_pointer(store, name, channel, public)
    except FileNotFoundError:
        return None


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
    """
    now = now or datetime.now(UTC)
    key = pointer_key(claim.name, channel)
    for _ in range(RACES):
        try:
            tag: str | None = store.read(key)[1]
            held = read_pointer(store, claim.name, channel, public_of(signer))
        except FileNotFoundError:
            tag, held = None, None
        if held is not None and claim.version in held.withdrawn:
            raise Refusal(
                f"{store.url}/{key}: {claim.name} {claim.version} was withdrawn and is not released again; raise "
                "release.version in params.yaml"
            )
        outcome = "moved"
        if held is not None and held.sequence > claim.sequence:
            return "superseded"
        if held is not None and held.sequence == claim.sequence:
            if datetime.fromisoformat(held.expires) - now > timedelta(days=expires_days) / 2:
                return "unchanged"
            outcome = "renewed"
        elif held is not None and over is not None:
            over(held)
        pointer = Pointer(
            **claim.model_dump(),
            channel=channel,
            expires=(now + timedelta(days=expires_days)).isoformat(timespec="seconds"),
            serial=held.serial + 1 if held else 1,
            withdrawn=held.withdrawn if held else (),
        )
        if store.swap(key, seal(json.loads(pointer.to_json()), POINTER, signer), tag):
            return outcome
    raise UserError(f"{store.url}/{key}: lost {RACES} races for the channel; is the store writable and consistent?")
