"""Channel pointers: which release a channel names, signed, and only for a while. `publishing.moving` writes them.

As in The Update Framework (https://theupdateframework.github.io/specification/latest/), an expiry and a serial number
that never goes back keep an old pointer from passing for the present one.
"""

import json
from collections.abc import Sequence

from slipway.errors import Refusal
from slipway.records import Record
from slipway.release.reading.reader import Reader
from slipway.release.signing import keyring

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
    return read_tagged(store, name, channel, public, log)[0]


def read_tagged(
    store: Reader, name: str, channel: str, public: bytes, log: Sequence[bytes] = ()
) -> tuple[Pointer, str]:
    """The pointer, and the tag of the very bytes that it was read from; raises as `read_pointer`."""
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
