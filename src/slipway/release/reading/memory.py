"""A reader's memory: how far each channel and the key log had come when they were last read, and what was withdrawn.

A mirror that serves an old pointer, correctly signed and not expired yet, cannot be told from the present one by the
signature; but who has seen a later one knows. Nor can a key log whose end is hidden, so that a key which was retired or
revoked seems to sign still. It lies in `$XDG_STATE_HOME/slipway/seen.json` (`~/.local/state`); `SLIPWAY_STATE` names
another folder. What it holds of a release is written after everything was verified.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from slipway.errors import Refusal
from slipway.files import sha256_bytes
from slipway.release.publishing.pointer import Pointer, channels, pointer_key, read_pointer, release_prefix
from slipway.release.reading.book import Book, Seen, SeenLog, changed, load, place
from slipway.release.reading.reader import Reader
from slipway.release.signing import keyring
from slipway.release.withdrawal import tombstone

_WAY_OUT = (
    "If that is right (two stores under one key, or the publisher began anew), remove its entry in {}, or set "
    "SLIPWAY_STATE to another folder for one of them"
)


class Asked(NamedTuple):
    """What was asked of a store before one of its releases is used; a mirror may answer otherwise the next time."""

    pointers: tuple[Pointer, ...]
    log: tuple[bytes, ...]
    """The key log, to be given to whatever reads on, so that none of it can be hidden then."""


def ask(
    store: Reader,
    name: str,
    version: str | None,
    public: bytes,
    *,
    channel: str,
    log: Sequence[bytes] = (),
    now: datetime | None = None,
) -> Asked:
    """Key log and pointers, before a release is used: the channel's, or those that know of a version's withdrawal.

    Give the pointers to `note` once the release was verified. Raises as `follow_log`, `follow` and `check_version`.
    """
    log = follow_log(store, public, log)
    if version is None:
        return Asked((follow(store, name, channel, public, now=now, log=log),), log)
    return Asked(tuple(check_version(store, name, version, public, log)), log)


def follow_log(store: Reader, public: bytes, log: Sequence[bytes] = ()) -> tuple[bytes, ...]:
    """The key log, if it holds all that was seen of it before; what it holds beyond that is written down.

    A store without any log is another store of the same publisher, or hides it; it may be used while the key that was
    given is not known to be at its end.

    Raises:
        Refusal: if the log does not hold, or an event that was seen is missing or another one.
    """
    ring, anchor = keyring.read(store, public, copy=log), sha256_bytes(public)
    found = SeenLog(events=tuple(map(sha256_bytes, ring.log)), ended=anchor in ring.retired or anchor in ring.revoked)
    known = load().logs.get(anchor, SeenLog())
    if found.events[: len(known.events)] != known.events and (found.events or known.ended):
        raise Refusal(
            f"{store.url}/{keyring.FOLDER}: {len(found.events)} key events, but {len(known.events)} were seen before, "
            "and these are not the first of them; someone hides that a key was retired or revoked. Nothing was used. "
            f"{_WAY_OUT.format(place())}"
        )
    if len(found.events) > len(known.events):
        with changed() as book:
            if book is not None and len(found.events) > len(book.logs.get(anchor, SeenLog()).events):
                book.logs[anchor] = found
    return ring.log


def follow(
    store: Reader, name: str, channel: str, public: bytes, *, now: datetime | None = None, log: Sequence[bytes] = ()
) -> Pointer:
    """The channel's pointer, if it names a release, has not expired and is not older than one that was seen before.

    Nothing is written down: `note` does that, once the release behind it was verified.

    Raises:
        Refusal: saying which of these does not hold.
    """
    what = f"{store.url}/{pointer_key(name, channel)}"
    book = load()  # before the pointer, for another reader may note a later one in between
    try:
        pointer = read_pointer(store, name, channel, public, log)
    except FileNotFoundError:
        there = ", ".join(channels(store, name)) or "none"
        raise Refusal(
            f"{what}: the pointer is missing; nothing was released on this channel, or it was removed. "
            f"Channels of {name} here: {there}"
        ) from None
    check(book, pointer, store.url, public)
    if datetime.fromisoformat(pointer.expires) < (now or datetime.now(UTC)):
        raise Refusal(f"{what}: expired {pointer.expires}; it may be an old copy. Its publisher renews it")
    if pointer.version is None:
        gone = ", ".join(pointer.withdrawn)
        raise Refusal(f"{what}: names no release; what it named was withdrawn ({gone}). Wait for the next release")
    if pointer.version in pointer.withdrawn:
        raise Refusal(f"{what}: names {pointer.version}, which it says was withdrawn; do not use it")
    return pointer


def check(book: Book, pointer: Pointer, url: str, public: bytes) -> None:
    """That a pointer is no older than what was seen; raises Refusal, with the way out."""
    known = book.channels.get(_channel(pointer, public))
    if known is None or pointer.serial > known.serial:
        return
    what = f"{url}: channel {pointer.channel} of {pointer.name}"
    out = _WAY_OUT.format(place())
    if pointer.serial < known.serial:
        raise Refusal(
            f"{what} is at change {pointer.serial} ({pointer.version}), but change {known.serial} ({known.version}) "
            f"was seen on {known.time} at {known.store}; it was rolled back, or this is an old copy. Nothing was used. "
            f"{out}"
        )
    if (pointer.version, pointer.manifest_sha256) != (known.version, known.manifest_sha256):
        raise Refusal(
            f"{what} names {pointer.version} by its change {pointer.serial}, but the same change named {known.version} "
            f"on {known.time} at {known.store}; two pointers were signed for one place. Nothing was used. {out}"
        )


def check_version(store: Reader, name: str, version: str, public: bytes, log: Sequence[bytes] = ()) -> list[Pointer]:
    """That nobody who is trusted says that a version was withdrawn, even if its tombstone is missing.

    Returns: the pointers of the name that were asked, for `note`; one that does not hold is not asked.

    Raises:
        Refusal: if a channel lists it, is older than what was seen or is hidden, or its tombstone was seen before.
    """
    book = load()
    asked = [pointer for channel in channels(store, name) if (pointer := _holding(store, name, channel, public, log))]
    told = tombstone.exists(store, release_prefix(name, version))
    seen = {key.rpartition("/")[2] for key in book.channels if key.startswith(f"{sha256_bytes(public)}/{name}/")}
    if hidden := sorted(seen - {pointer.channel for pointer in asked}):
        raise Refusal(
            f"{store.url}: channel {', '.join(hidden)} of {name} was seen before, but is missing or does not hold; "
            f"it may say that {version} was withdrawn. Nothing was used. {_WAY_OUT.format(place())}"
        )
    for pointer in asked:
        check(book, pointer, store.url, public)
        if version in pointer.withdrawn and not told:
            raise Refusal(
                f"{store.url}: {name} {version} was withdrawn, says its channel {pointer.channel}, but its tombstone "
                "is missing here; someone hides it. Do not use this copy"
            )
    reason = book.withdrawn.get(_release(name, version, public))
    if reason is not None and not told:  # else the tombstone says it better
        raise Refusal(
            f"{store.url}: {name} {version} was withdrawn ({reason}), as was seen here before. Use another version; if "
            f"that is not so, remove its entry in {place()}"
        )
    return asked


def _holding(store: Reader, name: str, channel: str, public: bytes, log: Sequence[bytes]) -> Pointer | None:
    """The pointer of a channel; None if it is not signed by this key, as that of another publisher is not."""
    try:
        return read_pointer(store, name, channel, public, log)
    except (Refusal, FileNotFoundError):
        return None


def note(store: Reader, public: bytes, *pointers: Pointer) -> None:
    """Write down what was read, never going back; without a place to write, say so and go on."""
    with changed() as book:
        if book is None:
            return
        for pointer in pointers:
            known = book.channels.get(_channel(pointer, public))
            if known is not None and known.serial > pointer.serial:
                continue  # noted by another reader while this one read on; when it was read, this was the latest
            check(book, pointer, store.url, public)
            book.channels[_channel(pointer, public)] = Seen(
                **pointer.model_dump(include={"serial", "sequence", "version", "manifest_sha256"}),
                store=store.url,
                time=datetime.now(UTC).isoformat(timespec="seconds"),
            )
            for version in pointer.withdrawn:
                book.withdrawn.setdefault(_release(pointer.name, version, public), "listed by its channel")


def note_withdrawn(found: tombstone.Yanked, public: bytes) -> None:
    """Write down a tombstone that was read, so that nobody can hide it later."""
    with changed() as book:
        if book is not None:
            book.withdrawn[_release(found.name, found.version, public)] = found.reason


def _channel(pointer: Pointer, public: bytes) -> str:
    return f"{sha256_bytes(public)}/{pointer.name}/{pointer.channel}"


def _release(name: str, version: str, public: bytes) -> str:
    return f"{sha256_bytes(public)}/{name}@{version}"
