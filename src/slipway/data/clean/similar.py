"""How similar documents are: fingerprints of equal ones, and the exact Jaccard index of candidate pairs.

The Jaccard index is that of two documents' sets of word 5-shingles (see `sketch`).
"""

import hashlib
import itertools
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from slipway.data.clean.words import starts_of
from slipway.spread import Spread

_PART = 1 << 23  # shingles of an item of work
_ELEMENTS = 1 << 20  # shingles compared at a time
_LEVEL = bytes(range(256)).lower()
_WHITE = b" \t\n\r\f\v"


def fingerprint(text: str) -> bytes:
    """128 bits that are equal for texts equal but for case, white space and compatibility forms (NFKC)."""
    if text.isascii():
        return hashlib.blake2b(text.encode().translate(_LEVEL, _WHITE), digest_size=16).digest()
    levelled = "".join(unicodedata.normalize("NFKC", text).lower().split())
    return hashlib.blake2b(levelled.encode("utf-8", "surrogatepass"), digest_size=16).digest()


class Sets(NamedTuple):
    """Where the shingles of consecutive documents lie: two `.npy` files, as `save_sets` writes them."""

    hashes: Path
    starts: Path


class _Part(NamedTuple):
    sets: tuple[Sets, ...]
    first_of_shard: np.ndarray
    pairs: np.ndarray


def similar(pairs: np.ndarray, sets: Sequence[Sets], least: float, spread: Spread) -> tuple[np.ndarray, np.ndarray]:
    """Those of `pairs` whose index is at least `least`, and the index of each, float32.

    Documents are numbered through all of `sets`. Pairs whose sizes alone exclude it are not compared.
    """
    sizes = np.concatenate([np.diff(np.load(one.starts)) for one in sets]) if sets else np.empty(0, np.int64)
    first = starts_of(np.array([len(np.load(one.starts, mmap_mode="r")) - 1 for one in sets], np.int64))
    small, large = np.sort(sizes[pairs], axis=1).T
    pairs = pairs[small >= least * large]
    # Documents that a part holds in memory are at most both ends of its pairs.
    weights = np.cumsum(sizes[pairs].sum(axis=1))
    edges = np.searchsorted(weights, np.arange(_PART, weights[-1] if len(weights) else 0, _PART))
    cuts = [0, *np.unique(edges[edges > 0]).tolist(), len(pairs)]
    parts = [_Part(tuple(sets), first, pairs[low:high]) for low, high in itertools.pairwise(cuts) if low < high]
    value = np.concatenate([np.empty(0, np.float32), *spread(_compare, parts)])
    # The quotient was rounded to 32 bits, so the bound is too.
    keep = value >= np.float32(least)
    return pairs[keep], value[keep]


def _compare(part: _Part) -> np.ndarray:
    documents, of = np.unique(part.pairs, return_inverse=True)
    of = of.reshape(-1, 2)
    hashes, starts = _gather(part, documents)
    sizes = np.diff(starts)
    common = np.zeros(len(of), np.int64)
    ends = np.cumsum(sizes[of].sum(axis=1))
    position = 0
    while position < len(of):
        before = ends[position - 1] if position else 0
        stop = max(position + 1, int(np.searchsorted(ends, before + _ELEMENTS, side="right")))
        common[position:stop] = _common(hashes, starts, of[position:stop])
        position = stop
    return (common / np.maximum(sizes[of].sum(axis=1) - common, 1)).astype(np.float32)


def _gather(part: _Part, documents: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The shingles of `documents` (sorted numbers), and where each begins."""
    hashes, counts = [], []
    edges = np.searchsorted(documents, part.first_of_shard)
    for one, first, low, high in zip(part.sets, part.first_of_shard[:-1], edges[:-1], edges[1:], strict=True):
        if low < high:
            rows, starts = documents[low:high] - first, np.load(one.starts, mmap_mode="r")
            counts.append(starts[rows + 1] - starts[rows])
            hashes.append(np.load(one.hashes, mmap_mode="r")[_places(starts[rows], counts[-1])])
    return np.concatenate(hashes), starts_of(np.concatenate(counts))


def _places(starts: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The places of pieces that begin at `starts` and have `counts` elements, one after the other."""
    return np.arange(counts.sum()) + np.repeat(starts - (np.cumsum(counts) - counts), counts)


def _common(hashes: np.ndarray, starts: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Shingles that both documents of each pair have: those that stand twice when both sets are sorted together."""
    flat = pairs.ravel()
    counts = starts[flat + 1] - starts[flat]
    key = np.repeat(np.arange(len(flat), dtype=np.uint64) >> np.uint64(1) << np.uint64(32), counts)
    key |= hashes[_places(starts[flat], counts)]
    key.sort()
    twice = key[1:][key[1:] == key[:-1]] >> np.uint64(32)
    return np.bincount(twice.astype(np.int64), minlength=len(pairs))


def save_sets(at: Sets, hashes: np.ndarray, starts: np.ndarray) -> Sets:
    """Write shingles where `at` says."""
    np.save(at.hashes, hashes)
    np.save(at.starts, starts)
    return at
