"""Thrift's compact protocol, read into lists that can be changed and written again: how hostile parquet is made."""

import struct


def _varint(data, at):
    value = shift = 0
    while True:
        part = data[at]
        value |= (part & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if not part & 0x80:
            return value, at


def _write_varint(value):
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def _read(kind, data, at):  # noqa: PLR0911  one for each kind of value
    if kind in (1, 2):
        return kind == 1, at
    if kind == 3:
        return data[at], at + 1
    if kind in (4, 5, 6):
        value, at = _varint(data, at)
        return (value >> 1) ^ -(value & 1), at
    if kind == 7:
        return data[at : at + 8], at + 8
    if kind == 8:
        length, at = _varint(data, at)
        return data[at : at + length], at + length
    if kind == 9:
        head, at = data[at], at + 1
        size = head >> 4
        if size == 15:
            size, at = _varint(data, at)
        found = []
        for _ in range(size):
            value, at = _read(head & 15, data, at)
            found.append(value)
        return (head & 15, found), at
    assert kind == 12
    return read(data, at)


def read(data, at=0):
    """The structure at `at` as {field: [kind, value]}, and where it ends."""
    found, field = {}, 0
    while head := data[at]:
        at += 1
        field += head >> 4
        kind = head & 15
        value, at = _read(kind, data, at)
        found[field] = [kind, value]
    return found, at + 1


def _write(kind, value):
    if kind == 3:
        return bytes([value])
    if kind in (4, 5, 6):
        return _write_varint(value * 2 if value >= 0 else -value * 2 - 1)
    if kind == 7:
        return value
    if kind == 8:
        return _write_varint(len(value)) + value
    if kind == 9:
        inner, values = value
        head = (
            bytes([len(values) << 4 | inner])
            if len(values) < 15
            else bytes([0xF0 | inner]) + _write_varint(len(values))
        )
        return head + b"".join(bytes([1 if v else 2]) if inner in (1, 2) else _write(inner, v) for v in values)
    assert kind == 12
    return write(value)


def write(fields):
    """The bytes of a structure that `read` gave."""
    out, before = b"", 0
    for field, (kind, value) in sorted(fields.items()):
        assert 0 < field - before < 16
        truth = kind in (1, 2)
        out += bytes([(field - before) << 4 | (2 - bool(value) if truth else kind)])
        out += b"" if truth else _write(kind, value)
        before = field
    return out + b"\0"


def split(content):
    """What is before the footer of a parquet file, and the footer as `read` gives it."""
    (length,) = struct.unpack("<I", content[-8:-4])
    end = len(content) - 8 - length
    return content[:end], read(content, end)[0]


def join(pages, footer, hidden=b""):
    """A parquet file; `hidden` stands behind the footer's structure, inside of what the file says is the footer."""
    raw = write(footer) + hidden
    return pages + raw + struct.pack("<I", len(raw)) + b"PAR1"


def columns(footer):
    """ColumnMetaData of every column of the first row group."""
    return [chunk[3][1] for chunk in footer[4][1][1][0][1][1][1]]
