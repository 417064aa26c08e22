"""Rows of files: JSON lines, parquet and plain text, packed or not, read within limits and checked to the last byte.

Rules:
- `text`: one row per file. `jsonl` and `parquet`: one row per line or row, numbered from 1. Blank lines are ignored.
- Text must be UTF-8 (a byte-order mark is dropped), every JSON line an object: else an error names file, line
  and value. NUL and other control characters are passed on: contract and cleaning judge them.
- A row may hold `limits.row_bytes` bytes unpacked, a packed file may grow `limits.expansion` times; nothing larger is
  ever held in memory.
- The bytes that are parsed are hashed, and the file is refused if they are not those of the lock: it was changed
  after it was checked, while it was read.
"""

import hashlib
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from slipway.data.sources.held import Held
from slipway.errors import Refusal, UserError
from slipway.files import sha256_file
from slipway.settings import Limits

Row = tuple[int, dict[str, Any]]
_BLOCK = 1 << 18
_PACKED = {".gz": "gzip", ".zst": "zstd"}
_BATCH = 256


class _Raw(io.RawIOBase):
    """The file as it is, hashed and counted while it is read."""

    def __init__(self, place: Path) -> None:
        self._file = open(place, "rb", buffering=0)  # noqa: SIM115 - closed with this object
        self.hash = hashlib.sha256()
        self.count = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        size = self._file.readinto(buffer)
        self.hash.update(memoryview(buffer)[:size])
        self.count += size
        return size

    def close(self) -> None:
        self._file.close()
        super().close()


class _Unpacked(io.RawIOBase):
    """A packed file unpacked, as long as it does not grow beyond all measure."""

    def __init__(self, raw: _Raw, codec: str, path: str, expansion: int) -> None:
        import pyarrow as pa

        self._raw, self._path, self._expansion = raw, path, expansion
        self._stream = pa.CompressedInputStream(pa.PythonFile(raw, mode="r"), codec)
        self._count = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._stream.read(len(buffer))
        buffer[: len(data)] = data
        self._count += len(data)
        # Readers take a block before they give anything, so a small file is measured against one.
        if self._count > self._expansion * max(self._raw.count, _BLOCK // 4):
            raise UserError(
                f"{self._path}: grows to more than {self._expansion} times its size when unpacked, as a decompression "
                "bomb does; if the file is sound, raise acquire.limits.expansion, or unpack it"
            )
        return len(data)


def rows(held: Held, kind: str, columns: list[str] | None, limits: Limits) -> Iterator[Row]:
    """The rows of a file; those of a text file have the one column `text`.

    Args:
        held: the file.
        kind: jsonl, parquet or text.
        columns: of parquet, those to read; None for all.
        limits: what a file may hold.

    Raises:
        UserError: naming file and row.
        Refusal: if the bytes were not those of the lock.
    """
    if kind == "parquet":
        yield from _parquet(held, columns, limits)
        return
    raw = _Raw(held.place)
    try:
        codec = _PACKED.get(Path(held.path).suffix)
        stream = io.BufferedReader(_Unpacked(raw, codec, held.path, limits.expansion) if codec else raw, _BLOCK)
        yield from _text(stream, held.path, limits) if kind == "text" else _lines(stream, held.path, limits)
        while raw.read(_BLOCK):
            pass
    except OSError as error:
        if error.errno is not None:
            raise
        raise UserError(f"{held.path}: cannot be unpacked ({error}); it is damaged or cut short: fetch it anew") from None
    finally:
        raw.close()
    _same(held, raw.hash.hexdigest())


def _same(held: Held, sha256: str) -> None:
    if sha256 != held.sha256:
        raise Refusal(
            f"{held.path}: changed while it was read: sha256 was {held.sha256}, of what was read it is {sha256}. "
            "Run again when nothing writes to it"
        )


def _text(stream: io.BufferedReader, path: str, limits: Limits) -> Iterator[Row]:
    data = stream.read(limits.row_bytes + 1)
    if len(data) > limits.row_bytes:
        raise UserError(_too_long(path, limits))
    yield 1, {"text": decoded(data, path)}


def _lines(stream: io.BufferedReader, path: str, limits: Limits) -> Iterator[Row]:
    number = 0
    while line := stream.readline(limits.row_bytes + 1):
        number += 1
        where = f"{path}:{number}"
        if len(line) > limits.row_bytes:
            raise UserError(_too_long(where, limits))
        if not line.strip():
            continue
        try:
            row = json.loads(decoded(line, where))
        except ValueError as error:
            raise UserError(f"{where}: not JSON ({error}); each line must be one JSON object") from None
        except RecursionError:
            raise UserError(f"{where}: JSON nested too deeply; each line must be one flat JSON object") from None
        if not isinstance(row, dict):
            raise UserError(f"{where}: {kind_of(row)} where a JSON object was expected; it holds {short(row)}")
        yield number, row


def _too_long(where: str, limits: Limits) -> str:
    return (
        f"{where}: longer than {limits.row_bytes:,} bytes, the limit of one row; cut the document into parts, "
        "or raise acquire.limits.row_bytes"
    )


def decoded(data: bytes, where: str) -> str:
    """UTF-8 as text; raises UserError with the offset of what is not."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(
            f"{where}: not UTF-8: byte 0x{data[error.start]:02x} at offset {error.start}; "
            "convert the file, e.g. `iconv -f latin1 -t utf-8`"
        ) from None


def columns_of(held: Held) -> dict[str, str]:
    """Column -> type of a parquet file, from its footer."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(held.place) as file:
            return {field.name: str(field.type) for field in file.schema_arrow}
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise UserError(_unreadable(held.path, error)) from None


def _unreadable(path: str, error: Exception) -> str:
    return f"{path}: not readable as parquet ({(str(error).splitlines() or [''])[0]}); fetch or write it anew"


def _parquet(held: Held, columns: list[str] | None, limits: Limits) -> Iterator[Row]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    number = 0
    try:
        with pq.ParquetFile(held.place) as file:
            for group in range(file.num_row_groups):
                facts = file.metadata.row_group(group)
                mean = max(1, facts.total_byte_size // max(facts.num_rows, 1))
                size = max(1, min(_BATCH, limits.row_bytes // mean))
                for batch in file.iter_batches(batch_size=size, row_groups=[group], columns=columns):
                    for row in batch.to_pylist():
                        number += 1
                        for value in row.values():
                            # A character is at most four bytes, so most rows need no second look.
                            if isinstance(value, str) and len(value) * 4 > limits.row_bytes:
                                _measure(value, f"{held.path}, row {number}", limits)
                        yield number, row
    except (pa.ArrowException, UnicodeDecodeError) as error:
        raise UserError(_unreadable(held.path, error)) from None
    except OSError as error:
        if error.errno is not None:
            raise
        raise UserError(_unreadable(held.path, error)) from None
    _same(held, sha256_file(held.place))


def _measure(value: str, where: str, limits: Limits) -> None:
    if len(value.encode("utf-8", "surrogatepass")) > limits.row_bytes:
        raise UserError(_too_long(where, limits))


def kind_of(value: Any) -> str:
    """What a JSON value is, in words."""
    names = {
        type(None): "null",
        bool: "true/false",
        int: "a number",
        float: "a number",
        list: "a list",
        dict: "an object",
    }
    return names.get(type(value), f"a {type(value).__name__}")


def short(value: Any) -> str:
    """The beginning of a value, for a message."""
    text = json.dumps(value, default=str, ensure_ascii=True)
    return text if len(text) <= 60 else f"{text[:59]}…"
