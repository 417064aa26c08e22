"""What readers and publishers remember, `seen.json`: what it holds, where it lies, and how one at a time changes it."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import ValidationError

from slipway.errors import UserError
from slipway.files import write_atomic
from slipway.records import Record


class Seen(Record):
    """The latest pointer of a channel that was read here."""

    serial: int
    sequence: int
    version: str | None
    manifest_sha256: str | None
    store: str
    """Where it was read."""
    time: str


class Written(Seen):
    """The latest pointer of a channel of one's own store: the highest number, and what is never taken back."""

    withdrawn: tuple[str, ...] = ()
    """Versions that it listed."""
    keys: int = 0
    """Key events that its signer had seen."""
    events: int = 0
    """Key events that the log of its store was seen to have."""


class SeenLog(Record):
    """The key log that was followed from a key."""

    events: tuple[str, ...] = ()
    """sha256 of each event."""
    ended: bool = False
    """Whether it says that the key which was begun with is retired or revoked."""


class Book(Record):
    """Everything that is remembered."""

    channels: dict[str, Seen] = {}
    """`<sha256 of the anchor key>/<name>/<channel>` -> what was seen."""
    withdrawn: dict[str, str] = {}
    """`<sha256 of the anchor key>/<name>@<version>` -> reason, as far as it is known."""
    published: dict[str, Written] = {}
    """`<sha256 of the signing key> <address of the store> <name>/<channel>` -> what a publisher wrote or saw there."""
    logs: dict[str, SeenLog] = {}
    """sha256 of the anchor key -> the longest key log that was followed from it."""


def place() -> Path:
    """The file of the memory."""
    if named := os.environ.get("SLIPWAY_STATE"):
        return Path(named).expanduser() / "seen.json"
    try:
        home = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    except RuntimeError:  # a user without a name, as containers have them, and no HOME
        raise UserError("no home folder to remember in what was seen; set SLIPWAY_STATE to a folder of yours") from None
    return Path(home) / "slipway" / "seen.json"


@contextmanager
def changed() -> Iterator[Book | None]:
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
        before = load()
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


def load() -> Book:
    """The memory; empty if there is none yet, raises UserError if it cannot be read."""
    path = place()
    try:
        data = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return Book()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); make it yours, or set SLIPWAY_STATE") from None
    try:
        return Book.model_validate_json(data)
    except ValidationError:
        raise UserError(f"{path}: is no memory of what was seen; it was altered or cut. Move it away") from None
