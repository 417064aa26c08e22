"""The header of a GGUF file, read as bytes: counts, lengths, types and offsets, each held against what is there.

Nothing is believed that the file says of itself before it fits into the file. What a release's files do not use
(other versions, other types of values, arrays in arrays, another alignment) is refused rather than read.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import prod
from typing import NamedTuple

from slipway.gguf import layout

LIMIT = 64 << 20
"""Most bytes of a header; that of a vocabulary of 150,000 tokens has about 7 MB."""
SIDES = 4
"""Most sides of a tensor, as in llama.cpp."""
_BYTES = {layout.UINT32: 4, layout.INT32: 4, layout.FLOAT32: 4, layout.BOOL: 1}
_BY_CODE = {kind.code: kind for kind in layout.TYPES.values()}
_LEAST_ENTRY, _LEAST_TENSOR = 8 + 4 + 1, 8 + 4 + 8 + 4 + 8
"""Fewest bytes of a line of metadata, and of a tensor's description."""


class Fault(Exception):
    """What is wrong: rule, reason, offset."""

    def __init__(self, what: str, reason: str, offset: int | None = None) -> None:
        super().__init__(reason)
        self.what, self.reason, self.offset = what, reason, offset


class Value(NamedTuple):
    """Where a metadata value stands, its type included."""

    key: str
    first: int
    last: int


class Described(NamedTuple):
    """A tensor as the header describes it."""

    name: str
    shape: tuple[int, ...]
    """Rows first."""
    code: int
    first: int
    """Offset of its first byte in the file."""
    last: int
    """Offset behind its last byte, without filling."""
    at: int
    """Offset of its description."""


@dataclass
class Header:
    """What stands before the numbers."""

    content: bytes
    """From the beginning of the file; may reach into the numbers."""
    values: list[Value] = field(default_factory=list)
    tensors: list[Described] = field(default_factory=list)
    end: int = 0
    """Offset of the numbers."""


class _Cursor:
    def __init__(self, content: bytes) -> None:
        self.content, self.at = content, 0

    def take(self, size: int) -> bytes:
        if size > len(self.content) - self.at:
            raise Fault("bounds", f"says that {size} bytes follow, but the file or its header ends before", self.at)
        self.at += size
        return self.content[self.at - size : self.at]

    def number(self, form: str) -> int:
        found: int = struct.unpack(form, self.take(struct.calcsize(form)))[0]
        return found

    def text(self) -> str:
        at = self.at
        raw = self.take(self.number("<Q"))
        try:
            return raw.decode()
        except UnicodeDecodeError:
            raise Fault("encoding", "holds a text that is not UTF-8", at) from None

    def value(self) -> None:
        """Pass over one value of a type that is used."""
        at, kind = self.at, self.number("<I")
        if kind == layout.ARRAY:
            item, count = self.number("<I"), self.number("<Q")
            if item not in (layout.STRING, layout.INT32):
                raise Fault("type", f"holds a list of values of the type {item}, which is not used", at)
            if count > len(self.content) // 4:
                raise Fault("bounds", f"says that a list has {count} items", at)
            for _ in range(count if item == layout.STRING else 0):
                self.text()
            self.take(4 * count if item == layout.INT32 else 0)
        elif kind == layout.STRING:
            self.text()
        elif kind in _BYTES:
            raw = self.take(_BYTES[kind])
            if kind == layout.BOOL and raw not in (b"\0", b"\1"):
                raise Fault("type", "holds a truth value that is neither true nor false", at)
        else:
            raise Fault("type", f"holds a value of the type {kind}, which is not used", at)


def _metadata(cursor: _Cursor, count: int) -> Iterator[Value]:
    seen: set[str] = set()
    for _ in range(count):
        at = cursor.at
        key = cursor.text()
        if key in seen:
            raise Fault("duplicate", f"has the key {key[:80]!a} twice", at)
        seen.add(key)
        if key == "general.alignment":
            raise Fault("alignment", "sets an alignment of its own; the exporter keeps the usual 32", at)
        first = cursor.at
        cursor.value()
        yield Value(key, first, cursor.at)


def _tensors(cursor: _Cursor, count: int) -> Iterator[Described]:
    """Descriptions with offsets that count from the beginning of the numbers."""
    seen: set[str] = set()
    expected = 0
    for _ in range(count):
        at = cursor.at
        name = cursor.text()
        sides = cursor.number("<I")
        if name in seen or not 1 <= sides <= SIDES:
            words = "describes it twice" if name in seen else f"has {sides} sides"
            raise Fault("duplicate" if name in seen else "shape", f"tensor {name[:80]!a}: {words}", at)
        seen.add(name)
        shape = struct.unpack(f"<{sides}Q", cursor.take(8 * sides))[::-1]
        code, offset = cursor.number("<I"), cursor.number("<Q")
        kind = _BY_CODE.get(code)
        if kind is None or shape[-1] % kind.block or 0 in shape:
            raise Fault("type", f"tensor {name[:80]!a}: no tensor {list(shape)} of type {code} is made here", at)
        if offset != expected:
            words = "overlaps with the one before it" if offset < expected else "leaves a hole before it"
            raise Fault("offset", f"tensor {name[:80]!a}: begins at {offset}, not at {expected}, and {words}", at)
        size = prod(shape) // kind.block * kind.bytes
        expected += layout.padded(size)
        yield Described(name, shape, code, offset, offset + size, at)


def parse(content: bytes, size: int) -> Header:
    """Read a header.

    Args:
        content: the first bytes of the file, LIMIT of them if there are as many.
        size: of the whole file.

    Raises:
        Fault: `magic`, `version`, `count`, `bounds`, `encoding`, `type`, `duplicate`, `alignment`, `shape`, `offset`,
            `filling` or `tail`.
    """
    cursor = _Cursor(content)
    if content[:4] != layout.MAGIC:
        raise Fault("magic", "does not begin as GGUF", 0)
    cursor.at = 4
    if (version := cursor.number("<I")) != layout.VERSION:
        words = " (the bytes stand the other way round)" if version == layout.VERSION << 24 else ""
        raise Fault("version", f"is of version {version}{words}; made here is version {layout.VERSION}", 4)
    tensors, entries = cursor.number("<Q"), cursor.number("<Q")
    if not tensors or not entries or tensors * _LEAST_TENSOR + entries * _LEAST_ENTRY > len(content):
        raise Fault("count", f"says that it has {tensors} tensors and {entries} lines of metadata", 8)
    header = Header(content, list(_metadata(cursor, entries)))
    described = list(_tensors(cursor, tensors))
    header.end = layout.padded(cursor.at)
    if any(cursor.take(min(header.end - cursor.at, len(content) - cursor.at))):
        raise Fault("filling", "holds bytes between its header and its numbers", cursor.at)
    header.tensors = [one._replace(first=header.end + one.first, last=header.end + one.last) for one in described]
    last = header.end + layout.padded(described[-1].last)
    if size != last:
        words = f"{size - last} bytes follow the last tensor" if size > last else f"{last - size} bytes are missing"
        raise Fault("tail", words, min(size, last))
    return header
