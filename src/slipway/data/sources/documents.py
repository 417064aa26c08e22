"""From documents to `data/raw`: parts that workers write, and the shards that are made of them in order.

A part holds the documents of one item of work and where each stands; the shards of `data/raw` follow the order of the
parts, so they do not depend on who wrote them. An id occurs once in the whole data set, because rejects and
failing rows are named by id; a second one is an error that names both places.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from slipway.data.documents import Document, schema
from slipway.errors import UserError
from slipway.shards import shard_path, write_shard

if TYPE_CHECKING:
    import pyarrow as pa

BATCH = 4096
BATCH_CHARACTERS = 4_000_000
PLACE = "place"


def write_part(path: Path, documents: Iterable[tuple[Document, str]]) -> None:
    """Write documents, each with the place it comes from, as an arrow file.

    Memory holds 4,096 of them, or fewer with 4 million characters and one more.
    """
    import pyarrow as pa

    columns = schema().append(pa.field(PLACE, pa.string()))
    rows: list[tuple] = []
    characters = 0
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, columns) as writer:
        for document, place in documents:
            rows.append((*document, place))
            characters += len(document.text)
            if len(rows) == BATCH or characters >= BATCH_CHARACTERS:
                writer.write_batch(_batch(rows, columns))
                rows, characters = [], 0
        if rows:
            writer.write_batch(_batch(rows, columns))


def _batch(rows: list[tuple], columns: "pa.Schema") -> "pa.RecordBatch":
    import pyarrow as pa

    arrays = [pa.array(column, pa.string()) for column in zip(*rows, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=columns)


def read_part(path: Path) -> Iterator["pa.RecordBatch"]:
    """The batches of a part."""
    import pyarrow as pa

    # Not mapped: mapped pages would count as memory of this process until the whole part is read.
    with pa.OSFile(str(path)) as source, pa.ipc.open_file(source) as file:
        for number in range(file.num_record_batches):
            yield file.get_batch(number)


class ShardWriter:
    """Writes `documents-00000.parquet`, …, a new one after so many characters, and counts by source."""

    def __init__(self, directory: Path, characters: int) -> None:
        self._directory, self._limit = directory, characters
        self._waiting: list[pa.RecordBatch] = []
        self._held = 0
        self._ids: list[np.ndarray] = []
        self.shards = 0
        self.documents: Counter[str] = Counter()
        self.characters: Counter[str] = Counter()
        self.shapes: Counter[str] = Counter()

    def add(self, batch: "pa.RecordBatch") -> None:
        """Append a batch; it is cut where a shard is full."""
        import pyarrow.compute as pc

        lengths = pc.utf8_length(batch.column("text")).to_numpy(zero_copy_only=False).astype(np.int64)
        self._count(batch, lengths)
        self._ids.append(_hashes(batch.column("id").to_pylist()))
        while len(batch):
            ends = self._held + np.cumsum(lengths)
            take = int(np.searchsorted(ends, self._limit)) + 1
            self._waiting.append(batch.slice(0, take))
            self._held = int(ends[min(take, len(ends)) - 1])
            batch, lengths = batch.slice(take), lengths[take:]
            if self._held >= self._limit:
                self._flush()

    def close(self, parts: Sequence[Path]) -> None:
        """Write what is left; `parts` are looked through for the places of an id that stands twice."""
        self._flush()
        hashes = np.sort(np.concatenate(self._ids)) if self._ids else np.empty(0, np.uint64)
        if len(again := hashes[1:][hashes[1:] == hashes[:-1]]):
            _name_twice(set(again.tolist()), parts)

    def _count(self, batch: "pa.RecordBatch", lengths: np.ndarray) -> None:
        sources = batch.column("source").dictionary_encode()
        names, codes = sources.dictionary.to_pylist(), sources.indices.to_numpy()
        for name, count, size in zip(
            names, np.bincount(codes, minlength=len(names)), np.bincount(codes, lengths, len(names)), strict=True
        ):
            self.documents[name] += int(count)
            self.characters[name] += int(size)
        self.shapes.update(
            {entry["values"]: entry["counts"] for entry in batch.column("shape").value_counts().to_pylist()}
        )

    def _flush(self) -> None:
        import pyarrow as pa

        if self._waiting:
            table = pa.Table.from_batches(self._waiting).select(list(Document._fields)).combine_chunks()
            write_shard(shard_path(self._directory, "documents", self.shards), table)
            self.shards += 1
        self._waiting, self._held = [], 0


def _hashes(ids: list[str]) -> np.ndarray:
    from hashlib import blake2b

    return np.frombuffer(b"".join(blake2b(name.encode(), digest_size=8).digest() for name in ids), np.uint64)


def _name_twice(suspects: set[int], parts: Sequence[Path]) -> None:
    seen: dict[str, str] = {}
    for path in parts:
        for batch in read_part(path):
            ids = batch.column("id").to_pylist()
            for index in np.flatnonzero(np.isin(_hashes(ids), list(suspects))).tolist():
                place = batch.column(PLACE)[index].as_py()
                if ids[index] in seen:
                    raise UserError(
                        f"{place}: the id `{ids[index]}` was already used at {seen[ids[index]]}. Ids must be unique: "
                        "remove the row, or leave `id_column` out so that ids are made of file name and row number"
                    )
                seen[ids[index]] = place
