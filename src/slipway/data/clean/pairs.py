"""The join: which documents resemble each other, or an item of a task file."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from slipway.data.clean import held_out, similar
from slipway.data.clean.bands import candidates, write_keys
from slipway.data.clean.corpus import Corpus
from slipway.data.clean.items import Text
from slipway.data.clean.similar import Sets
from slipway.data.clean.sketch import Bands
from slipway.records import Similarity
from slipway.settings import Prepare
from slipway.spread import Spread


@dataclass(frozen=True)
class Pairs:
    """Pairs at or above the lower threshold; numbers from `items_from` on are texts of task items."""

    pairs: np.ndarray
    """int64 (pairs, 2), first < second."""
    jaccard: np.ndarray
    items_from: int
    record: Similarity

    def documents(self, least: float) -> tuple[np.ndarray, np.ndarray]:
        """Pairs of documents with a Jaccard index of at least `least`, and their index."""
        chosen = (self.pairs[:, 1] < self.items_from) & (self.jaccard >= np.float32(least))
        return self.pairs[chosen], self.jaccard[chosen]

    def to_items(self, least: float) -> tuple[np.ndarray, np.ndarray]:
        """Pairs of document and text of an item (from 0), with an index of at least `least`, and their index."""
        chosen = (self.pairs[:, 0] < self.items_from) & (self.pairs[:, 1] >= self.items_from)
        chosen &= self.jaccard >= np.float32(least)
        return self.pairs[chosen] - [0, self.items_from], self.jaccard[chosen]


class _Joining(NamedTuple):
    keys: Path
    chosen: np.ndarray
    """Bool per document: whether it takes part."""
    out: Path


def find(  # noqa: PLR0917 - each of another type
    corpus: Corpus, items: Sequence[Text], bands: Bands, settings: Prepare, scratch: Path, spread: Spread
) -> Pairs:
    """Compare the documents that stay, and the texts of task items, as far as a band of their sketches agrees."""
    files: list[tuple[Path, Sets]] = [(shard.file("keys.npy"), shard.sets) for shard in corpus.shards]
    chosen = [corpus.stays[corpus.rows(number)] for number in range(len(files))]
    if items:
        files.append(held_out.sketches(items, bands, scratch))
        chosen.append(np.ones(len(items), bool))
    # A document without words has no shingles, and no key that means anything.
    chosen = [some & (np.diff(np.load(sets.starts)) > 0) for some, (_, sets) in zip(chosen, files, strict=True)]
    work = [
        _Joining(keys, some, scratch / f"join-{number:05d}.npy")
        for number, ((keys, _), some) in enumerate(zip(files, chosen, strict=True))
    ]
    found = candidates(list(spread(_joining, work)), scratch, spread)
    numbers = np.flatnonzero(np.concatenate(chosen)) if chosen else np.empty(0, np.int64)
    least = min(settings.duplicate_jaccard, settings.family_jaccard)
    kept, jaccard = similar.similar(numbers[found], [sets for _, sets in files], least, spread)
    record = Similarity(
        duplicate_jaccard=settings.duplicate_jaccard,
        family_jaccard=settings.family_jaccard,
        bands=bands.bands,
        rows=bands.rows,
        found_share=bands.found(least),
        candidate_pairs=len(found),
        similar_pairs=len(kept),
    )
    return Pairs(kept, jaccard, len(corpus), record)


def _joining(item: _Joining) -> Path:
    """The keys of the documents that take part, as a file of their own."""
    write_keys(item.out, np.load(item.keys, mmap_mode="r")[item.chosen])
    return item.out
