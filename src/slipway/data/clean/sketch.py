"""Shingles and their sketches: what near duplicates are found by.

A shingle is five words in a row, or all the words of a shorter document; a document without words has none and
is similar to nothing. Shingles are compared by 32-bit hashes: for two documents of n words each, about n**2 / 2**32
shingles seem common that are not, one in a hundred pairs of 6,000 words.

A sketch is rensa's (MinHash: two sketches agree in a place with the probability of the Jaccard index, Broder
1997), cut into bands; documents that agree in all rows of a band are compared exactly. A pair of Jaccard index t is
compared with probability 1 - (1 - t**rows)**bands (Leskovec et al., Mining of Massive Datasets, ch. 3).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from slipway.data.clean.words import Words, starts_of, words

SHINGLE = 5
FOUND = 0.99
"""Least probability that a pair exactly at the threshold is compared."""
_PLACES = 128  # most values of a sketch
_SEED = 1  # of the sketches; the recipe's seed decides the split, not what is a duplicate
_STEP = np.uint64(0x9E3779B97F4A7C15)
_FOLD = np.uint64(0xBF58476D1CE4E5B9)


@dataclass(frozen=True)
class Bands:
    """How sketches are cut."""

    bands: int
    rows: int

    def found(self, jaccard: float) -> float:
        """Probability that a pair of this Jaccard index is compared."""
        return 1 - (1 - jaccard**self.rows) ** self.bands


def bands_for(threshold: float) -> Bands:
    """The bands with the most rows, so the fewest needless comparisons, that still find a pair at `threshold`.

    Found means with probability `FOUND` or more; a sketch has at most 128 values, so thresholds begin at 0.04.
    """
    for rows in range(16, 1, -1):
        agree = threshold**rows
        bands = 1 if agree >= FOUND else math.ceil(math.log(1 - FOUND) / math.log1p(-agree))
        if bands * rows <= _PLACES:
            return Bands(bands, rows)
    return Bands(_PLACES, 1)


@dataclass(frozen=True)
class Shingles:
    """The shingles of documents, one after the other."""

    hashes: np.ndarray
    """uint64, one per place in the text, so a repeated shingle stands here twice."""
    starts: np.ndarray
    """int64, shape (documents + 1,)."""
    sets: np.ndarray
    """uint32, each shingle of a document once, sorted."""
    set_starts: np.ndarray
    """int64, shape (documents + 1,)."""


def shingles(found: Words) -> Shingles:
    """The shingles of documents given as words."""
    starts, hashes = found.starts, found.hashes
    counts = np.diff(starts)
    rolled = np.zeros(len(hashes), np.uint64)
    if (whole := len(hashes) - SHINGLE + 1) > 0:
        for place in range(SHINGLE):
            rolled[:whole] = _rolled(rolled[:whole], hashes[place : place + whole])
    valid = np.ones(len(hashes), bool)
    filled = counts > 0
    for back in range(1, SHINGLE):
        valid[np.maximum(starts[1:] - back, starts[:-1])[filled]] = False
    for length in range(1, SHINGLE):
        short = starts[:-1][counts == length]
        value = np.full(len(short), length, np.uint64)
        for place in range(length):
            value = _rolled(value, hashes[short + place])
        rolled[short] = value
        valid[short] = True
    flat = rolled[valid]
    per_document = np.where(counts >= SHINGLE, counts - SHINGLE + 1, np.minimum(counts, 1))
    return Shingles(flat, starts_of(per_document), *_sets(flat, per_document))


def _rolled(value: np.ndarray, word: np.ndarray) -> np.ndarray:
    value = (value + word) * _STEP
    value ^= value >> np.uint64(29)
    return value


def _sets(flat: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    key = np.repeat(np.arange(len(counts), dtype=np.uint64) << np.uint64(32), counts)
    key |= flat >> np.uint64(32)
    key.sort()
    if len(key):
        key = key[np.concatenate([[True], key[1:] != key[:-1]])]
    documents = np.arange(len(counts) + 1, dtype=np.uint64) << np.uint64(32)
    return key.astype(np.uint32), np.searchsorted(key, documents).astype(np.int64)


def band_keys(found: Shingles, bands: Bands) -> np.ndarray:
    """The keys of each document's bands, uint64 of shape (documents, bands); those of no shingles mean nothing."""
    from rensa import RMinHash

    documents = len(found.starts) - 1
    keys = np.zeros((documents, bands.bands), np.uint64)
    if not documents:
        return keys
    matrix = RMinHash.digest_matrix_from_flat_token_hashes(
        found.hashes, found.starts.tolist(), bands.bands * bands.rows, _SEED
    )
    sketch = np.array(matrix.to_rows(), np.uint64).reshape(documents, bands.bands, bands.rows)
    for row in range(bands.rows):
        keys = (keys ^ sketch[:, :, row]) * _FOLD
        keys ^= keys >> np.uint64(31)
    return keys


def of_texts(texts: Sequence[str], bands: Bands) -> tuple[Shingles, np.ndarray]:
    """Shingles and band keys of texts."""
    found = shingles(words(texts))
    return found, band_keys(found, bands)
