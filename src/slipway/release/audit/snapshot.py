"""A snapshot of advisories in OSV format: a directory or zip of JSON files, read whole or not at all.

One entry that cannot be read makes the snapshot unreadable: nobody knows which package it would have spoken of.
"""

import json
import re
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name

from slipway.files import combined, sha256_bytes
from slipway.page import visible

ECOSYSTEM = "PyPI"
MOST = 32 << 20
"""Bytes of an entry at most; the longest that OSV publishes for PyPI have a few."""
_STYLE = re.compile(r"(?i)(@|url|expression)(import|\()")
_MOMENT = re.compile(r"(\d{4}-\d{2}-\d{2})[Tt]\d{2}:\d{2}:\d{2}(\.\d+)?([Zz]|[+-]\d{2}:\d{2})")


class Unreadable(Exception):
    """There is no database that an audit could rest on; `str(error)` says why, and what to do."""


@dataclass(frozen=True)
class Advisory:
    """One entry, and what it says of one package."""

    id: str
    names: frozenset[str]
    """Its id and its aliases."""
    affected: dict[str, Any]
    """The entry's `affected` object about the package."""
    severity: tuple[str, ...]
    summary: str


@dataclass
class Snapshot:
    """The database, as far as the packages that were asked for are concerned."""

    newest: date = date.min
    sha256: str = ""
    advisories: int = 0
    by_package: dict[str, list[Advisory]] = field(default_factory=dict)
    """Canonical name to the advisories about it."""


def read(path: Path, packages: frozenset[str], today: date) -> Snapshot:
    """Read the snapshot at `path`, a zip of JSON files or a directory with such files and zips in it.

    Args:
        path: of the snapshot.
        packages: canonical names of the packages that will be looked up.
        today: in UTC; an entry from the future would keep a snapshot fresh for ever.

    Raises:
        Unreadable: if it is missing, empty, or any entry in it cannot be read.
    """
    found = Snapshot()
    digests: dict[str, str] = {}
    for name, data in _files(path):
        where = f"{path}: {name}"
        entry = _entry(data, where)
        digest, known = sha256_bytes(data), digests.get(entry["id"])
        if known not in (None, digest):
            raise Unreadable(f"{where}: a second, different entry {entry['id']}; keep one snapshot there, not two")
        digests[entry["id"]] = digest
        if known == digest:
            continue
        day = _day(entry, where)
        if day > today + timedelta(days=1):
            raise Unreadable(f"{where}: modified on {day}, which is still to come; check the clock, or get it anew")
        found.newest = max(found.newest, day)
        _add(found, entry, packages, where)
    if not found.advisories:
        raise Unreadable(f"{path}: holds no advisory about {ECOSYSTEM}; docs/audit.md says how to get a snapshot")
    found.sha256 = combined(digests)
    return found


def _files(path: Path) -> Iterator[tuple[str, bytes]]:
    """Name and bytes of every JSON file in the snapshot."""
    if path.is_dir():
        for file in sorted(path.rglob("*")):
            if file.suffix == ".zip":
                yield from _members(file)
            elif file.suffix == ".json":
                yield file.relative_to(path).as_posix(), _bounded(file)
    elif path.is_file():
        yield from _members(path)
    else:
        raise Unreadable(f"{path}: no snapshot of advisories; docs/audit.md says how to get one")


def _bounded(file: Path) -> bytes:
    try:
        if file.stat().st_size > MOST:
            raise Unreadable(f"{file}: has more than {MOST} bytes, which no advisory has; get the snapshot anew")
        return file.read_bytes()
    except OSError as error:
        raise Unreadable(f"{file}: cannot be read ({error.strerror}); get the snapshot anew") from None


def _members(path: Path) -> Iterator[tuple[str, bytes]]:
    try:
        with zipfile.ZipFile(path) as archive:
            for member in archive.infolist():
                if not member.filename.endswith(".json"):
                    continue
                if member.file_size > MOST:
                    raise Unreadable(f"{path}: {member.filename} has more than {MOST} bytes; get the snapshot anew")
                yield member.filename, archive.read(member)
    except (OSError, zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise Unreadable(f"{path}: not a whole zip archive ({error}); get the snapshot anew") from None


def _entry(data: bytes, where: str) -> dict[str, Any]:
    try:
        entry = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"{where}: is not JSON ({type(error).__name__}); get the snapshot anew") from None
    if not isinstance(entry, dict) or not isinstance(entry.get("id"), str) or not entry["id"]:
        raise Unreadable(f"{where}: is no advisory in OSV format (it has no id); remove it, or get the snapshot anew")
    return entry


def _day(entry: dict[str, Any], where: str) -> date:
    stated = _MOMENT.fullmatch(str(entry.get("modified")))
    try:
        return date.fromisoformat(stated[1] if stated else "")
    except ValueError:
        raise Unreadable(
            f"{where}: `modified` is {str(entry.get('modified'))[:40]!r}, not a time; get the snapshot anew"
        ) from None


def _add(found: Snapshot, entry: dict[str, Any], packages: frozenset[str], where: str) -> None:
    """Count the entry if it is about PyPI and not withdrawn, and keep what it says of the packages asked for."""
    about = _or_empty(entry, "affected")
    if not isinstance(about, list) or not all(isinstance(one, dict) for one in about):
        raise Unreadable(f"{where}: `affected` is no list of objects; get the snapshot anew")
    if (withdrawn := entry.get("withdrawn")) is not None:
        if not _MOMENT.fullmatch(str(withdrawn)):
            raise Unreadable(f"{where}: `withdrawn` is {str(withdrawn)[:40]!r}, not a time; get the snapshot anew")
        return
    mine = [(name, one) for one in about if (name := _package(one, where))]
    found.advisories += bool(mine)
    for name, one in mine:
        if name in packages:
            found.by_package.setdefault(name, []).append(_advisory(entry, one, where))


def _or_empty(told: dict[str, Any], key: str) -> Any:
    """A list that may be left out."""
    return [] if told.get(key) is None else told[key]


def _package(affected: dict[str, Any], where: str) -> str | None:
    """Canonical name of the PyPI package that an `affected` object is about."""
    package = affected.get("package")
    if package is None:
        return None
    if not isinstance(package, dict) or not all(isinstance(package.get(key), str) for key in ("ecosystem", "name")):
        raise Unreadable(f"{where}: a `package` without ecosystem and name; get the snapshot anew")
    if package["ecosystem"].partition(":")[0] != ECOSYSTEM:
        return None
    return canonicalize_name(package["name"])


def _advisory(entry: dict[str, Any], affected: dict[str, Any], where: str) -> Advisory:
    aliases = _or_empty(entry, "aliases")
    if not isinstance(aliases, list) or not all(isinstance(alias, str) for alias in aliases):
        raise Unreadable(f"{where}: `aliases` is no list of names; get the snapshot anew")
    told = str(entry.get("summary") or entry.get("details") or "")
    return Advisory(
        id=_line(entry["id"], 80),
        names=frozenset(_line(name, 80) for name in (entry["id"], *aliases)),
        affected=affected,
        severity=(*_severity(affected), *_severity(entry)),
        summary=_line(told, 200),
    )


def _severity(told: dict[str, Any]) -> Iterator[str]:
    """Scores as they are stated, then the word that GitHub's database adds. Nothing is computed from them."""
    stated = told.get("severity")
    for score in stated if isinstance(stated, list) else []:
        if isinstance(score, dict) and isinstance(score.get("score"), str):
            yield _line(score["score"], 120)
    specific = told.get("database_specific")
    if isinstance(specific, dict) and isinstance(specific.get("severity"), str):
        yield _line(specific["severity"], 20)


def _line(text: str, most: int) -> str:
    """Words of a stranger as one line that can be printed, and that the scan of a page takes for no style sheet's."""
    shown = _STYLE.sub(r"\1 \2", visible(" ".join(text.split())))
    return shown if len(shown) <= most else f"{shown[: most - 1]}…"
