"""What a checker gets: one file, under the name it has in the bundle, and a way to speak about it."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from slipway.records import Finding

TEXT_LIMIT = 64 << 20
"""Largest JSON or text file that is read, in bytes."""


def shown(name: str) -> str:
    """A name that can be printed: what is odd in it is escaped."""
    return name if name.isascii() and name.isprintable() else ascii(name)[1:-1]


@dataclass(frozen=True)
class Subject:
    """A regular file under judgement."""

    path: Path
    name: str
    """POSIX path inside the bundle."""
    size: int
    siblings: frozenset[str] = field(default_factory=frozenset)
    """All names in the bundle."""

    def finding(self, rule: str, reason: str, remedy: str, offset: int | None = None) -> Finding:
        """A finding on this file; what is odd in names and reasons is escaped, as it may steer who shows it."""
        plain = "".join(one if one.isprintable() else ascii(one)[1:-1] for one in reason)
        return Finding(rule=rule, path=shown(self.name), offset=offset, reason=plain, remedy=remedy)

    def read(self, size: int, offset: int = 0) -> bytes:
        """Up to `size` bytes from `offset`; does not follow a link that appeared after the walk."""
        handle = os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(handle, "rb") as stream:
            stream.seek(offset)
            return stream.read(size)

    @cached_property
    def content(self) -> bytes:
        """The whole file, up to one byte more than TEXT_LIMIT."""
        return self.read(TEXT_LIMIT + 1)


Checker = Callable[[Subject], Iterator[Finding]]
