"""Thrift's compact protocol, read strictly: a field that is not known is a fault, because readers pass over it.

Parquet describes its pages and columns in it: https://github.com/apache/parquet-format, `parquet.thrift`.
"""

from collections.abc import Mapping
from typing import Any

DEPTH = 16


class Fault(Exception):
    """What is wrong with a table: rule, reason, offset."""

    def __init__(self, what: str, reason: str, offset: int | None = None) -> None:
        super().__init__(reason)
        self.what, self.reason, self.offset = what, reason, offset


class Compact:
    """Reads structures from `data`, which stands at `start` in the file.

    What is known of a structure is a mapping from field ids: None for a number, a truth value or bytes, a mapping for
    a structure, a tuple of one for a list of such.
    """

    def __init__(self, data: bytes, start: int, longest: int) -> None:
        """`longest` is how many bytes a text may have."""
        self.data, self.at, self.start, self.longest = data, 0, start, longest

    def structure(self, known: Mapping[int, Any], depth: int = DEPTH) -> dict[int, Any]:
        """The structure that begins here, field id -> value; raises Fault for what is not known."""
        found: dict[int, Any] = {}
        field = 0
        while head := self._byte():
            field = field + (head >> 4) if head >> 4 else self._number()
            if field not in known or field in found:
                raise self._fault(f"holds the field {field}, which is unknown or there twice")
            found[field] = self._value(head & 0x0F, known[field], depth)
        return found

    def _fault(self, reason: str) -> Fault:
        return Fault("form", f"a description of its layout {reason}", self.start + self.at)

    def _byte(self) -> int:
        if self.at >= len(self.data):
            raise self._fault("does not end")
        self.at += 1
        return self.data[self.at - 1]

    def _varint(self) -> int:
        value = 0
        for shift in range(0, 70, 7):
            part = self._byte()
            value |= (part & 0x7F) << shift
            if not part & 0x80:
                return value
        raise self._fault("holds a number that does not end")

    def _number(self) -> int:
        value = self._varint()
        return (value >> 1) ^ -(value & 1)

    def _bytes(self) -> bytes:
        length = self._varint()
        if length > min(self.longest, len(self.data) - self.at):
            raise self._fault(f"holds a text of {length} bytes")
        self.at += length
        return self.data[self.at - length : self.at]

    def _value(self, kind: int, known: Any, depth: int) -> Any:
        if kind in (1, 2) and known is None:
            return kind == 1
        if kind in (3, 4, 5, 6) and known is None:
            return self._byte() if kind == 3 else self._number()
        if kind == 8 and known is None:
            return self._bytes()
        if kind == 9 and isinstance(known, tuple):
            head = self._byte()
            size = self._varint() if head >> 4 == 15 else head >> 4
            if size > len(self.data):
                raise self._fault(f"holds a list of {size}")
            return [self._value(head & 0x0F, known[0], depth - 1) for _ in range(size)]
        if kind == 12 and isinstance(known, Mapping) and depth:
            return self.structure(known, depth - 1)
        raise self._fault(f"holds a value of kind {kind}")
