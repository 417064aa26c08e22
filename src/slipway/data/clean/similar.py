"""Pairs of similar documents: MinHash proposes, the exact Jaccard index of word 5-shingles decides.

Words are runs of letters, digits and underscores, lower case; a shingle is five words in a row, or all the
words of a shorter document. Sketches are rensa's (126 permutations); 42 bands of 3 rows make two documents
of Jaccard 0.5 candidates with probability 0.996 and of 0.8 with 1 - 1e-13 (Broder 1997; Leskovec et al., Mining of
Massive Datasets, ch. 3). A bucket of more than 100 documents compares each with the 50 before it, so that
boilerplate costs linear time. Shingles are compared by 64-bit hashes.
"""

import hashlib
import itertools
import re
import unicodedata
from collections.abc import Sequence
from typing import Any

import numpy as np

SHINGLE = 5
_BANDS, _ROWS = 42, 3
_BUCKET, _REACH = 100, 50
_WORD = re.compile(r"\w+")
_SEED = 1  # of the permutations; the recipe's seed decides the split, not what is a duplicate


def fingerprint(text: str) -> bytes:
    """sha256 of the text with compatibility forms, case and runs of white space levelled out."""
    return hashlib.sha256(" ".join(unicodedata.normalize("NFKC", text).lower().split()).encode()).digest()


def pairs(texts: Sequence[str], least: float) -> tuple[np.ndarray, np.ndarray]:
    """All candidate pairs with Jaccard index >= `least`.

    Returns: indices, int64 of shape (pairs, 2) with first < second, sorted; and the index of each, float64.
    """
    if len(texts) < 2:
        return np.empty((0, 2), np.int64), np.empty(0)
    shingles, offsets = _shingles(texts)
    found = _candidates(shingles, offsets)
    similarity = _jaccard(shingles, offsets, found)
    keep = similarity >= least
    return found[keep], similarity[keep]


def _shingles(texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Shingle hashes, uint64, each once per document; and where each document begins, plus the end."""
    numbers: dict[str, int] = {}
    words: list[int] = []
    starts = [0]
    for text in texts:
        ids = [numbers.setdefault(word, len(numbers)) for word in _WORD.findall(text.lower())]
        words += ids if len(ids) >= SHINGLE else ids + [-1] * (SHINGLE - len(ids))
        starts.append(len(words))
    digests = [hashlib.blake2b(word.encode(), digest_size=8).digest() for word in numbers] + [bytes(8)]
    hashes = np.frombuffer(b"".join(digests), dtype="<u8")[np.array(words, dtype=np.int64)]
    rolled = np.zeros(len(hashes) - SHINGLE + 1, np.uint64)
    for place in range(SHINGLE):
        rolled = (rolled + hashes[place : place + len(rolled)]) * np.uint64(0x9E3779B97F4A7C15)
        rolled ^= rolled >> np.uint64(29)
    sets = [np.unique(rolled[a : b - SHINGLE + 1]) for a, b in itertools.pairwise(starts)]
    return np.concatenate(sets), np.cumsum([0, *map(len, sets)])


def _candidates(shingles: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    from rensa import RMinHash

    matrix = RMinHash.digest_matrix_from_flat_token_hashes(shingles, offsets.tolist(), _BANDS * _ROWS, _SEED)
    sketches = np.array(matrix.to_rows(), dtype=np.uint64)
    found: list[np.ndarray] = []
    for band in range(_BANDS):
        key = np.zeros(len(sketches), np.uint64)
        for row in range(band * _ROWS, (band + 1) * _ROWS):
            key = (key ^ sketches[:, row]) * np.uint64(0xBF58476D1CE4E5B9)
            key ^= key >> np.uint64(31)
        found += _bucket_pairs(key)
    if not found:
        return np.empty((0, 2), np.int64)
    coded = np.unique(np.concatenate(found))
    return np.stack(np.divmod(coded, len(sketches)), axis=1).astype(np.int64)


def _bucket_pairs(key: np.ndarray) -> list[np.ndarray]:
    """Pairs of equal keys, each coded as first * n + second."""
    order = np.argsort(key, kind="stable")
    ends = np.flatnonzero(np.diff(key[order])) + 1
    pairs_found = []
    for bucket in np.split(order, ends):
        if len(bucket) > 1:
            reach = _REACH if len(bucket) > _BUCKET else len(bucket)
            steps = range(1, min(reach + 1, len(bucket)))
            pairs_found += [bucket[:-step] * len(key) + bucket[step:] for step in steps]
    return pairs_found


def _jaccard(shingles: np.ndarray, offsets: np.ndarray, found: np.ndarray) -> np.ndarray:
    from scipy.sparse import csr_array

    _, column = np.unique(shingles, return_inverse=True)
    table: Any = csr_array(
        (np.ones(len(column), np.int32), column, offsets), shape=(len(offsets) - 1, column.max() + 1)
    )
    sizes = np.diff(offsets)
    result = np.empty(len(found))
    for start in range(0, len(found), 8192):
        first, second = found[start : start + 8192].T
        common = table[first].multiply(table[second]).sum(axis=1)
        result[start : start + 8192] = common / (sizes[first] + sizes[second] - common)
    return result
