"""Whether documents that share a string have anything else in common, as those of a name or a stock phrase have."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from slipway.safety.poisoning.words import Corpus

_ROWS = 40  # documents that stand for all of a string
_OTHER = 10  # different words that a document must hold besides, for a likeness to be seen
_SIZES = (2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 30, _ROWS)
_DRAWS = 300
_LEVEL = 0.99


class Contexts:
    """Likeness: mean cosine of documents two at a time, over the different words they hold, weighed by rarity."""

    def __init__(self, corpus: Corpus, rng: np.random.Generator) -> None:
        self._corpus, self._rng = corpus, rng

    @cached_property
    def _tables(self) -> tuple[Any, Any, Any]:
        """Sparse, documents by words: weights of unit length, their squares, and ones."""
        from scipy.sparse import csr_matrix

        shape = len(self._corpus), len(self._corpus.vocabulary)
        cells = np.sort(self._corpus.document.astype(np.int64) * shape[1] + self._corpus.ids)
        cells = cells[np.concatenate([[True], cells[1:] != cells[:-1]])]
        rows, columns = np.divmod(cells, shape[1])
        squares = np.log(shape[0] / np.bincount(columns, minlength=shape[1]).clip(1))[columns] ** 2
        squares /= np.bincount(rows, weights=squares, minlength=shape[0])[rows].clip(1e-12)
        bounds = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=shape[0]))])
        columns = columns.astype(np.int32)
        weights, squared, ones = (
            csr_matrix((values, columns, bounds), shape=shape) for values in (np.sqrt(squares), squares, squares**0)
        )
        return weights, squared, ones

    def alike(self, groups: Sequence[np.ndarray], apart: Sequence[np.ndarray]) -> np.ndarray:
        """Likeness of each group's documents: float64 of shape (groups,).

        Words whose numbers are in `apart` do not count. A group of documents that hold next to nothing else is as
        alike as can be, 1: nothing tells them apart. Of a large group, random documents stand for all.
        """
        from scipy.sparse import csr_matrix

        if not len(groups):
            return np.zeros(0)
        kept = [self._rng.choice(group, _ROWS, replace=False) if len(group) > _ROWS else group for group in groups]
        sizes = np.array([len(group) for group in kept])
        shape = len(kept), len(self._corpus)
        member = csr_matrix((np.ones(sizes.sum()), np.concatenate(kept), _ends(sizes)), shape=shape)
        dropped = [np.unique(numbers) for numbers in apart]
        ends = _ends([len(numbers) for numbers in dropped])
        wide = shape[0], len(self._corpus.vocabulary)
        mask = csr_matrix((np.ones(ends[-1]), np.concatenate(dropped), ends), shape=wide)
        weights, squared, ones = (csr_matrix(member @ table) for table in self._tables)
        together, each, words = (
            np.asarray((table - table.multiply(mask)).sum(axis=1)).ravel()
            for table in (weights.multiply(weights), squared, ones)
        )
        cosine = np.maximum(together - each, 0) / (each * (sizes - 1)).clip(1e-12)
        return np.where(words >= _OTHER * sizes, cosine, 1.0)

    def unrelated(self, groups: Sequence[np.ndarray], apart: Sequence[np.ndarray]) -> np.ndarray:
        """Whether each group is no more alike than 99 % of as many documents drawn at random: bool."""
        return self.alike(groups, apart) <= self.limits(groups)

    def limits(self, groups: Sequence[np.ndarray]) -> np.ndarray:
        """The most that groups of these sizes may be alike and still count as unrelated: float64 of shape (groups,)."""
        sizes = np.array([len(group) for group in groups], dtype=np.int64)
        # Random groups grow less alike with size: the next size that was drawn is the stricter one.
        return self._limits[np.searchsorted(_SIZES, np.minimum(sizes, _ROWS))]

    @cached_property
    def _limits(self) -> np.ndarray:
        """For each of `_SIZES`: the likeness that random documents reach in one of a hundred draws."""
        documents = len(self._corpus)
        none = [np.zeros(0, np.int32)] * _DRAWS
        drawn = [
            self.alike([self._rng.choice(documents, min(size, documents), replace=False) for _ in none], none)
            for size in _SIZES
        ]
        return np.array([np.quantile(some, _LEVEL) for some in drawn])


def _ends(sizes: Sequence[int] | np.ndarray) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
