"""Whether a version is affected, by the evaluation that the OSV schema prescribes, in the order of PEP 440.

A local version (`2.13.0+cpu`) is held to be its public one (`2.13.0`): the same code, built differently. What cannot be
compared is not passed over: `Undecided` says so, and the package is then not audited.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from packaging.version import InvalidVersion, Version

_ORDER = {"fixed": 0, "introduced": 1, "last_affected": 2}
"""Of events at one version: a version that mends and brings it back is affected, and so is the last affected one."""
_ENDS = {("introduced", "0"): Version("0.dev0"), ("limit", "*"): Version("999999999!0")}
"""Words of the schema for what is below and above every version."""


class Undecided(Exception):
    """An advisory does not let it be decided whether a version is affected; `str(error)` says why."""


def public(version: str) -> Version:
    """The version without its local part; raises InvalidVersion if it is none of PEP 440."""
    return Version(Version(version).public)


def affected(version: Version, said: dict[str, Any]) -> bool:
    """Whether an `affected` object covers `version`.

    Raises:
        Undecided: if it does not state what would decide it.
    """
    listed, ranges = ([] if said.get(key) is None else said[key] for key in ("versions", "ranges"))
    if not isinstance(listed, list) or not isinstance(ranges, list):
        raise Undecided("`versions` or `ranges` is no list")
    if any(_same(version, str(one)) for one in listed):
        return True
    ordered = [one for one in ranges if not _is_git(one)]
    if not ordered and not listed:
        raise Undecided("it states neither versions nor a range of them")
    doubts = []
    for one in ordered:
        try:
            if _within(version, list(_events(one))):
                return True
        except Undecided as doubt:
            doubts.append(doubt)
    if doubts:
        raise doubts[0]
    return False


def fixes(version: Version, said: dict[str, Any]) -> set[Version]:
    """The lowest version above `version` that mends it, for each range that covers it."""
    found: set[Version] = set()
    for one in said.get("ranges") or []:
        try:
            events = [] if _is_git(one) else list(_events(one))
            covered = bool(events) and _within(version, events)
        except Undecided:
            continue  # another range or the list of versions has decided it
        if covered:
            found |= set(sorted(at for kind, at in events if kind == "fixed" and at > version)[:1])
    return found


def _is_git(said: Any) -> bool:
    """Whether a range is one of commits, which only their repository can put in order."""
    return isinstance(said, dict) and said.get("type") == "GIT"


def _same(version: Version, listed: str) -> bool:
    try:
        return public(listed) == version
    except InvalidVersion:
        return False  # an installed version is one of PEP 440, so it is not this one


def _events(said: Any) -> Iterator[tuple[str, Version]]:
    """Kind and version of every event of a range."""
    events = said.get("events") if isinstance(said, dict) else None
    if not isinstance(events, list) or not events:
        raise Undecided("a range without events")
    for event in events:
        if not isinstance(event, dict) or not event or event.keys() - {*_ORDER, "limit"}:
            raise Undecided(f"an event that is none: {str(event)[:60]}")
        for kind, value in event.items():
            try:
                yield kind, _ENDS.get((kind, value)) or Version(value)
            except (InvalidVersion, TypeError):
                raise Undecided(f"`{kind}` is {str(value)[:40]!r}, no version of PEP 440") from None


def _within(version: Version, events: Sequence[tuple[str, Version]]) -> bool:
    """The schema's evaluation of one range."""
    if "introduced" not in {kind for kind, _ in events}:
        raise Undecided("a range that says nowhere where it begins")
    limits = [at for kind, at in events if kind == "limit"]
    if limits and not any(version < limit for limit in limits):
        return False
    inside = False
    turns = [one for one in events if one[0] != "limit"]
    for kind, at in sorted(turns, key=lambda one: (one[1], _ORDER[one[0]])):
        if kind == "introduced" and version >= at:
            inside = True
        elif (kind == "fixed" and version >= at) or (kind == "last_affected" and version > at):
            inside = False
    return inside
