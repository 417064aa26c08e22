"""The first pass over a shard: its documents through the filters, and what the next passes need of them.

For shard N the scratch directory gets `docs-N.arrow` (documents that stay so far, scrubbed), `rejects-N.arrow`, and as
numpy files the keys of its sketches, its shingles and its lines.
"""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from slipway.data.clean import quality, similar, sketch, split
from slipway.data.clean.bands import write_keys
from slipway.data.clean.filters import Filters
from slipway.data.clean.rows import Reject, reject_schema
from slipway.data.clean.similar import Sets
from slipway.data.clean.words import starts_of, words_and_lines
from slipway.data.documents import Document, schema
from slipway.settings import Prepare

if TYPE_CHECKING:
    import pyarrow as pa

ROWS = 2048
"""Documents looked at together: their arrays stay in the cache."""


class Shard(NamedTuple):
    """One item of work: a shard of `data/raw` and where its results go."""

    raw: Path
    scratch: Path
    number: int
    settings: Prepare
    seed: int
    bands: sketch.Bands

    def file(self, name: str) -> Path:
        """A file of this shard in the scratch directory."""
        kind, _, end = name.partition(".")
        return self.scratch / f"{kind}-{self.number:05d}.{end}"

    @property
    def sets(self) -> Sets:
        """Its shingles."""
        return Sets(self.file("shingles.npy"), self.file("sets.npy"))


@dataclass(frozen=True)
class Filtered:
    """What the first pass says of a shard."""

    documents_in: int
    kept: int
    refused: Counter[str]
    """Source to documents refused for their licence."""
    cleaned: int
    """Documents from which control characters or direction marks were taken out."""
    redactions: Counter[str]
    failing: dict[str, list[str]]
    """Kind of personal data that must not be there to ids of documents that hold it."""
    rejects: Counter[tuple[str, str]]
    """Step and reason to documents."""
    reject_characters: int


class _Columns:
    """What grows batch by batch."""

    def __init__(self, shard: Shard) -> None:
        self.shard = shard
        self.keys: list[np.ndarray] = [np.empty((0, shard.bands.bands), np.uint64)]
        self.shingles: list[np.ndarray] = [np.empty(0, np.uint32)]
        self.set_sizes: list[np.ndarray] = [np.empty(0, np.int64)]
        self.lines: list[np.ndarray] = [np.empty((0, 2), np.uint32)]
        self.line_counts: list[np.ndarray] = [np.empty(0, np.int64)]

    def measured(self, rows: list[Document], filters: Filters) -> list[Document]:
        """The rows of good quality; what is known of them is taken in."""
        words, lines = words_and_lines([row.text for row in rows])
        shingles = sketch.shingles(words)
        good = filters.good(rows, words, lines, shingles)
        if good is not None:
            rows = [row for row, stays in zip(rows, good, strict=True) if stays]
            lines, shingles = lines.take(good), sketch.shingles(words.take(good))
        self.keys.append(sketch.band_keys(shingles, self.shard.bands))
        self.shingles.append(shingles.sets)
        self.set_sizes.append(np.diff(shingles.set_starts))
        self.lines.append(np.stack([quality.line_slots(lines), lines.sizes.astype(np.uint32)], axis=1))
        self.line_counts.append(np.diff(lines.starts))
        return rows

    def save(self) -> None:
        write_keys(self.shard.file("keys.npy"), np.concatenate(self.keys))
        similar.save_sets(self.shard.sets, np.concatenate(self.shingles), starts_of(np.concatenate(self.set_sizes)))
        np.save(self.shard.file("lines.npy"), np.concatenate(self.lines))
        np.save(self.shard.file("line_starts.npy"), starts_of(np.concatenate(self.line_counts)))


def filter_shard(shard: Shard) -> Filtered:
    """Take a shard through the filters and write what the next passes need."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    filters, columns = Filters(shard.settings), _Columns(shard)
    sides: dict[str, int] = {}
    documents_in = kept = 0
    with (
        pq.ParquetFile(shard.raw) as file,
        pa.OSFile(str(shard.file("docs.arrow")), "wb") as sink,
        pa.ipc.new_file(sink, document_schema()) as writer,
    ):
        for batch in file.iter_batches(batch_size=ROWS, columns=list(Document._fields)):
            documents_in += len(batch)
            rows = columns.measured(filters.admit(_filled(batch)), filters)
            kept += len(rows)
            writer.write_batch(_batch(rows, shard, sides))
    columns.save()
    _write_rejects(shard.file("rejects.arrow"), filters.rejects)
    return Filtered(
        documents_in=documents_in,
        kept=kept,
        refused=filters.refused,
        cleaned=filters.cleaned,
        redactions=filters.redactions,
        failing=filters.failing,
        rejects=Counter((row.stage, row.reason) for row in filters.rejects),
        reject_characters=sum(len(row.text) for row in filters.rejects),
    )


def document_schema() -> "pa.Schema":
    """The columns of a document between the passes: as in `data/raw`, and what the driver needs to know of it."""
    import pyarrow as pa

    numbers = {"side": pa.int8(), "characters": pa.int64(), "place": pa.uint64()}
    return pa.schema([*schema(), *(numbers | {"print": pa.uint64(), "print2": pa.uint64()}).items()])


def _filled(batch: "pa.RecordBatch") -> "pa.RecordBatch":
    """With nothing where a column that every document has holds null: the contract tells of it."""
    for name in ("id", "text", "source", "group", "shape"):
        if batch.column(name).null_count:
            batch = batch.set_column(batch.schema.get_field_index(name), name, batch.column(name).fill_null(""))
    return batch


def _batch(rows: list[Document], shard: Shard, sides: dict[str, int]) -> "pa.RecordBatch":
    import pyarrow as pa

    settings = shard.settings
    for group in {row.group for row in rows} - sides.keys():
        sides[group] = split.side(shard.seed, group, settings.test_share, settings.validation_share)
    prints = np.frombuffer(b"".join([similar.fingerprint(row.text) for row in rows]), np.uint64).reshape(-1, 2)
    numbers = (
        [sides[row.group] for row in rows],
        [len(row.text) for row in rows],
        [split.place(shard.seed, row.id) for row in rows],
        prints[:, 0],
        prints[:, 1],
    )
    columns = list(zip(*rows, strict=True)) or [()] * len(Document._fields)
    found = document_schema()
    arrays = [pa.array(value, field.type) for value, field in zip([*columns, *numbers], found, strict=True)]
    return pa.record_batch(arrays, schema=found)


def _write_rejects(path: Path, rejects: list[Reject]) -> None:
    import pyarrow as pa

    columns = list(zip(*rejects, strict=True)) or [()] * len(Reject._fields)
    arrays = [pa.array(column, pa.string()) for column in columns]
    table = pa.Table.from_arrays(arrays, schema=reject_schema())
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
