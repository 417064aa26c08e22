"""Small raw corpora for the tests of cleaning."""

import hashlib
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from slipway.data.clean import contamination
from slipway.data.clean.phrases import covered, write_piece
from slipway.data.documents import Document, schema
from slipway.settings import Decontaminate
from slipway.shards import shard_path, shards


def quiet(done: int, total: int, note: str) -> None:
    """Progress that nobody watches."""


def prose(*key: object, words: int = 40) -> str:
    """Made-up words that only `key` decides."""
    return " ".join(hashlib.sha256(repr((*key, n)).encode()).hexdigest()[:5] for n in range(words))


def document(name: str, text: str, group: str | None = None, licence: str | None = "MIT", **more: str) -> Document:
    return Document(name, text, more.pop("source", "s"), group or name, licence, more.pop("signature", None), **more)


def write_raw(root: Path, rows: Sequence[Document], parts: int = 1) -> None:
    """Write `data/raw` in so many shards, and an empty `data/tasks`."""
    raw = root / "data" / "raw"
    raw.mkdir(parents=True, exist_ok=True)
    (root / "data" / "tasks").mkdir(exist_ok=True)
    for number in range(parts):
        some = rows[len(rows) * number // parts : len(rows) * (number + 1) // parts]
        table = pa.Table.from_pylist([row._asdict() for row in some], schema=schema())
        pq.write_table(table, shard_path(raw, "documents", number))


def write_tasks(root: Path, name: str, items: Sequence[tuple[str, str, list[str], int]]) -> None:
    """Write a task file: item, question, choices, answer."""
    columns = dict(zip(("item", "question", "choices", "answer"), map(list, zip(*items, strict=True)), strict=True))
    pq.write_table(pa.table(columns), root / "data" / "tasks" / f"{name}.parquet")


def read(root: Path, directory: str, name: str) -> list[dict]:
    """All rows of a table of the results."""
    return [row for path in shards(root / "data" / directory, name) for row in pq.read_table(path).to_pylist()]


def similar_pairs(directory: Path, texts: Sequence[str], least: float) -> dict[tuple[int, int], float]:
    """Pairs of texts with a Jaccard index of at least `least`, as the stage finds them."""
    from slipway.data.clean import similar, sketch
    from slipway.data.clean.bands import candidates, write_keys
    from slipway.spread import here

    directory.mkdir(exist_ok=True)
    bands = sketch.bands_for(least)
    shingles, keys = sketch.of_texts(texts, bands)
    write_keys(directory / "keys.npy", keys)
    sets = similar.Sets(directory / "shingles.npy", directory / "sets.npy")
    similar.save_sets(sets, shingles.sets, shingles.set_starts)
    found = candidates([directory / "keys.npy"], directory, here)
    pairs, value = similar.similar(found, [sets], least, here)
    return {(int(i), int(j)): float(v) for (i, j), v in zip(pairs, value, strict=True)}


class Sought:
    """Items (set, item, text) that can be looked for, in one piece or in several."""

    def __init__(
        self, directory: Path, texts: Sequence[tuple[str, str, str]], settings: Decontaminate, pieces: int = 1
    ) -> None:
        names: dict[str, int] = {}
        self.item_of = np.array([names.setdefault(f"{group}/{item}", len(names)) for group, item, _ in texts], np.int32)
        self.names = list(names)
        cuts = [len(texts) * number // pieces for number in range(pieces + 1)]
        self.pieces = [
            write_piece(directory / f"p{start}-{end}", [text for _, _, text in texts[start:end]], settings.words)
            for start, end in pairwise(cuts)
        ]
        self.items = contamination.build(self.pieces, self.item_of, settings, directory)

    def look(self, documents: Sequence[str], **more: object) -> contamination.Look:
        return contamination.look(self.items, documents, **more)

    def hits(self, documents: Sequence[str], **more: object) -> list[tuple[int, str, float]]:
        """Document, `<set>/<item>`, coverage."""
        return [(hit.document, self.names[hit.item], hit.coverage) for hit in self.look(documents, **more).hits]

    def covered(self, held: np.ndarray) -> list[int]:
        """Words of each text in runs that are `held`."""
        return [int(n) for piece in self.pieces for n in covered(piece, held, self.items.words)]
