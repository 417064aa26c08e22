"""Rows of files, packed or not, read within limits and checked to the last byte; `parquet` reads the tables.

Rules:
- `text`: one row per file. `jsonl` and `parquet`: one row per line or row, numbered from 1. Blank lines are ignored.
- Text must be UTF-8 (a byte-order mark is dropped), every JSON line an object: else an error names file, line
  and value. NUL and other control characters are passed on: contract and cleaning judge them.
- Of a key that stands twice in a JSON object the last one counts. Whole numbers may have 4,300 digits;
  `NaN` is read, but is neither a text nor an id.
- A row may hold `limits.row_bytes` bytes unpacked, a packed file may grow `limits.expansion` times; nothing larger is
  ever held in memory.
- The bytes that are parsed are hashed, and the file is refused if they are not those of the lock: it was changed
  after it was checked, while it was read.
"""

import hashlib
import io
import json
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

from slipway.data.sources import parquet
from slipway.data.sources.checks import Row, check_unchanged, kind_of, short, too_dense, too_long
from slipway.data.sources.held import Held
from slipway.errors import UserError
from slipway.settings import Limits

_BLOCK = 1 << 18
_PACKED = {".gz": "gzip", ".zst": "zstd"}


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

    def __init__(self, raw: _Raw, codec: str, path: str, limits: Limits) -> None:
        import pyarrow as pa

        self._raw, self._path, self._limits = raw, path, limits
        self._stream = pa.CompressedInputStream(pa.PythonFile(raw, mode="r"), codec)
        self._count = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._stream.read(len(buffer))
        buffer[: len(data)] = data
        self._count += len(data)
        # Readers take a block before they give anything, so a small file is measured against one.
        if self._count > self._limits.expansion * max(self._raw.count, _BLOCK // 4):
            raise too_dense(self._path, self._limits)
        return len(data)


def rows(held: Held, kind: str, columns: list[str] | None, limits: Limits) -> Generator[Row, None, None]:
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
        yield from parquet.rows(held, columns, limits)
        return
    raw = _Raw(held.place)
    try:
        codec = _PACKED.get(Path(held.path).suffix)
        source: io.RawIOBase = _Unpacked(raw, codec, held.path, limits) if codec else raw
        stream: io.BufferedReader = io.BufferedReader(source, _BLOCK)
        yield from _text(stream, held.path, limits) if kind == "text" else _lines(stream, held.path, limits)
        while raw.read(_BLOCK):
            pass
    except OSError as error:
        if error.errno is not None:
            raise
        raise UserError(
            f"{held.path}: cannot be unpacked ({error}); it is damaged or cut short: fetch it anew"
        ) from None
    finally:
        raw.close()
    check_unchanged(held, raw.hash.hexdigest())


def _text(stream: io.BufferedReader, path: str, limits: Limits) -> Iterator[Row]:
    data = stream.read(limits.row_bytes + 1)
    if len(data) > limits.row_bytes:
        raise too_long(path, limits)
    yield 1, {"text": decoded(data, path)}


def _lines(stream: io.BufferedReader, path: str, limits: Limits) -> Iterator[Row]:
    number = 0
    while line := stream.readline(limits.row_bytes + 1):
        number += 1
        where = f"{path}:{number}"
        if len(line) > limits.row_bytes:
            raise too_long(where, limits)
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


def decoded(data: bytes, where: str) -> str:
    """UTF-8 as text; raises UserError with the offset of what is not."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(
            f"{where}: not UTF-8: byte 0x{data[error.start]:02x} at offset {error.start}; "
            "convert the file, e.g. `iconv -f latin1 -t utf-8`"
        ) from None
