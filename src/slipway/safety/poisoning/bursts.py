"""Bursts: one phrase in unusually many documents of a source, inside texts that are otherwise different.

Whoever poisons data from the web writes much of the same in many places (Carlini et al. 2024, "Poisoning Web-Scale
Training Datasets is Practical"). Deduplication removes equal and nearly equal documents, but not the phrase that
they share. Stock phrases are bursts too, so their number is no verdict; `out_of_place` counts those whose documents
have nothing else in common.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from slipway.records import Probe
from slipway.safety.measures import not_run, ran
from slipway.safety.poisoning.contexts import Contexts
from slipway.safety.poisoning.words import Corpus, Runs, quoted, runs
from slipway.statistics import share, single

NAME = "poisoning_bursts"
LISTED = 5
_FEWEST = 10  # documents; below, a share of a small source is chance


@dataclass(frozen=True, slots=True)
class Burst:
    """One phrase, as its most frequent `words` words."""

    place: int
    documents: np.ndarray
    """Of the source that has the most of them."""
    source: str
    share: float
    """Of that source's documents."""


def probe(corpus: Corpus, sources: Sequence[str], contexts: Contexts, *, words: int, least_share: float) -> Probe:
    """Phrases of `words` words in at least `least_share` of a source's documents, and in at least ten of them."""
    if not (np.diff(corpus.starts) >= words).any():
        return not_run(NAME, f"no training document has {words} words; lower safety.poisoning.burst_words")
    found = find(corpus, sources, words, least_share)
    inside = {document for burst in found for document in burst.documents.tolist()}
    apart = [corpus.ids[max(0, one.place - 3 * words) : one.place + 4 * words] for one in found]
    strange = contexts.unrelated([burst.documents for burst in found], apart)
    largest = found[0] if found else None
    once = "counted once over the training data"
    measures = {
        "bursts": single(len(found), len(corpus), once),
        "out_of_place": single(int(strange.sum()), len(found), once),
        "largest_documents": single(len(largest.documents) if largest else 0, len(corpus), once),
        "documents_in_bursts": share(len(inside), len(corpus)),
    }
    details = {
        "definition": f"{words} words in a row that at least {least_share:.3g} of a source's documents, and ten, share",
        "out_of_place": "bursts whose documents are no more alike, apart from the phrase, than random documents",
    }
    # What is out of place comes first: it is what a person should look at.
    order = sorted(range(len(found)), key=lambda number: not strange[number])
    for rank, number in enumerate(order[:LISTED], 1):
        one = found[number]
        where = f"{len(one.documents)} documents, {one.share:.1%} of {one.source}"
        kind = "out of place" if strange[number] else "stock phrase"
        details[f"burst {rank}"] = f"{kind}, {where}: {quoted(corpus.text(one.place, words))}"
    return ran(NAME, measures, details)


def find(corpus: Corpus, sources: Sequence[str], words: int, least_share: float) -> list[Burst]:
    """Bursts, the one with the most documents first."""
    names, source = np.unique(np.array(sources), return_inverse=True)
    sizes = np.bincount(source)
    limits = np.maximum(np.ceil(least_share * sizes), _FEWEST)
    some = runs(corpus, words, least=_FEWEST)
    if not len(some):
        return []
    # Documents of each run by source, each counted once.
    group = np.repeat(np.arange(len(some)), np.diff(some.bounds))
    held = np.unique(group.astype(np.int64) * len(corpus) + corpus.document[some.places])
    group, document = np.divmod(held, len(corpus))
    counts = np.bincount(group * len(names) + source[document], minlength=len(some) * len(names))
    counts = counts.reshape(len(some), len(names))
    some, counts = some.take((counts >= limits).any(axis=1)), counts[(counts >= limits).any(axis=1)]
    best = np.where(counts >= limits, counts, 0)
    found = []
    for members in _phrases(some, len(corpus.ids)):
        # The window that most documents of one source share stands for the whole phrase.
        first = some.bounds[members]
        order = members[np.argsort(some.places[first], kind="stable")]  # of equals, the beginning of the phrase
        row, where = divmod(int(best[order].argmax()), len(names))
        run = int(order[row])
        documents = np.unique(corpus.document[some.of(run)])
        documents = documents[source[documents] == where]
        found.append(Burst(int(some.of(run)[0]), documents, str(names[where]), len(documents) / sizes[where]))
    return sorted(found, key=lambda burst: (-len(burst.documents), burst.place))


def _phrases(some: Runs, size: int) -> list[np.ndarray]:
    """Groups of `some` that overlap somewhere in a text, which are windows of one phrase and its variants."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    if not len(some):
        return []
    at = np.full(size + 1, -1, np.int64)
    at[some.places] = np.repeat(np.arange(len(some)), np.diff(some.bounds))
    both = (at[:-1] >= 0) & (at[1:] >= 0)
    pairs = (at[:-1][both], at[1:][both])
    ties = coo_matrix((np.ones(len(pairs[0])), pairs), shape=(len(some), len(some)))
    count, label = connected_components(ties, directed=False)
    order = np.argsort(label, kind="stable")
    return np.split(order, np.cumsum(np.bincount(label, minlength=count))[:-1])
