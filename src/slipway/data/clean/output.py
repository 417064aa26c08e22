"""The results of cleaning as sharded tables, whose bytes do not depend on how the input was sharded.

Documents have a place, a hash of seed and id, and stand in its order; shard k of a table holds the k-th equal
part of all places. So repeats of a canary do not stand side by side. Each shard of the input scatters its
documents to a file with one batch per shard of the output, and each shard of the output gathers its own: no
process holds more than one shard.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from slipway.data.clean.rows import reject_schema
from slipway.data.clean.split import SPLITS, place
from slipway.data.documents import Document
from slipway.shards import shard_path, write_shard

if TYPE_CHECKING:
    import pyarrow as pa

CHARACTERS = 8_000_000
"""Characters of a shard that is written, on average."""
REJECTS = "rejects"
FATE_COLUMNS = ("family", "stage", "reason", "detail", "collided_with")


class Scatter(NamedTuple):
    """One item of work: a shard of the input, with the fate of each of its documents."""

    documents: Path
    """Columns of a document, `side` and `place`."""
    fates: Path
    """A row per document: `FATE_COLUMNS`; stage is null for those that stay."""
    rejects: Path | None
    out: Path
    parts: dict[str, int]
    """Table to number of output shards."""
    seed: int


class Gather(NamedTuple):
    """One item of work: a shard of the output."""

    scattered: tuple[Path, ...]
    batch: int
    out: Path


@dataclass
class Books:
    """Counts of what went where."""

    splits: Counter[str] = field(default_factory=Counter)
    characters: Counter[str] = field(default_factory=Counter)
    rejects: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Step and reason to number."""
    sources: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Source and SPDX expression to documents kept."""
    source_characters: Counter[str] = field(default_factory=Counter)
    shapes: Counter[str] = field(default_factory=Counter)

    def add(self, other: "Books") -> None:
        """Take the counts of another shard in."""
        for name in self.__dataclass_fields__:
            mine, more = getattr(self, name), getattr(other, name)
            mine.update(more)


def parts_for(characters: int) -> int:
    """Shards of a table of so many characters."""
    return max(1, round(characters / CHARACTERS))


def scatter(item: Scatter) -> Books:
    """Sort the documents of one input shard by output shard."""
    import pyarrow as pa

    table = pa.ipc.open_file(pa.memory_map(str(item.documents))).read_all()
    fates = pa.ipc.open_file(pa.memory_map(str(item.fates))).read_all()
    for name in FATE_COLUMNS:
        table = table.append_column(name, fates.column(name))
    gone = np.asarray(table.column("stage").is_valid())
    sides = table.column("side").to_numpy()
    places = table.column("place").to_numpy()
    columns = [*Document._fields, "family", "place"]
    books = Books()
    pieces: list[pa.Table] = []
    for number, name in enumerate(SPLITS):
        chosen = np.flatnonzero(~gone & (sides == number))
        _count(books, name, table.select(["source", "licence", "shape", "characters"]).take(chosen))
        pieces += _pieces(table.select(columns), places, chosen, item.parts[name])
    rejects = _rejects(item, table.take(np.flatnonzero(gone)))
    for step, reason in zip(*(rejects.column(name).to_pylist() for name in ("stage", "reason")), strict=True):
        books.rejects[step, reason] += 1
    pieces += _pieces(rejects, rejects.column("place").to_numpy(), np.arange(len(rejects)), item.parts[REJECTS])
    for name, group in (("clean", pieces[: -item.parts[REJECTS]]), (REJECTS, pieces[-item.parts[REJECTS] :])):
        with pa.OSFile(f"{item.out}.{name}", "wb") as sink, pa.ipc.new_file(sink, group[0].schema) as writer:
            for piece in group:
                # One batch per output shard, empty ones too: a gatherer finds its own by number.
                batches = piece.combine_chunks().to_batches()
                writer.write_batch(batches[0] if batches else pa.RecordBatch.from_pylist([], schema=piece.schema))
    return books


def _pieces(table: "pa.Table", places: np.ndarray, chosen: np.ndarray, parts: int) -> list["pa.Table"]:
    part = (places[chosen] >> np.uint64(32)) * np.uint64(parts) >> np.uint64(32)
    return [table.take(chosen[part == number]) for number in range(parts)]


def _rejects(item: Scatter, later: "pa.Table") -> "pa.Table":
    """The rejects of the first pass and of the later ones, with their places."""
    import pyarrow as pa

    names = reject_schema().names
    tables = [later.select([*names, "place"])]
    if item.rejects is not None:
        first = pa.ipc.open_file(pa.memory_map(str(item.rejects))).read_all()
        places = pa.array([place(item.seed, name or "") for name in first.column("id").to_pylist()], pa.uint64())
        tables.append(first.append_column("place", places))
    return pa.concat_tables(tables, promote_options="permissive")


def _count(books: Books, split: str, table: "pa.Table") -> None:
    for source, licence, shape, characters in zip(*table.to_pydict().values(), strict=True):
        books.splits[split] += 1
        books.characters[split] += characters
        books.sources[source, licence] += 1
        books.source_characters[source] += characters
        books.shapes[shape] += 1


def gather(item: Gather) -> None:
    """Write one shard of the output."""
    import pyarrow as pa

    batches = [pa.ipc.open_file(pa.memory_map(str(path))).get_batch(item.batch) for path in item.scattered]
    table = pa.Table.from_batches(batches)
    order = np.lexsort((np.arange(len(table)), table.column("place").to_numpy()))
    write_shard(item.out, table.take(order).drop_columns(["place"]).replace_schema_metadata())


def gathers(scattered: Sequence[Path], parts: dict[str, int], clean: Path, rejects: Path) -> list[Gather]:
    """The items of work that write every output shard."""
    items, batch = [], 0
    for name in SPLITS:
        for number in range(parts[name]):
            paths = tuple(Path(f"{path}.clean") for path in scattered)
            items.append(Gather(paths, batch, shard_path(clean, name, number)))
            batch += 1
    paths = tuple(Path(f"{path}.{REJECTS}") for path in scattered)
    return items + [Gather(paths, number, shard_path(rejects, REJECTS, number)) for number in range(parts[REJECTS])]
