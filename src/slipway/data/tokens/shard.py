"""One shard of clean documents to files of tokens: the unit of work that workers are given.

A file is a flat little-endian array of tokens, uint16 while ids fit, for memory maps. Beside it lie
`.offsets.npy` (int64, where each document starts), `.mask.bin` if anything does not count in the loss (one byte
per token, 1 counts) and `.pairs.npy` if there are preferences (int64, shape (pairs, 2): number of the chosen and
of the rejected document). In rows of whole documents a long document is in pieces: `.offsets.npy` then has the
start of each piece, and `.pieces.npy` the number of its document. `.ids.parquet` has the id of each document by its
number, that of a preference twice.
"""

import contextlib
import os
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from slipway.data.tokens import whole
from slipway.data.tokens.codec import Codec, Encoded
from slipway.data.tokens.render import TURNS, rendered
from slipway.errors import Refusal

BATCH_ROWS = 1024
BATCH_CHARACTERS = 1_000_000
"""A batch ends at whichever comes first, so that memory does not grow with the data."""
SUFFIXES = (".bin", ".offsets.npy", ".mask.bin", ".pairs.npy", ".pieces.npy", ".ids.parquet")


class Job(NamedTuple):
    """What a worker gets."""

    source: Path
    """A shard of `data/clean`."""
    target: str
    """Path and beginning of the names of its files; the number of the file follows."""
    tokenizer: Path
    trained: bool
    dtype: str
    row_tokens: int | None
    """Set for rows of whole documents."""
    shard_tokens: int
    threads: int


class Counts(NamedTuple):
    """What one file holds."""

    tokens: int
    """Of documents, separators included, filling not."""
    documents: int
    """Sequences: a preference counts as two."""
    bytes: int
    """UTF-8 bytes of the plain text; what a template adds to the contents counts, its control tokens do not."""
    learnt: int
    """Tokens that count in the loss."""
    learnt_bytes: int
    """UTF-8 bytes of the text in them."""
    pairs: int
    rows: int
    """0 for a stream."""
    masked: bool


class _Sequence(NamedTuple):
    tokens: Encoded
    bytes: int
    learnt_bytes: int
    ended: bool
    """The separator after it counts in the loss."""


class _Row(NamedTuple):
    id: str
    text: str
    shape: str
    turns: str | None


def _batches(source: Path) -> Iterator[list[_Row]]:
    import pyarrow.parquet as pq

    rows: list[_Row] = []
    size = 0
    # With a buffer, pages are read as they are needed and not a whole row group at once.
    with pq.ParquetFile(source, buffer_size=1 << 20) as file:
        for batch in file.iter_batches(batch_size=256, columns=list(_Row._fields)):
            for row in map(_Row._make, zip(*(batch.column(name).to_pylist() for name in _Row._fields), strict=True)):
                rows.append(row)
                size += len(row.text)
                if len(rows) >= BATCH_ROWS or size >= BATCH_CHARACTERS:
                    yield rows
                    rows, size = [], 0
    if rows:
        yield rows


def _sequences(codec: Codec, rows: list[_Row]) -> Iterator[list[_Sequence]]:
    """What each document becomes, in order."""
    texts = iter(codec.texts([row.text for row in rows if row.shape not in TURNS]))
    parts = []
    for row in rows:
        if row.shape in TURNS:
            try:
                parts.append(rendered(row.shape, row.turns, codec.chat))
            except Refusal as error:
                raise Refusal(f"document {row.id}: {error}") from None
    encoded = iter(codec.conversations([one for several in parts for one in several]))
    rest = iter(parts)
    for row in rows:
        if row.shape not in TURNS:
            size = len(row.text.encode())
            yield [_Sequence(Encoded(next(texts), None), size, size, ended=True)]
            continue
        found = []
        for one in next(rest):
            # Where a control token has ended the answer, the separator says nothing more.
            ended = bool(one) and not one[-1].control and any(last == len(one[-1].text) for _, last in one[-1].learnt)
            plain = [part for part in one if not part.control]
            learnt = sum(len(part.text[a:b].encode()) for part in plain for a, b in part.learnt)
            found.append(_Sequence(next(encoded), sum(len(part.text.encode()) for part in plain), learnt, ended))
        yield found


class _OnDisk:
    """Slices of a file as arrays; a memory map of it would stay in memory where it was touched."""

    def __init__(self, file: BinaryIO, dtype: Any) -> None:
        self.dtype = dtype
        self._handle = file.fileno()

    def __getitem__(self, wanted: slice) -> Any:
        size = self.dtype.itemsize
        return np.frombuffer(
            os.pread(self._handle, (wanted.stop - wanted.start) * size, wanted.start * size), self.dtype
        )


class _File:
    """One file of tokens being written."""

    def __init__(self, stem: str, dtype: str, separator: int) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        self.stem, self.separator = stem, separator
        self.dtype = np.dtype(dtype).newbyteorder("<")
        self.lengths: list[int] = []
        self.pairs: list[tuple[int, int]] = []
        self.tokens = self.bytes = self.learnt = self.learnt_bytes = 0
        self._stream = open(f"{stem}.bin", "wb")  # noqa: SIM115 (closed by `close`)
        self._mask: Any = None
        self._named = pa.schema([pa.field("id", pa.string(), nullable=False)])
        # Hardly an id stands twice, so a dictionary would only be built to be thrown away.
        self._ids = pq.ParquetWriter(f"{stem}.ids.parquet", self._named, compression="zstd", use_dictionary=False)

    def add(self, ids: list[str], documents: list[list[_Sequence]]) -> None:
        """Append the sequences of documents, each with its separator."""
        import pyarrow as pa

        names = [name for name, document in zip(ids, documents, strict=True) for _ in document]
        self._ids.write_table(pa.table([pa.array(names, pa.string())], schema=self._named))
        flat = [sequence for document in documents for sequence in document]
        lengths = [len(sequence.tokens.ids) + 1 for sequence in flat]
        ends = np.cumsum(lengths)
        tokens = np.full(int(ends[-1]), self.separator, self.dtype)
        counts = np.ones(len(tokens), np.uint8)
        for sequence, (start, end) in zip(flat, pairwise([0, *ends.tolist()]), strict=True):
            tokens[start : end - 1] = sequence.tokens.ids
            if sequence.tokens.mask is not None:
                counts[start : end - 1] = sequence.tokens.mask
                counts[end - 1] = sequence.ended
        self._count(counts)
        self._stream.write(tokens.tobytes())
        number = len(self.lengths)
        for document in documents:
            if len(document) == 2:
                self.pairs.append((number, number + 1))
            number += len(document)
        self.lengths += lengths
        self.tokens += len(tokens)
        self.bytes += sum(sequence.bytes for sequence in flat)
        self.learnt_bytes += sum(sequence.learnt_bytes for sequence in flat)

    def _count(self, counts: Any) -> None:
        learnt = int(counts.sum())
        self.learnt += learnt
        if self._mask is None and learnt < len(counts):
            self._mask = open(f"{self.stem}.mask.bin", "wb")  # noqa: SIM115
            for _ in range(self.tokens // BATCH_CHARACTERS):
                self._mask.write(b"\1" * BATCH_CHARACTERS)
            self._mask.write(b"\1" * (self.tokens % BATCH_CHARACTERS))
        if self._mask:
            self._mask.write(counts.tobytes())

    def close(self, row_tokens: int | None) -> Counts:
        """Finish the file, in rows if `row_tokens` is set."""
        self._stream.close()
        self._ids.close()
        if self._mask:
            self._mask.close()
        lengths = np.array(self.lengths, np.int64)
        rows = 0
        masked = self._mask is not None
        if row_tokens is None:
            np.save(f"{self.stem}.offsets.npy", np.cumsum(lengths) - lengths)
        elif len(lengths):
            rows = self._into_rows(lengths, row_tokens)
            masked = True
        if self.pairs:
            np.save(f"{self.stem}.pairs.npy", np.array(self.pairs, np.int64))
        return Counts(
            self.tokens, len(lengths), self.bytes, self.learnt, self.learnt_bytes, len(self.pairs), rows, masked
        )

    def _into_rows(self, lengths: Any, row_tokens: int) -> int:
        found = whole.plan(lengths, row_tokens)
        paths = [Path(f"{self.stem}.bin"), Path(f"{self.stem}.mask.bin")]
        new = [path.with_name(f"{path.name}.rows") for path in paths]
        with contextlib.ExitStack() as stack:
            stream = _OnDisk(stack.enter_context(open(paths[0], "rb")), self.dtype)
            mask = _OnDisk(stack.enter_context(open(paths[1], "rb")), np.dtype(np.uint8)) if self._mask else None
            whole.lay_out(found, row_tokens, stream, mask, filling=self.separator, target=new[0], target_mask=new[1])
        for path, better in zip(paths, new, strict=True):
            better.replace(path)
        np.save(f"{self.stem}.offsets.npy", found.place)
        np.save(f"{self.stem}.pieces.npy", found.document)
        return found.rows


def pack(job: Job) -> list[Counts]:
    """Write the files of one shard, `<target>00000.bin` and on; a repetition writes the same bytes again."""
    codec = Codec(job.tokenizer, trained=job.trained, threads=job.threads)
    done: list[Counts] = []
    file = _File(f"{job.target}00000", job.dtype, codec.separator)
    for rows in _batches(job.source):
        if file.tokens >= job.shard_tokens:
            done.append(file.close(job.row_tokens))
            file = _File(f"{job.target}{len(done):05d}", job.dtype, codec.separator)
        file.add([row.id for row in rows], list(_sequences(codec, rows)))
    return [*done, file.close(job.row_tokens)]
