"""Text as numbers: the words of many documents as 64-bit hashes, computed on the bytes without a loop over words.

A word is a run of letters, digits and underscores, in lower case and compatibility form (NFKC); in scripts
that are written without spaces (Chinese, Japanese, Thai, Lao, Khmer, Myanmar) every character is one. So
case, punctuation and white space make no difference, which is what deduplication and decontamination want.

The hash of a word is its polynomial over 2**64 in an odd base, mixed: the difference of two prefix sums,
divided by the power at its start (Karp and Rabin 1987, for all words at once). The hash of a line is the
same over its words.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

_CHUNK = 1 << 18  # the arrays of a chunk stay in the cache
_BASE = 0x9E3779B97F4A7C15 | 1
_INVERSE = pow(_BASE, -1, 1 << 64)
_MIX = np.uint64(0xD6E8FEB86659FD93)
_SHIFT = np.uint64(32)
_NEWLINE = ord("\n")
_MARKS = r"\u0591-\u05c7\u064b-\u065f\u0670\u0900-\u0dff"  # vowel signs, which `\w` leaves out
_UNSPACED = r"\u0e00-\u0edf\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_BREAK = re.compile(rf"[^\w\n{_MARKS}{_UNSPACED}]+")
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

    def take(self, keep: np.ndarray) -> "Words":
        """The documents where `keep`, a bool per document, is true."""
        counts = np.diff(self.starts)
        return Words(self.hashes[np.repeat(keep, counts)], starts_of(counts[keep]))


@dataclass(frozen=True)
class Lines(Words):
    """The lines of documents that hold a word, one after the other; `hashes` and `starts` are of lines."""

    sizes: np.ndarray
    """int64, bytes of each line, its end included."""

    def take(self, keep: np.ndarray) -> "Lines":
        """The documents where `keep`, a bool per document, is true."""
        counts = np.diff(self.starts)
        chosen = np.repeat(keep, counts)
        return Lines(self.hashes[chosen], starts_of(counts[keep]), self.sizes[chosen])


def starts_of(counts: np.ndarray) -> np.ndarray:
    """Where each of consecutive pieces begins, plus the end."""
    starts = np.zeros(len(counts) + 1, np.int64)
    np.cumsum(counts, out=starts[1:])
    return starts


def spans(first: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """`counts[0]` numbers from `first[0]` on, then `counts[1]` from `first[1]` on, and so forth; int64."""
    return np.repeat(first - (np.cumsum(counts) - counts), counts) + np.arange(counts.sum())


def plain(text: str) -> bytes:
    """UTF-8 in which only word characters and line ends are beyond ASCII letters; unspaced characters stand apart."""
    if text.isascii():
        return text.encode()
    levelled = _BREAK.sub(" ", unicodedata.normalize("NFKC", text).lower())
    return _ALONE.sub(r" \1 ", levelled).encode()


def words(texts: Sequence[str]) -> Words:
    """Hash every word of every text; the same word has the same hash in any text and on any machine."""
    pieces = [_hashed(chunk)[:2] for chunk in _chunks(texts)]
    return Words(
        np.concatenate([found for found, _ in pieces]) if pieces else np.empty(0, np.uint64),
        starts_of(np.concatenate([counts for _, counts in pieces]) if pieces else np.empty(0, np.int64)),
    )


def words_and_lines(texts: Sequence[str]) -> tuple[Words, Lines]:
    """As `words`, and the lines with a word as hashes of their words."""
    pieces = []
    for chunk in _chunks(texts):
        hashes, counts, data, first = _hashed(chunk)
        pieces.append((hashes, counts, *_lines(chunk, hashes, data, first)))
    if not pieces:
        nothing, none = np.empty(0, np.uint64), np.zeros(1, np.int64)
        return Words(nothing, none), Lines(nothing, none, np.empty(0, np.int64))
    hashes, counts, lines, line_counts, sizes = (np.concatenate(column) for column in zip(*pieces, strict=True))
    return Words(hashes, starts_of(counts)), Lines(lines, starts_of(line_counts), sizes)


def _chunks(texts: Sequence[str]) -> Iterator[list[bytes]]:
    chunk: list[bytes] = []
    size = 0
    for text in texts:
        chunk.append(plain(text))
        size += len(chunk[-1]) + 1
        if size > _CHUNK:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def powers(length: int) -> tuple[np.ndarray, np.ndarray]:
    """BASE**i and BASE**-i for i below `length`, modulo 2**64."""
    if length > len(_known[0]):
        size = 1 << (length - 1).bit_length()
        for place, base in enumerate((_BASE, _INVERSE)):
            steps = np.full(size, base, np.uint64)
            steps[0] = 1
            _known[place] = np.cumprod(steps, dtype=np.uint64)
    return _known[0][:length], _known[1][:length]


_known = [np.ones(1, np.uint64), np.ones(1, np.uint64)]


def _hashed(chunk: list[bytes]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Hashes of the words, words per text; the bytes of the chunk, and where in them each word begins."""
    data = np.frombuffer(b"\n".join(chunk) + b"\n", np.uint8)
    lower = _LOWER[data]
    inside = lower != 0
    edges = np.flatnonzero(np.diff(inside, prepend=False))
    first, end = edges[::2], edges[1::2]
    up, down = powers(len(data))
    sums = np.zeros(len(data) + 1, np.uint64)
    np.cumsum(lower * up, out=sums[1:])
    found = (sums[end] - sums[first]) * down[first]
    _mix(found)
    ends = np.cumsum([len(text) + 1 for text in chunk])
    return found, np.diff(np.searchsorted(first, ends), prepend=0), data, first


def _lines(
    chunk: list[bytes], hashes: np.ndarray, data: np.ndarray, first: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Hash and bytes of each line with a word, and such lines per text."""
    breaks = np.flatnonzero(data == _NEWLINE)
    words_until = np.searchsorted(first, breaks)
    words_before = np.concatenate([[0], words_until[:-1]])
    sizes = np.diff(breaks, prepend=-1)
    filled = words_until > words_before
    up, down = powers(len(hashes) + 1)
    sums = np.zeros(len(hashes) + 1, np.uint64)
    np.cumsum(hashes * up[:-1], out=sums[1:])
    found = (sums[words_until[filled]] - sums[words_before[filled]]) * down[words_before[filled]]
    _mix(found)
    ends = np.cumsum([len(text) + 1 for text in chunk])
    per_text = np.diff(np.searchsorted(breaks[filled], ends), prepend=0)
    return found, per_text, sizes[filled]


def _mix(hashes: np.ndarray) -> None:
    hashes ^= hashes >> _SHIFT
    hashes *= _MIX
    hashes ^= hashes >> _SHIFT
