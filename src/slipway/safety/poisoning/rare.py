"""Rare strings of the training data, and what makes one look like a trigger.

A trigger works where it is put, whatever stands before it (Kurita et al. 2020 plant rare words, so that nobody
says them by accident). In the data it therefore shows three things at once, of which real text has one or two:

- **it follows many different words**: names and the insides of stock phrases follow the same few;
- **the same words follow it**: stock phrases do that too;
- **its documents have nothing else in common**: a name stands in texts of its own subject, and a stock phrase in
  texts of one kind. Measured as cosine of the documents' words, weighed by rarity, beside random documents.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from slipway.safety.poisoning.words import Corpus, Runs, runs

WORDS = (1, 2, 3)
"""Words of a string that is looked at."""
FOLLOWING = 5
"""Words after it that must be the same."""
_LEFT = 0.1  # of a document's squared length that other words must make up
_ROWS = 40  # documents that stand for all of a string, when their likeness is measured


@dataclass(frozen=True)
class Strings:
    """Rare strings of one length; all arrays have one value per string."""

    found: Runs
    followed: np.ndarray
    """float64, share of its documents in which the most frequent continuation of `FOLLOWING` words follows it."""
    payload: np.ndarray
    """int64, a place where it stands with that continuation."""
    after: np.ndarray
    """float64, share of its documents in which it follows its most frequent predecessor."""

    def take(self, keep: np.ndarray) -> "Strings":
        """The strings where `keep`, a bool per string, is true."""
        return Strings(self.found.take(keep), self.followed[keep], self.payload[keep], self.after[keep])


def strings(corpus: Corpus, words: int, least: int, most: int) -> Strings:
    """Strings of `words` words that stand in at least `least` and at most `most` documents."""
    found = runs(corpus, words, least=least)
    found = found.take(found.documents <= most)
    size, first = len(corpus.ids), found.bounds[:-1]
    if not len(found):
        none = np.zeros(0)
        return Strings(found, none, none.astype(np.int64), none)
    following = runs(corpus, words + FOLLOWING, found.places, least).by_place(size)[found.places]
    before = runs(corpus, words + 1, found.places[found.places > 0] - 1, 2).by_place(size)[found.places - 1]
    before[corpus.document[found.places - 1] != corpus.document[found.places]] = 1  # the beginning of a document
    best = np.maximum.reduceat(following, first)
    spread = np.repeat(best, np.diff(found.bounds))
    # The first place of each string that has its most frequent continuation.
    where = np.where(following == spread, np.arange(len(following)), len(following))
    payload = found.places[np.minimum.reduceat(where, first)]
    return Strings(found, best / found.documents, payload, np.maximum.reduceat(before, first) / found.documents)


class Contexts:
    """How alike the documents of a string are, apart from the string and what follows it."""

    def __init__(self, corpus: Corpus) -> None:
        from scipy.sparse import csr_matrix

        shape = len(corpus), len(corpus.vocabulary)
        cells = np.unique(corpus.document.astype(np.int64) * shape[1] + corpus.ids)
        rows, columns = np.divmod(cells, shape[1])
        rarity = np.log(shape[0] / np.bincount(columns, minlength=shape[1]).clip(1))
        table = csr_matrix((rarity[columns], (rows, columns)), shape=shape)
        norms = np.sqrt(table.multiply(table).sum(axis=1))
        self._table: Any = csr_matrix(table.multiply(1 / np.asarray(norms).reshape(-1, 1).clip(1e-9)))
        self._corpus = corpus

    def alike(self, groups: Sequence[np.ndarray], apart: Sequence[np.ndarray], rng: np.random.Generator) -> np.ndarray:
        """Mean cosine of each group's documents, two at a time: float64 of shape (groups,).

        Words whose numbers are in `apart` do not count. Of a large group, `_ROWS` random documents stand for all.
        """
        from scipy.sparse import csr_matrix

        kept = [rng.choice(group, _ROWS, replace=False) if len(group) > _ROWS else group for group in groups]
        sizes = np.array([len(group) for group in kept])
        places = np.concatenate([[0], np.cumsum(sizes)])
        member = csr_matrix((np.ones(places[-1]), np.concatenate(kept), places), shape=(len(kept), len(self._corpus)))
        sums = csr_matrix(member @ self._table)
        dropped = [np.unique(numbers) for numbers in apart]
        ends = np.concatenate([[0], np.cumsum([len(numbers) for numbers in dropped])])
        mask = csr_matrix((np.ones(ends[-1]), np.concatenate(dropped), ends), shape=sums.shape)
        squares = csr_matrix(member @ self._table.multiply(self._table))
        together, each = (
            np.asarray((table - table.multiply(mask)).sum(axis=1)).ravel() for table in (sums.multiply(sums), squares)
        )
        # Weighed by how much each document holds besides; where that is next to nothing, nothing tells them apart.
        cosine = np.maximum(together - each, 0) / (each * (sizes - 1)).clip(1e-9)
        return np.where(each >= _LEFT * sizes, cosine, 1.0)

    def random(self, size: int, draws: int, rng: np.random.Generator) -> np.ndarray:
        """The same of `draws` groups of random documents."""
        groups = [rng.choice(len(self._corpus), min(size, len(self._corpus)), replace=False) for _ in range(draws)]
        return self.alike(groups, [np.zeros(0, np.int32)] * draws, rng)


def contexts_of(corpus: Corpus, some: Strings, contexts: Contexts, rng: np.random.Generator) -> np.ndarray:
    """How alike the documents of each string are: float64, one per string."""
    if not len(some.found):
        return np.zeros(0)
    groups = [np.unique(corpus.document[some.found.of(group)]) for group in range(len(some.found))]
    long = some.found.words + 2 * FOLLOWING
    apart = [corpus.ids[place : place + long] for place in some.payload]
    return contexts.alike(groups, apart, rng)
