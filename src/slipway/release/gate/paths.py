"""Dotted paths into a report: `tasks.bits_per_byte.measure.high`, list items by index, `*` for every entry.

A name may hold dots itself (tasks of a harness do): the shortest name that is there is taken.
"""

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

MISSING = object()
"""What a path leads to that ends early."""


@dataclass(frozen=True)
class Found:
    """A value, or `MISSING`, and how it was reached."""

    path: str
    """With every `*` that matched replaced by what it matched."""
    stars: tuple[str, ...]
    """What each `*` matched, in order."""
    value: Any
    parent: Any
    """The table or list that holds the value, or the last one on the way."""
    wanted: str = ""
    """The name that is not in `parent`, where the value is `MISSING`."""

    @property
    def near(self) -> str:
        """What there is in the parent, the nearest name first."""
        names = [str(name) for name in self.parent] if isinstance(self.parent, dict) else []
        close = difflib.get_close_matches(self.wanted, names, n=1)
        rest = [name for name in names if name not in close]
        return ", ".join([*close, *rest][:6])


def find(result: Any, path: str) -> list[Found]:
    """Everything that `path` leads to; one `MISSING` where it leads nowhere."""
    return list(_walk(result, path.split("."), [], ()))


def lookup(result: Any, path: str, stars: Sequence[str] = ()) -> Any:
    """The value at a path filled with `stars`; `MISSING` if it leads nowhere, or to more than one value."""
    if path.split(".").count("*") > len(stars):
        return MISSING  # any one of them would be a bound that nobody chose
    return next(_walk(result, filled(path, stars).split("."), [], ())).value


def filled(path: str, stars: Sequence[str]) -> str:
    """`path` with each `*` in it replaced by the next of `stars`, as far as there are any."""
    left = iter(stars)
    return ".".join(next(left, part) if part == "*" else part for part in path.split("."))


def _walk(
    value: Any, parts: Sequence[str], done: list[str], stars: tuple[str, ...], parent: Any = None
) -> Iterator[Found]:
    if not parts:
        yield Found(".".join(done), stars, value, parent)
        return
    if parts[0] == "*":
        entries = list(value.items()) if isinstance(value, dict) else []
        entries = list(enumerate(value)) if isinstance(value, list) else entries
        for key, inner in entries:
            yield from _walk(inner, parts[1:], [*done, str(key)], (*stars, str(key)), value)
        if entries:
            return
    elif isinstance(value, list) and parts[0].isdigit() and int(parts[0]) < len(value):
        yield from _walk(value[int(parts[0])], parts[1:], [*done, parts[0]], stars, value)
        return
    elif isinstance(value, dict):
        for taken in range(1, len(parts) + 1):
            name = ".".join(parts[:taken])
            if name in value:
                yield from _walk(value[name], parts[taken:], [*done, name], stars, value)
                return
    yield Found(".".join([*done, *parts]), stars, MISSING, value, parts[0])
