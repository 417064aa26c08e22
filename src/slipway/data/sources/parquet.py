"""Rows of parquet files, with memory that does not follow what a hostile file claims.

A footer tells how large the needed columns are when unpacked, not how large one cell is: a dictionary may hold one
long text for a million rows. So a batch has as many rows as fit into 64 MiB if each is as long as the limit allows.
"""

import hashlib
import os
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from slipway.data.sources.checks import Row, check_unchanged, too_dense, too_long
from slipway.data.sources.held import Held
from slipway.errors import UserError
from slipway.settings import Limits

if TYPE_CHECKING:
    import pyarrow.parquet as pq

_ROWS = 256
_BATCH_BYTES = 1 << 26
_BUFFER = 1 << 20
_VALUE_BYTES = 8
"""Memory that a value takes at least, even one that repeats the last."""


def columns_of(held: Held) -> dict[str, str]:
    """Column -> type in words, from the footer; raises UserError if it cannot be read.

    Types that hold the same values are one: strings however they are stored, whole numbers of any width.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(held.place) as file:
            return {field.name: _plain(str(field.type)) for field in file.schema_arrow}
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise _unreadable(held.path, error) from None


def _plain(type_: str) -> str:
    type_ = re.sub(r"dictionary<values=(\w+), [^>]*>", r"\1", type_)
    type_ = re.sub(r"\b(large_|u)(?=string|int|list)|(?<=int)(8|16|32|64)\b|_view\b", "", type_)
    return re.sub(r"<(element|array_element|array): ", "<item: ", type_)


def rows(held: Held, columns: list[str] | None, limits: Limits) -> Iterator[Row]:
    """The rows of a file.

    Args:
        held: the file.
        columns: those to read; None for all.
        limits: what a file may hold.

    Raises:
        UserError: naming file and row.
        Refusal: if the bytes were not those of the lock.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    # The digest is of the very file that was open, whatever the path leads to by then.
    with open(held.place, "rb") as stream:
        try:
            with pq.ParquetFile(stream, pre_buffer=False, buffer_size=_BUFFER) as file:
                size = os.fstat(stream.fileno()).st_size
                yield from _groups(file, size, held.path, columns, limits)
        except (pa.ArrowException, UnicodeDecodeError) as error:
            raise _unreadable(held.path, error) from None
        except OSError as error:
            if error.errno is not None:
                raise
            raise _unreadable(held.path, error) from None
        stream.seek(0)
        check_unchanged(held, hashlib.file_digest(stream, "sha256").hexdigest())


def _groups(file: "pq.ParquetFile", packed: int, path: str, columns: list[str] | None, limits: Limits) -> Iterator[Row]:
    number = unpacked = 0
    for group in range(file.num_row_groups):
        size, values, count = _sizes(file, group, columns)
        unpacked += max(size, values * _VALUE_BYTES)
        if unpacked > limits.expansion * max(packed, _BUFFER):
            raise too_dense(path, limits)
        if count and max(size, values * _VALUE_BYTES) > count * limits.row_bytes:
            raise too_long(f"{path}, rows {number + 1} to {number + count}, on average", limits)
        most = max(1, min(_ROWS, _BATCH_BYTES // max(1, min(size, limits.row_bytes))))
        for batch in file.iter_batches(batch_size=most, row_groups=[group], columns=columns, use_threads=False):
            suspect = batch.nbytes > limits.row_bytes
            for row in batch.to_pylist():
                number += 1
                if suspect and _bytes(row) > limits.row_bytes:
                    raise too_long(f"{path}, row {number}", limits)
                yield number, row


def _sizes(file: "pq.ParquetFile", group: int, columns: list[str] | None) -> tuple[int, int, int]:
    """Bytes unpacked and values of the needed columns, and rows, of a row group."""
    facts = file.metadata.row_group(group)
    chunks = [facts.column(index) for index in range(facts.num_columns)]
    used = [chunk for chunk in chunks if columns is None or chunk.path_in_schema.partition(".")[0] in columns]
    return sum(chunk.total_uncompressed_size for chunk in used), sum(c.num_values for c in used), facts.num_rows


def _bytes(value: Any) -> int:
    """UTF-8 bytes of the texts in a value, however deep."""
    if isinstance(value, str):
        return len(value) if value.isascii() else len(value.encode("utf-8", "surrogatepass"))
    if isinstance(value, bytes):
        return len(value)
    if isinstance(value, dict):
        return sum(map(_bytes, value.values()))
    if isinstance(value, list):
        return sum(map(_bytes, value))
    return 0


def _unreadable(path: str, error: Exception) -> UserError:
    reason = (str(error).splitlines() or [""])[0]
    return UserError(f"{path}: not readable as parquet ({reason}); fetch or write it anew")
