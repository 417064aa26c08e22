"""What is known of all documents at once, and what becomes of each: a few numbers per document, the rest on disk.

A document's number is its place through all shards. Its id and its group stay in memory-mapped files.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from slipway.data.clean.first_pass import Shard
from slipway.data.clean.words import starts_of


class Fate(NamedTuple):
    """A reason for which a document that passed the first pass is turned away."""

    step: str
    reason: str


FATES = (
    Fate("", "stays"),
    Fate("exact duplicates", "exact duplicate"),
    Fate("quality", "boilerplate"),
    Fate("near duplicates", "near duplicate"),
    Fate("split", "too similar to a held-out document"),
    Fate("decontamination", "holds an item"),
    Fate("decontamination", "near duplicate of an item"),
)
STAYS, EXACT, BOILERPLATE, NEAR, LEAK, HOLDS_ITEM, NEAR_ITEM = range(len(FATES))


class Corpus:
    """The documents that passed the first pass. `fate`, `other`, `near` and `value` are filled by the next."""

    def __init__(self, shards: Sequence[Shard]) -> None:
        import pyarrow as pa
        import pyarrow.compute as pc

        self.shards = shards
        tables = [pa.ipc.open_file(pa.memory_map(str(shard.file("docs.arrow")))).read_all() for shard in shards]
        self.first = starts_of(np.array([len(table) for table in tables]))
        table = pa.concat_tables(tables)
        self.ids = table.column("id")
        self.rank = np.empty(len(table), np.int64)
        self.rank[pc.sort_indices(self.ids).to_numpy()] = np.arange(len(table))
        groups = pc.dictionary_encode(table.column("group")).combine_chunks()
        self.group = groups.indices.to_numpy().astype(np.int64)
        self.side = table.column("side").to_numpy()
        self.characters = table.column("characters").to_numpy()
        self.prints = np.stack([table.column("print").to_numpy(), table.column("print2").to_numpy()], axis=1)
        self.fate = np.zeros(len(table), np.int8)
        self.other = np.full(len(table), -1)
        """Document that a rejected one collided with."""
        self.near = np.full(len(table), -1)
        self.value = np.zeros(len(table), np.float32)
        """Jaccard index or coverage behind the fate."""
        self.items: dict[int, str] = {}
        """Document to the item that it holds or resembles."""

    def __len__(self) -> int:
        return len(self.fate)

    @property
    def stays(self) -> np.ndarray:
        """Bool per document: not turned away so far."""
        return self.fate == STAYS

    @property
    def precedence(self) -> np.ndarray:
        """Rank by which one of several copies stays: test before validation before training, then the smaller id.

        Were it the id alone, a new training document could drive an old copy of it out of the test split, and text
        that was held out so far would be trained on.
        """
        rank = np.empty(len(self), np.int64)
        rank[np.lexsort((self.rank, -self.side))] = np.arange(len(self))
        return rank

    def rows(self, shard: int) -> slice:
        """The numbers of a shard's documents."""
        return slice(int(self.first[shard]), int(self.first[shard + 1]))

    def turn_away(
        self, fate: int, documents: np.ndarray, value: np.ndarray, other: np.ndarray, near: np.ndarray | None = None
    ) -> None:
        """Note the fate of documents that stayed so far."""
        self.fate[documents] = fate
        self.value[documents] = value
        self.other[documents] = other
        self.near[documents] = other if near is None else near

    def id(self, number: int) -> str:
        """The id of a document."""
        return self.ids[int(number)].as_py()

    def detail(self, number: int) -> str:
        """What is special to a document that was turned away."""
        fate, value = self.fate[number], self.value[number]
        if fate == EXACT:
            return "equal but for case and white space"
        if fate == BOILERPLATE:
            return f"{value:.2f} of it are lines that very many documents share"
        if fate == NEAR:
            return f"Jaccard {value:.3f} of word 5-shingles with {self.id(self.near[number])}"
        if fate == HOLDS_ITEM:
            return f"{value:.2f} of the item's runs of words"
        return f"Jaccard {value:.3f} of word 5-shingles"

    def collided(self, number: int) -> str | None:
        """Id of the document, or name of the item, behind a rejection."""
        return self.items.get(number) or (self.id(self.other[number]) if self.other[number] >= 0 else None)

    def families(self, pairs: np.ndarray) -> np.ndarray:
        """For each document that stays, the one of smallest id among those tied to it by group or `pairs`."""
        from slipway.data.clean.duplicates import smallest

        kept = np.flatnonzero(self.stays)
        order = kept[np.lexsort((self.rank[kept], self.group[kept]))]
        same = self.group[order[1:]] == self.group[order[:-1]]
        in_groups = np.stack([order[:-1][same], order[1:][same]], axis=1)
        pairs = pairs[self.stays[pairs].all(axis=1)]
        return smallest(np.concatenate([in_groups, pairs]), self.rank)
