"""A publisher's memory of its own channels: how far each had come in its store, and what was withdrawn by then.

Who can write to the store can put an old pointer back, correctly signed. The next one would be numbered after it and
forget what was withdrawn since; only who remembers the later one knows. It lies in the file of a reader's memory
(`reading.book`), but for each address of a store, so that a rehearsal under the same key is no rollback.

A store that was restored from a backup is behind too. `SLIPWAY_RESTORED=NAME/CHANNEL@CHANGE` says that this very
change is meant; the next pointer then has a number after all that was remembered, and lists all that was withdrawn.
"""

import contextlib
import os
from collections.abc import Collection, Iterable
from datetime import UTC, datetime
from typing import NamedTuple

from slipway.errors import Refusal
from slipway.files import sha256_bytes
from slipway.release.publishing.pointer import Pointer, pointer_key, read_tagged
from slipway.release.reading.book import Book, Written, changed, load, place
from slipway.release.reading.reader import Reader
from slipway.release.signing import keyring

RESTORED = "SLIPWAY_RESTORED"


class Held(NamedTuple):
    """A channel as it is now, and what its next pointer must not fall behind."""

    pointer: Pointer | None
    """None if there is none."""
    tag: str | None
    """Of the pointer's bytes."""
    serial: int
    """The next one's is above it."""
    sequence: int
    """Highest of any release of the name that is remembered, or that the pointer names."""
    withdrawn: frozenset[str]
    """Versions of the name that are remembered as withdrawn."""
    restored: bool
    """Whether the pointer is behind, and that is meant."""

    @property
    def spent(self) -> frozenset[str]:
        """Versions that are known to be taken, whether or not their claims are there."""
        named = (self.pointer.version or "", *self.pointer.history) if self.pointer else ()
        return self.withdrawn.union(named)


def held(store: Reader, name: str, channel: str, public: bytes) -> Held:
    """Read a channel of one's own store, compare it with what is remembered, and remember it.

    Raises:
        Refusal: if the pointer does not hold, or is older than the one that was seen or written here before.
    """
    book = load()  # before the pointer: another process may move the channel and note it in between
    pointer, tag = None, None
    with contextlib.suppress(FileNotFoundError):  # before the first release
        pointer, tag = read_tagged(store, name, channel, public)
    return compare(book, store, name, channel, public, pointer=pointer, tag=tag)


def compare(
    book: Book, store: Reader, name: str, channel: str, public: bytes, *, pointer: Pointer | None, tag: str | None
) -> Held:
    """A channel beside what `book`, loaded before the pointer was read, has of it; arguments and errors as `held`."""
    ring = keyring.read(store, public)
    known = _of_name(book, store, name, ring.keys)
    if len(ring.events) < (most := max((seen.events for _, seen in known), default=0)):
        raise Refusal(
            f"{store.url}/{keyring.FOLDER}: {len(ring.events)} key events, but {most} were here; somebody hides that a "
            f"key was changed or revoked, or the store was restored from a backup. Nothing was signed. Bring the later "
            f"ones back; if they are lost, remove the store's entries under `published` in {place()}, then revoke again"
        )
    mine = max((seen for at, seen in known if at == channel), key=lambda seen: seen.serial, default=None)
    fault = _behind(pointer, mine) if mine else None
    restored = fault is not None and _meant(name, channel, pointer)
    if fault and not restored:
        at = f"{name}/{channel}@{pointer.serial if pointer else 0}"
        raise Refusal(
            f"{store.url}/{pointer_key(name, channel)}: {fault}. Somebody put an old copy back, or the store was "
            f"restored from a backup; nothing was signed over it. Bring the later one back. If it is lost, run this "
            f"with {RESTORED}={at}: the channel then goes on after all that was seen. If this store was begun anew, "
            f"remove its entries under `published` in {place()}"
        )
    if pointer and not fault:
        note(store, pointer, public)
    return Held(
        pointer,
        tag,
        serial=max(pointer.serial if pointer else 0, mine.serial if mine else 0),
        sequence=max([pointer.sequence if pointer else 0, *(seen.sequence for _, seen in known)]),
        withdrawn=frozenset(version for _, seen in known for version in seen.withdrawn),
        restored=restored,
    )


def note(store: Reader, pointer: Pointer, public: bytes) -> None:
    """Remember a pointer of one's own store; never goes back. Without a place to write, it is said, and that is all."""
    at = _key(public, store, pointer.name, pointer.channel)
    found = Written(
        **pointer.model_dump(include={"serial", "sequence", "version", "manifest_sha256", "withdrawn", "keys"}),
        store=store.url,
        time=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    known = load().published.get(at)
    if known is not None and known.serial >= found.serial:
        return  # most of the time; so nobody waits for the lock
    with changed() as book:
        if book is not None and ((known := book.published.get(at)) is None or known.serial < found.serial):
            # The number of a release that was named once is not given again, though it was withdrawn since.
            most = max(found.sequence, known.sequence if known else 0)
            events = max(found.keys, known.events if known else 0)
            book.published[at] = found.model_copy(update={"sequence": most, "events": events})


def remembered(store: Reader, name: str, public: bytes) -> set[str]:
    """Channels of a name that were seen or written in this store."""
    return {channel for channel, _ in _of_name(load(), store, name, keyring.read(store, public).keys)}


def note_events(store: Reader, public: bytes) -> None:
    """Remember how long the key log is, for every channel of this store that is remembered."""
    ring = keyring.read(store, public)
    starts = tuple(f"{sha256_bytes(key)} {_address(store)} " for key in ring.keys)
    with changed() as book:
        for at, seen in list(book.published.items()) if book is not None else ():
            if book is not None and at.startswith(starts):
                book.published[at] = seen.model_copy(update={"events": max(seen.events, len(ring.events))})


def written(store: Reader, public: bytes) -> set[tuple[str, str]]:
    """Name and channel of all that was seen or written in this store."""
    starts = tuple(f"{sha256_bytes(key)} {_address(store)} " for key in keyring.read(store, public).keys)
    places = (at.rpartition(" ")[2].partition("/") for at in load().published if at.startswith(starts))
    return {(name, channel) for name, _, channel in places}


def _address(store: Reader) -> str:
    """Which store it is: two endpoints may have buckets of one name, and one directory several spellings."""
    return getattr(store, "address", store.url)


def _behind(pointer: Pointer | None, mine: Written) -> str | None:
    """In what a pointer is older than the one that is remembered, or another."""
    was = f"change {mine.serial} ({mine.version or 'no release'}) was here on {mine.time}"
    if pointer is None:
        return f"the pointer is missing, but {was}"
    if pointer.serial < mine.serial:
        return f"is at change {pointer.serial} ({pointer.version or 'no release'}), but {was}"
    if lost := sorted(set(mine.withdrawn) - set(pointer.withdrawn)):
        return f"does not list {', '.join(lost)} as withdrawn any more, but {was} and did"
    if pointer.keys < mine.keys:
        return f"was signed after {pointer.keys} key events, but {was} and knew of {mine.keys}"
    if pointer.serial == mine.serial and (pointer.version, pointer.manifest_sha256) != (
        mine.version,
        mine.manifest_sha256,
    ):
        return f"names {pointer.version or 'no release'} by its change {pointer.serial}, but {was}"
    return None


def _meant(name: str, channel: str, pointer: Pointer | None) -> bool:
    """Whether exactly this change is said to be what a backup held."""
    said = os.environ.get(RESTORED, "").replace(",", " ").split()
    return f"{name}/{channel}@{pointer.serial if pointer else 0}" in said


def _of_name(book: Book, store: Reader, name: str, publics: Iterable[bytes]) -> Collection[tuple[str, Written]]:
    """Channel and what is remembered of it, by any key of the publisher's line."""
    starts = tuple(_key(public, store, name, "") for public in publics)
    return [(at.rpartition("/")[2], seen) for at, seen in book.published.items() if at.startswith(starts)]


def _key(public: bytes, store: Reader, name: str, channel: str) -> str:
    return f"{sha256_bytes(public)} {_address(store)} {name}/{channel}"
