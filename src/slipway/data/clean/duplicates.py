"""Exact and near duplicates: of each set of copies, the one of the first rank stays (see `Corpus.precedence`).

Near duplicates are tied together directly or through others (connected components), so which one stays does not
depend on the order in which they are looked at; each reject names the one that stays and its nearest neighbour.
"""

from typing import NamedTuple

import numpy as np


class Copies(NamedTuple):
    """Documents that repeat others, by number."""

    documents: np.ndarray
    kept: np.ndarray
    """The document that stays for each."""
    neighbours: np.ndarray
    """The document that each is most similar to."""
    jaccard: np.ndarray


def exact(prints: np.ndarray, rank: np.ndarray) -> Copies:
    """Documents of equal fingerprint.

    Args:
        prints: uint64 (documents, 2).
        rank: place of each document in the order in which copies give way to others.
    """
    order = np.lexsort((rank, prints[:, 1], prints[:, 0]))
    first = np.ones(len(order), bool)
    if len(order):
        first[1:] = (prints[order[1:]] != prints[order[:-1]]).any(axis=1)
    kept = order[first][np.cumsum(first) - 1]
    documents, kept = order[~first], kept[~first]
    return Copies(documents, kept, kept, np.ones(len(documents), np.float32))


def near(pairs: np.ndarray, jaccard: np.ndarray, rank: np.ndarray) -> Copies:
    """Documents that `pairs` (int64 (pairs, 2), of a known index each) tie to one of smaller rank."""
    lowest = smallest(pairs, rank)
    both = np.concatenate([pairs, pairs[:, ::-1]])
    value = np.concatenate([jaccard, jaccard])
    order = np.lexsort((rank[both[:, 1]], -value, both[:, 0]))
    documents, first = np.unique(both[order, 0], return_index=True)
    nearest = order[first]
    repeats = lowest[documents] != documents
    documents, nearest = documents[repeats], nearest[repeats]
    return Copies(documents, lowest[documents], both[nearest, 1], value[nearest])


def smallest(pairs: np.ndarray, rank: np.ndarray) -> np.ndarray:
    """For each document, the one of smallest rank among those it is tied to, itself included."""
    by_rank = np.empty(len(rank), np.int64)
    by_rank[rank] = np.arange(len(rank))
    return by_rank[components(rank[pairs], len(rank))[rank]]


def components(pairs: np.ndarray, documents: int) -> np.ndarray:
    """For each of `documents`, the lowest number among those it is tied to by `pairs`, directly or through others.

    Every round ties the root of each tree to a lower one beside it, so that trees at least halve in number.
    """
    lowest = np.arange(documents)
    first, second = pairs[:, 0], pairs[:, 1]
    while True:
        roots = np.sort(np.stack([lowest[first], lowest[second]]), axis=0)
        open_ties = roots[0] != roots[1]
        if not open_ties.any():
            return lowest
        first, second = first[open_ties], second[open_ties]
        np.minimum.at(lowest, roots[1][open_ties], roots[0][open_ties])
        while ((jumped := lowest[lowest]) != lowest).any():
            lowest = jumped
