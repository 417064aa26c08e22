"""A reader's memory: how far each channel had come when it was last read, and what was withdrawn.

A mirror that serves an old pointer, correctly signed and not expired yet, cannot be told from the present one by the
signature; but who has seen a later one knows. It lies in `$XDG_STATE_HOME/slipway/seen.json` (`~/.local/state`);
`SLIPWAY_STATE` names another folder. What it holds is written after everything was verified.
"""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError

from slipway.errors import Refusal, UserError
from slipway.files import sha256_bytes, write_atomic
from slipway.records import Record
from slipway.release import tombstone
from slipway.release.pointer import Pointer, channels, current, pointer_key, release_prefix
from slipway.release.reader import Reader


class Seen(Record):
    """The latest pointer of a channel that was read here."""

    serial: int
    sequence: int
    version: str | None
    manifest_sha256: str | None
    store: str
    """Where it was read."""
    time: str


class Book(Record):
    """Everything that is remembered."""

    channels: dict[str, Seen] = {}
    """`<sha256 of the anchor key>/<name>/<channel>` -> what was seen."""
    withdrawn: dict[str, str] = {}
    """`<sha256 of the anchor key>/<name>@<version>` -> reason, as far as it is known."""


def place() -> Path:
    """The file of the memory."""
    if named := os.environ.get("SLIPWAY_STATE"):
        return Path(named).expanduser() / "seen.json"
    home = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(home) / "slipway" / "seen.json"


def ask(
    store: Reader, name: str, version: str | None, public: bytes, *, channel: str, now: datetime | None = None
) -> list[Pointer]:
    """The pointers to ask before a release is used: the channel's, or those that know whether a version was withdrawn.

    Give them to `note` once the release was verified. Raises as `follow` and `check_version`.
    """
    if version is None:
        return [follow(store, name, channel, public, now)]
    return check_version(store, name, version, public)


def follow(store: Reader, name: str, channel: str, public: bytes, now: datetime | None = None) -> Pointer:
    """The channel's pointer, if it names a release, has not expired and is not older than one that was seen before.

    Nothing is written down: `note` does that, once the release behind it was verified.

    Raises:
        Refusal: saying which of these does not hold.
    """
    what = f"{store.url}/{pointer_key(name, channel)}"
    pointer = current(store, name, channel, public)
    if pointer is None:
        there = ", ".join(channels(store, name)) or "none"
        raise Refusal(
            f"{what}: the pointer is missing; nothing was released on this channel, or it was removed. "
            f"Channels of {name} here: {there}"
        )
    check(_load(), pointer, store.url, public)
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
    out = (
        f"If that is right (two stores under one key, or the publisher began anew), remove its entry in {place()}, or "
        "set SLIPWAY_STATE to another folder for one of them"
    )
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


def check_version(store: Reader, name: str, version: str, public: bytes) -> list[Pointer]:
    """That nobody who is trusted says that a version was withdrawn, even if its tombstone is missing.

    Returns: the pointers of the name that were asked, for `note`; one that does not hold is not asked.

    Raises:
        Refusal: if a channel lists it or is older than what was seen, or its tombstone was seen before.
    """
    asked = [pointer for channel in channels(store, name) if (pointer := _holding(store, name, channel, public))]
    book, told = _load(), tombstone.exists(store, release_prefix(name, version))
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


def _holding(store: Reader, name: str, channel: str, public: bytes) -> Pointer | None:
    """The pointer of a channel; None if it is not signed by this key, as that of another publisher is not."""
    try:
        return current(store, name, channel, public)
    except Refusal:
        return None


def note(store: Reader, public: bytes, *pointers: Pointer) -> None:
    """Write down what was read, never going back; without a place to write, say so and go on."""
    with _changed() as book:
        if book is None:
            return
        for pointer in pointers:
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
    with _changed() as book:
        if book is not None:
            book.withdrawn[_release(found.name, found.version, public)] = found.reason


@contextmanager
def _changed() -> Iterator[Book | None]:
    """The memory, to be changed while nobody else does; None where it cannot be written."""
    from filelock import FileLock

    path = place()
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = FileLock(path.with_suffix(".lock"))
        lock.acquire()
    except OSError as error:
        _warn(path, error)
        yield None
        return
    try:
        before = _load()
        book = before.model_copy(deep=True)
        yield book
        if book != before:
            write_atomic(path, book.to_json(), mode=0o600)
    except OSError as error:
        if error.filename is None or not str(error.filename).startswith(str(path.parent)):
            raise
        _warn(path, error)
    finally:
        lock.release()


def _warn(path: Path, error: OSError) -> None:
    text = f"{path}: cannot be written ({error.strerror}), so an older pointer will not be recognised next time"
    print(f"warning: {text}; set SLIPWAY_STATE to a folder of yours", file=sys.stderr, flush=True)


def _load() -> Book:
    path = place()
    try:
        data = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return Book()
    try:
        return Book.model_validate(json.loads(data))
    except (ValueError, ValidationError):
        raise UserError(f"{path}: is no memory of what was seen; it was altered or cut. Move it away") from None


def _channel(pointer: Pointer, public: bytes) -> str:
    return f"{sha256_bytes(public)}/{pointer.name}/{pointer.channel}"


def _release(name: str, version: str, public: bytes) -> str:
    return f"{sha256_bytes(public)}/{name}@{version}"
