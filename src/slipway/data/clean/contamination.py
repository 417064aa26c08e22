"""Which training documents hold an item that the model will be tested on, by shared runs of words.

An item is looked for by its runs of `words` words (13, as Brown et al. 2020, Language Models are Few-Shot Learners,
appendix C); words are those of `words`, so case, punctuation and white space make no difference. An item with fewer
words, but at least `SHORTEST`, is looked for as one run of its own length; a shorter one is counted and not looked for.
The coverage of an item in a document is the share of the item's different runs that the document holds.

An item may have several texts (a question with its choices, and with the right answer); its coverage is that of the
best one. A run that more than `phrases.COMMON` texts hold, such as the instructions of a test, counts for none of them,
so the work per word of a document is bounded; a text that has no other runs keeps them, but only the first `COMMON`
such texts are looked for by a run.
"""

import functools
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from slipway.data.clean.phrases import distinct, postings, rolled, runs_of
from slipway.data.clean.words import Words, words
from slipway.settings import Decontaminate

SHORTEST = 5
"""Words; fewer are met by chance."""
_MIX = np.uint64(0x9E3779B97F4A7C15)
_CHUNK = 1 << 20  # characters of documents looked at together
_LARGEST = 1 << 27  # bytes of the table in front


class Hit(NamedTuple):
    """A document that holds an item."""

    document: int
    """Place among the texts."""
    item: str
    """`<set>/<item>`."""
    coverage: float


class Look(NamedTuple):
    """What some documents hold of the items."""

    hits: list[Hit]
    seen: np.ndarray
    """Bool, one per run: whether a document without a hit holds it."""


@dataclass(frozen=True)
class Items:
    """What is looked for."""

    coverage: float
    """An item is held by a document from this share of its runs."""
    names: tuple[str, ...]
    """`<set>/<item>` of each item that is looked for."""
    counts: dict[str, int]
    """Set to items looked for."""
    too_short: dict[str, int]
    """Set to items that are not looked for, as no text of theirs has `SHORTEST` words."""
    sets: tuple[str, ...]
    """Set of each text."""
    item_of: np.ndarray
    """int32: the item of each text."""
    runs: np.ndarray
    """uint64, sorted: every different run."""
    lengths: tuple[int, ...]
    """Words of a run: those that occur, ascending."""
    first: np.ndarray
    """int64, shape (runs + 1,): run i counts for `texts[first[i]:first[i + 1]]`."""
    texts: np.ndarray
    """int32."""
    distinct: np.ndarray
    """int32: the different runs of each text that count for it."""
    starts: np.ndarray
    """int64, shape (texts + 1,): places of a text's words in `places`."""
    places: np.ndarray
    """int32: the run that begins at each word of the texts, or -1."""

    @functools.cached_property
    def gate(self) -> tuple[np.ndarray, np.uint64]:
        """A table of bools by the upper bits of a mixed run, true where one falls; and the shift that gives them.

        It turns away nearly all words of ordinary documents at the cost of one look.
        """
        bits = min((16 * len(self.runs)).bit_length() + 1, _LARGEST.bit_length() - 1)
        shift = np.uint64(64 - bits)
        table = np.zeros(1 << bits, bool)
        table[(self.runs * _MIX) >> shift] = True
        return table, shift

    def __getstate__(self) -> dict[str, object]:
        return {name: value for name, value in self.__dict__.items() if name != "gate"}


def build(items: Iterable[tuple[str, str, str]], settings: Decontaminate) -> Items:
    """Prepare (set, item, text) for the search; texts of the same set and item belong together."""
    texts = list(items)
    found = words([text for _, _, text in texts])
    long_enough = np.diff(found.starts) >= SHORTEST
    names: dict[tuple[str, str], int] = {}
    for (group, item, _), enough in zip(texts, long_enough, strict=True):
        if enough:
            names.setdefault((group, item), len(names))
    short = {(group, item) for group, item, _ in texts} - names.keys()
    kept = [text for text, enough in zip(texts, long_enough, strict=True) if enough]
    hashes = found.hashes[np.repeat(long_enough, np.diff(found.starts))]
    starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(np.diff(found.starts)[long_enough])])
    runs, places, lengths = runs_of(Words(hashes, starts), settings.words)
    first, counting = postings(places, starts, len(runs))
    return Items(
        coverage=settings.coverage,
        names=tuple(f"{group}/{item}" for group, item in names),
        counts=_count(texts, names),
        too_short=_count(texts, short),
        sets=tuple(group for group, _, _ in kept),
        item_of=np.array([names[group, item] for group, item, _ in kept], np.int32),
        runs=runs,
        lengths=lengths,
        first=first,
        texts=counting,
        distinct=np.bincount(counting, minlength=len(kept)).astype(np.int32),
        starts=starts,
        places=places,
    )


def _count(texts: Sequence[tuple[str, str, str]], items: Iterable[tuple[str, str]]) -> dict[str, int]:
    """Items of every set, zero included."""
    counts = Counter(group for group, _ in items)
    return {group: counts[group] for group in sorted({group for group, _, _ in texts})}


def _held(items: Items, texts: Words) -> tuple[np.ndarray, np.ndarray]:
    """Document and run, one for each place where a run of the items stands."""
    documents, runs = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    table, shift = items.gate
    for length in items.lengths if len(items.runs) else ():
        hashes = rolled(texts.hashes, length)
        at = np.flatnonzero(table[(hashes * _MIX) >> shift])
        run = np.minimum(np.searchsorted(items.runs, hashes[at]), len(items.runs) - 1)
        document = np.searchsorted(texts.starts, at, side="right") - 1
        holds = (items.runs[run] == hashes[at]) & (at + length <= texts.starts[document + 1])
        documents.append(document[holds])
        runs.append(run[holds])
    return np.concatenate(documents), np.concatenate(runs)


def _hits(items: Items, documents: np.ndarray, runs: np.ndarray) -> list[Hit]:
    count = max(len(items.runs), 1)
    document, run = np.divmod(distinct(documents * count + runs), count)
    width = items.first[run + 1] - items.first[run]
    inside = np.arange(width.sum()) - np.repeat(np.cumsum(width) - width, width)
    text = items.texts[np.repeat(items.first[run], width) + inside].astype(np.int64)
    pairs, shared = np.unique(np.repeat(document, width) * max(len(items.sets), 1) + text, return_counts=True)
    document, text = np.divmod(pairs, max(len(items.sets), 1))
    coverage = shared / items.distinct[text]
    best: dict[tuple[int, int], float] = {}
    for index in np.flatnonzero(coverage >= items.coverage).tolist():
        key = int(document[index]), int(items.item_of[text[index]])
        best[key] = max(float(coverage[index]), best.get(key, 0.0))
    return [Hit(document, items.names[item], share) for (document, item), share in sorted(best.items())]


def look(items: Items, texts: Sequence[str]) -> Look:
    """The hits of documents, by document and item, and the runs that the documents without a hit hold."""
    hits: list[Hit] = []
    seen = np.zeros(len(items.runs), bool)
    for start, chunk in _chunks(texts):
        documents, runs = _held(items, words(chunk))
        found = _hits(items, documents, runs)
        hits += [hit._replace(document=start + hit.document) for hit in found]
        seen[runs[~np.isin(documents, [hit.document for hit in found])]] = True
    return Look(hits, seen)


def hits(items: Items, texts: Sequence[str]) -> list[Hit]:
    """The items that each document holds, by document and item."""
    return look(items, texts).hits


def seen(items: Items, texts: Sequence[str]) -> np.ndarray:
    """Bool, one per run: whether some document holds it."""
    held = np.zeros(len(items.runs), bool)
    for _, chunk in _chunks(texts):
        held[_held(items, words(chunk))[1]] = True
    return held


def residual(items: Items, seen: np.ndarray) -> dict[str, float]:
    """Set to the share of its words that lie in runs which are `seen`; items that are too short do not count."""
    sizes = np.diff(items.starts)
    length = np.repeat(np.minimum(sizes, max(items.lengths, default=0)), sizes)
    begins = np.flatnonzero((items.places >= 0) & np.append(seen, False)[items.places])
    edges = np.zeros(len(items.places) + 1, np.int64)
    np.add.at(edges, begins, 1)
    np.add.at(edges, begins + length[begins], -1)
    covered = np.concatenate([[0], np.cumsum(np.cumsum(edges[:-1]) > 0)])
    inside = np.diff(covered[items.starts])
    sets = np.array(items.sets, object)
    return {group: float(inside[sets == group].sum() / sizes[sets == group].sum()) for group in sorted(set(items.sets))}


def _chunks(texts: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
    start = size = 0
    for end, text in enumerate(texts, 1):
        size += len(text)
        if size >= _CHUNK or end == len(texts):
            yield start, list(texts[start:end])
            start, size = end, 0
