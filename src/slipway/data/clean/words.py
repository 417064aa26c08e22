"""Text as numbers: the words of many documents as 64-bit hashes, computed on the bytes without a loop over words.

A word is a run of letters, digits and underscores, in lower case and compatibility form (NFKC); in scripts
that are written without spaces (Chinese, Japanese, Thai, Lao, Khmer, Myanmar) every character is one. So
case, punctuation and white space make no difference, which is what deduplication and decontamination want.

The hash of a word is its polynomial over 2**64 in an odd base, mixed: the difference of two prefix sums,
divided by the power at its start (Karp and Rabin 1987, for all words at once).
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_CHUNK = 1 << 18  # the arrays of a chunk stay in the cache
_BASE = 0x9E3779B97F4A7C15 | 1
_INVERSE = pow(_BASE, -1, 1 << 64)
_MIX = np.uint64(0xD6E8FEB86659FD93)
_SHIFT = np.uint64(32)
_UNSPACED = r"\u0e00-\u0edf\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_BREAK = re.compile(rf"[^\w{_UNSPACED}]+")
_ALONE = re.compile(rf"([{_UNSPACED}][\u0e31\u0e34-\u0e3a\u0e47-\u0e4e]*)")


def _table() -> np.ndarray:
    """Byte -> itself in lower case if it belongs to a word, else 0; every byte beyond ASCII belongs to one."""
    table = np.zeros(256, np.uint8)
    for byte in range(256):
        if byte >= 128 or chr(byte).isalnum() or chr(byte) == "_":
            table[byte] = byte if byte >= 128 else ord(chr(byte).lower())
    return table


_LOWER = _table()


@dataclass(frozen=True)
class Words:
    """The words of documents, one after the other."""

    hashes: np.ndarray
    """uint64, one per word."""
    starts: np.ndarray
    """int64, shape (documents + 1,): document i has the words starts[i] to starts[i + 1]."""

    def __len__(self) -> int:
        return len(self.starts) - 1


def plain(text: str) -> bytes:
    """UTF-8 in which only word characters are beyond ASCII; white space stands around unspaced characters."""
    if text.isascii():
        return text.encode()
    levelled = _BREAK.sub(" ", unicodedata.normalize("NFKC", text).lower())
    return _ALONE.sub(r" \1 ", levelled).encode()


def words(texts: Sequence[str]) -> Words:
    """Hash every word of every text; the same word has the same hash in any text and on any machine."""
    hashes: list[np.ndarray] = []
    counts: list[np.ndarray] = []
    chunk: list[bytes] = []
    size = 0
    for text in texts:
        chunk.append(plain(text))
        size += len(chunk[-1]) + 1
        if size > _CHUNK:
            _hash(chunk, hashes, counts)
            chunk, size = [], 0
    _hash(chunk, hashes, counts)
    starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(np.concatenate(counts))]) if counts else np.zeros(1, int)
    return Words(np.concatenate(hashes) if hashes else np.empty(0, np.uint64), starts)


def _powers(length: int) -> tuple[np.ndarray, np.ndarray]:
    """BASE**i and BASE**-i for i below `length`, modulo 2**64."""
    if length > len(_known[0]):
        size = 1 << (length - 1).bit_length()
        for place, base in enumerate((_BASE, _INVERSE)):
            steps = np.full(size, base, np.uint64)
            steps[0] = 1
            _known[place] = np.cumprod(steps, dtype=np.uint64)
    return _known[0][:length], _known[1][:length]


_known = [np.ones(1, np.uint64), np.ones(1, np.uint64)]


def _hash(chunk: list[bytes], hashes: list[np.ndarray], counts: list[np.ndarray]) -> None:
    if not chunk:
        return
    data = np.frombuffer(b"\n".join(chunk) + b"\n", np.uint8)
    lower = _LOWER[data]
    inside = lower != 0
    edges = np.flatnonzero(np.diff(inside, prepend=False))
    first, end = edges[::2], edges[1::2]
    up, down = _powers(len(data))
    sums = np.zeros(len(data) + 1, np.uint64)
    np.cumsum(lower * up, out=sums[1:])
    found = (sums[end] - sums[first]) * down[first]
    found ^= found >> _SHIFT
    found *= _MIX
    found ^= found >> _SHIFT
    hashes.append(found)
    ends = np.cumsum([len(text) + 1 for text in chunk])
    counts.append(np.diff(np.searchsorted(first, ends), prepend=0))
