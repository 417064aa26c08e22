"""Which documents hold an item that the model will be tested on, by shared runs of words.

An item is looked for by its runs of `words` words (13, as Brown et al. 2020, Language Models are Few-Shot Learners,
appendix C); words are those of `words`, so case, punctuation and white space make no difference. An item with fewer
words, but at least `SHORTEST`, is looked for as one run of its own length; a shorter one is counted and not looked for.
The coverage of an item in a document is the share of the item's different runs that the document holds.

An item may have several texts (a question with its choices, and with the right answer); its coverage is that of the
best one. A run that more than `postings.COMMON` texts hold, such as the instructions of a test, counts for none of
them, so the work per word of a document is bounded; a text that has no other runs keeps them, but only the first
`COMMON` such texts are looked for by a run.

Items are numbers here. Their runs lie in files that every process maps into memory, so they are held once
for all processes of a machine, and only as far as they are looked at.
"""

import functools
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from slipway.data.clean.phrases import SHORTEST, Piece, Runs, chunks, distinct, located
from slipway.data.clean.postings import Postings, flags_of, merge
from slipway.data.clean.words import Words, words
from slipway.settings import Decontaminate


class Hit(NamedTuple):
    """A document that holds an item."""

    document: int
    """Place among the texts."""
    item: int
    coverage: float


class Look(NamedTuple):
    """What some documents hold of the items."""

    hits: list[Hit]
    """By document and item."""
    held: np.ndarray
    """uint64, sorted: the runs of items that documents without a hit hold."""


class Items(NamedTuple):
    """What is looked for; small, as the runs are on disk."""

    directory: Path
    written: int
    """When, in nanoseconds: tells a table from an earlier one of that place."""
    coverage: float
    """An item is held by a document from this share of its runs."""
    words: int
    """Words of a run."""
    short: tuple[int, ...]
    """Words of the items that are looked for as a whole, ascending."""


def build(pieces: Sequence[Piece], item_of: np.ndarray, settings: Decontaminate, directory: Path) -> Items:
    """Prepare the search for the texts of `pieces`, made with `settings.words`.

    Args:
        pieces: their texts are numbered in this order.
        item_of: the item of each text; texts of the same item belong together.
        settings: of the recipe.
        directory: where the table is written.
    """
    merge(pieces, item_of, directory)
    short = sorted({length for piece in pieces for length in piece.short})
    written = (directory / "item_of").stat().st_mtime_ns
    return Items(directory, written, settings.coverage, settings.words, tuple(short))


@functools.lru_cache(maxsize=1)
def _load(directory: Path, _written: int) -> Postings:
    return Postings.load(directory)


def _held(items: Items, table: Postings, texts: Words) -> tuple[np.ndarray, np.ndarray]:
    """Document and run, one for each place where a run of the items stands."""
    runs = Runs(texts.hashes)
    every = runs.every(items.words)
    at, flags = table.gate.passes(every)
    candidates = [(items.words, at, every[at], flags)]
    heads, lengths = table.heads.passes(runs.every(SHORTEST)) if items.short else (at, flags)
    for length in items.short:
        at = heads[(lengths >> (length % 8)) & 1 > 0]
        at = at[at + length <= len(texts.hashes)]
        run = runs.at(at, length)
        candidates.append((length, at, run, table.gate.table[run >> table.gate.shift]))
    documents, found = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for length, places, run, flags in candidates:
        likely = np.flatnonzero((flags >> flags_of(run)) & 1)
        document = np.searchsorted(texts.starts, places[likely], side="right") - 1
        inside = places[likely] + length <= texts.starts[document + 1]
        is_run, number = located(run[likely[inside]], table.runs)
        documents.append(document[inside][is_run])
        found.append(number)
    return np.concatenate(documents), np.concatenate(found)


def _coverage(
    table: Postings, documents: np.ndarray, runs: np.ndarray, meant: Callable[[np.ndarray], np.ndarray]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Document, item, and the share of a text of the item that the document holds, for each such text that is meant."""
    document, run = np.divmod(distinct(documents * len(table.runs) + runs), len(table.runs))
    width, text = table.counting(run)
    pairs = np.repeat(document, width) * len(table.item_of) + text
    pairs = np.sort(pairs[meant(table.item_of[text])])
    first = np.flatnonzero(np.append(True, pairs[1:] != pairs[:-1])[: len(pairs)])
    document, text = np.divmod(pairs[first], len(table.item_of))
    return document, table.item_of[text], np.diff(first, append=len(pairs)) / table.distinct[text]


def look(items: Items, texts: Iterable[str], below: int | None = None, gone: Sequence[int] = ()) -> Look:
    """The items that each of `texts` holds, and what those that hold none have in common with items.

    Args:
        items: as built.
        texts: documents.
        below: only items of lower number count for hits; all if None.
        gone: items that do not count for hits.
    """
    table = _load(items.directory, items.written)
    limit, without = len(table.item_of) if below is None else below, np.asarray(gone, np.int64)
    best: dict[tuple[int, int], float] = {}
    held = [np.empty(0, np.int64)]
    for start, chunk in chunks(texts) if len(table.runs) else ():
        documents, runs = _held(items, table, words(chunk))
        found = _coverage(table, documents, runs, lambda item: (item < limit) & ~np.isin(item, without))
        hits = found[2] >= items.coverage
        for document, item, share in zip(*(column[hits].tolist() for column in found), strict=True):
            key = start + document, item
            best[key] = max(share, best.get(key, 0.0))
        held.append(distinct(runs[~np.isin(documents, found[0][hits])]))
    return Look([Hit(*key, share) for key, share in sorted(best.items())], table.runs[distinct(np.concatenate(held))])
