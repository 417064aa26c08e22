"""The layout of a parquet file, counted byte by byte: known fields only, pages without a gap.

A reader of parquet passes over fields and pages that it does not know; what hides there would be published unread.
Layout: https://github.com/apache/parquet-format, data pages of version 1.
"""

import re
from collections.abc import Callable
from typing import Any

from slipway.scan.thrift import Compact, Fault

DATA, DICTIONARY = 0, 2
TEXT = 2 << 10
"""Longest text in a page header; `slipway.scan.items` judges the values themselves."""
SCHEMA = 2 << 10
"""Longest text in the footer: the schema as Arrow writes it."""
LONGEST = 10 << 10
"""Bytes of a page header at most: four statistics and small numbers."""


def _fields(*plain: int, **more: Any) -> dict[int, Any]:
    return dict.fromkeys(plain) | {int(name.removeprefix("f")): known for name, known in more.items()}


STATISTICS = _fields(*range(1, 9))
HEADER = _fields(1, 2, 3, 4, f5=_fields(1, 2, 3, 4, f5=STATISTICS), f7=_fields(1, 2, 3))
"""PageHeader, of data pages of version 1 and of dictionaries."""
LOGICAL: dict[int, Any] = {1: {}, 3: {}, 10: _fields(1, 2)}
"""LogicalType of what the table has: a string, a list, an integer."""
SIZES = _fields(1, f2=(None,), f3=(None,))
COLUMN = _fields(*(1, 4, 5, 6, 7, 9, 11), f2=(None,), f3=(None,), f12=STATISTICS, f13=(_fields(1, 2, 3),), f16=SIZES)
CHUNK = _fields(2, f3=COLUMN)
FOOTER = _fields(
    *(1, 3, 6),
    f2=(_fields(*range(1, 10), f10=LOGICAL),),
    f4=(_fields(2, 3, 5, 6, 7, f1=(CHUNK,)),),
    f5=(_fields(1, 2),),
    f7=({1: {}},),
)
"""FileMetaData as Arrow writes it: no index of pages, no Bloom filter, no encryption, no metadata of a column."""
WRITER = re.compile(rb"parquet-cpp-arrow version [0-9A-Za-z.+-]{1,40}")


def check_footer(content: bytes, start: int, end: int) -> None:
    """`content[start:end]` is a footer of known fields and nothing behind them.

    Raises:
        Fault: for an unknown field, a long text, bytes behind the footer, or another writer than Arrow.
    """
    reader = Compact(content[start:end], start, SCHEMA)
    found = reader.structure(FOOTER)
    if reader.at != end - start:
        raise Fault("gap", f"holds {end - start - reader.at} bytes behind its footer", start + reader.at)
    if not WRITER.fullmatch(found.get(6, b"")):
        raise Fault("form", f"was written by {found.get(6, b'')[:60]!a}, not by Arrow")
    keys = [entry.get(1) for entry in found.get(5, [])]
    if keys != [b"ARROW:schema"]:
        raise Fault("schema", f"carries metadata of its own: {keys!a:.200}")


def _unpack(packed: bytes, codec: str, size: int, start: int) -> bytes:
    import pyarrow as pa

    raw = packed
    if codec != "UNCOMPRESSED":
        try:
            raw = pa.Codec(codec.lower()).decompress(packed, decompressed_size=size, asbytes=True) if size else b""
        except (OSError, pa.ArrowException):
            raise Fault("form", "a page does not unpack to what its header says", start) from None
    if len(raw) != size:
        raise Fault("form", f"a page unpacks to {len(raw)} bytes where its header says {size}", start)
    return raw


def check(content: bytes, start: int, end: int, column: Any, *, searched: Callable[[bytes, int], None]) -> None:
    """The pages of one column chunk fill `content[start:end]`; each is given to `searched`, unpacked, with its place.

    Args:
        content: the file.
        start: offset of the chunk.
        end: offset behind it.
        column: what the footer says of it (`pyarrow.parquet.ColumnChunkMetaData`).
        searched: raises a fault for what may not be there.

    Raises:
        Fault: for another kind of page, an unknown field, a gap, or sizes that contradict each other.
    """
    at, values, unpacked, name = start, 0, 0, column.path_in_schema
    while at < end:
        reader = Compact(content[at : min(end, at + LONGEST)], at, TEXT)
        header = reader.structure(HEADER)
        kind, size, packed = (header.get(field) for field in (1, 2, 3))
        expected = DICTIONARY if at == start and column.has_dictionary_page else DATA
        body = header.get({DATA: 5, DICTIONARY: 7}[expected])
        if kind != expected or body is None or {5, 7} <= header.keys():
            raise Fault("form", f"{name}: a page of kind {kind} where none belongs", at)
        if not (isinstance(size, int) and size >= 0 and isinstance(packed, int) and packed >= 0):
            raise Fault("form", f"{name}: a page without a size", at)
        behind = at + reader.at + packed
        unpacked += reader.at + size
        if behind > end or unpacked > column.total_uncompressed_size:
            raise Fault("gap", f"{name}: a page is longer than its column", at)
        searched(_unpack(content[at + reader.at : behind], column.compression, size, at), at)
        values += body.get(1, -1) if kind == DATA else 0
        at = behind
    if values != column.num_values or unpacked != column.total_uncompressed_size:
        raise Fault("gap", f"{name}: its pages hold {values} values, not {column.num_values}", start)
