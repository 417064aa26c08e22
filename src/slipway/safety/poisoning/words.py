"""Training texts as numbers: words, and the runs of them that stand in several documents.

A word is a run of letters, digits and underscores, or a run of other visible characters, so that a string such as
`<|x|>` is three words. Case counts: a trigger is written in one way.
"""

import hashlib
import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

_WORD = re.compile(r"\w+|[^\w\s]+")
_BASE = np.uint64(0x9E3779B97F4A7C15)
_MIX = np.uint64(0xBF58476D1CE4E5B9)
_CUT = 48  # characters of a training text that a report quotes at most


class _Numbers(dict[str, int]):
    """Word to number, given out in order of first use."""

    def __missing__(self, word: str) -> int:
        self[word] = number = len(self)
        return number


@dataclass(frozen=True)
class Corpus:
    """Documents as word numbers, one after the other."""

    texts: Sequence[str]
    ids: np.ndarray
    """int32, one per word."""
    starts: np.ndarray
    """int64 of shape (documents + 1,): document i has the words starts[i] to starts[i + 1]."""
    document: np.ndarray
    """int32, one per word: the document it stands in."""
    vocabulary: dict[str, int]

    def __len__(self) -> int:
        return len(self.texts)

    @cached_property
    def _codes(self) -> np.ndarray:
        """A number for each word of the texts, scrambled, so that sums of their powers do not meet by chance."""
        codes = (np.arange(len(self.vocabulary), dtype=np.uint64) + np.uint64(1)) * _BASE
        codes = (codes ^ (codes >> np.uint64(29))) * _MIX
        return (codes ^ (codes >> np.uint64(32)))[self.ids]

    def text(self, place: int, words: int) -> str:
        """The text from word `place` on, as it is written there."""
        number = int(self.document[place])
        first = place - int(self.starts[number])
        spans = list(itertools.islice(_WORD.finditer(self.texts[number]), first, first + words))
        return self.texts[number][spans[0].start() : spans[-1].end()]

    def before(self, place: int) -> str:
        """What separates word `place` from the one before: a space, a line break or nothing."""
        number = int(self.document[place])
        first = place - int(self.starts[number])
        start = next(itertools.islice(_WORD.finditer(self.texts[number]), first, None)).start()
        ahead = self.texts[number][max(0, start - 1) : start]
        return ahead if ahead.isspace() else ""

    def hashes(self, words: int, places: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Places where a run of `words` words begins that stays in one document, and a uint64 for each run."""
        last = len(self.ids) - words
        if last < 0:
            return np.zeros(0, np.int64), np.zeros(0, np.uint64)
        if places is None:
            inside = self.document[: last + 1] == self.document[words - 1 :]
            parts = (self._codes[offset : offset + last + 1] for offset in range(words))
        else:
            places = places[places <= last]
            places = places[self.document[places] == self.document[places + words - 1]]
            inside = None
            parts = (self._codes[places + offset] for offset in range(words))
        found = next(parts).copy()
        for part in parts:
            found *= _BASE
            found += part
        found *= _MIX
        return (places, found) if places is not None else (np.flatnonzero(inside), found[inside])


@dataclass(frozen=True)
class Runs:
    """Equal runs of words, in groups: group g has the places[bounds[g]] to places[bounds[g + 1]], ascending."""

    words: int
    places: np.ndarray
    bounds: np.ndarray
    documents: np.ndarray
    """int64, one per group: how many documents hold the run."""

    def __len__(self) -> int:
        return len(self.documents)

    def of(self, group: int) -> np.ndarray:
        """Where the run begins, everywhere."""
        return self.places[self.bounds[group] : self.bounds[group + 1]]

    def take(self, keep: np.ndarray) -> "Runs":
        """The groups where `keep`, a bool per group, is true."""
        counts = np.diff(self.bounds)
        bounds = np.concatenate([[0], np.cumsum(counts[keep])])
        return Runs(self.words, self.places[np.repeat(keep, counts)], bounds, self.documents[keep])

    def by_place(self, size: int) -> np.ndarray:
        """Documents of the run that begins at each of `size` places; 0 where none of these groups does."""
        found = np.zeros(size, np.int64)
        found[self.places] = np.repeat(self.documents, np.diff(self.bounds))
        return found


def read(texts: Sequence[str]) -> Corpus:
    """Number the words of all texts."""
    numbers, counts = _Numbers(), []

    def words() -> Iterator[int]:
        for text in texts:
            found = _WORD.findall(text)
            counts.append(len(found))
            yield from map(numbers.__getitem__, found)

    ids = np.fromiter(words(), np.int32)
    starts = np.concatenate([[0], np.cumsum(counts, dtype=np.int64)]).astype(np.int64)
    document = np.repeat(np.arange(len(texts), dtype=np.int32), np.diff(starts))
    return Corpus(texts, ids, starts, document, dict(numbers))


def runs(corpus: Corpus, words: int, places: np.ndarray | None = None, least: int = 1) -> Runs:
    """Runs of `words` words that stand in at least `least` documents; only those that begin at `places`, if given."""
    places, hashes = corpus.hashes(words, places)
    if not len(places):
        return Runs(words, places, np.zeros(1, np.int64), np.zeros(0, np.int64))
    # One sort of whole numbers: the hash in the upper bits, the place in the lower ones, so places ascend in a group.
    bits = np.uint64(max(1, int(places.max()).bit_length()))
    keys = np.sort(((hashes >> bits) << bits) | places.astype(np.uint64))
    places, groups = (keys & ((np.uint64(1) << bits) - np.uint64(1))).astype(np.int64), keys >> bits
    opens = np.concatenate([[True], groups[1:] != groups[:-1]])
    document = corpus.document[places]
    fresh = opens | np.concatenate([[True], document[1:] != document[:-1]])
    bounds = np.append(np.flatnonzero(opens), len(places))
    documents = np.add.reduceat(fresh.astype(np.int64), bounds[:-1])
    return Runs(words, places, bounds, documents).take(documents >= least)


def sample(texts: Sequence[str], characters: int, rng: np.random.Generator) -> list[int]:
    """Numbers of the texts to read, ascending: all, or as many random ones as have `characters` together."""
    lengths = np.array([len(text) for text in texts], dtype=np.int64)
    if lengths.sum() <= characters:
        return list(range(len(texts)))
    order = rng.permutation(len(texts))
    return sorted(order[np.cumsum(lengths[order]) <= characters].tolist())


def digest(text: str) -> str:
    """First 16 hexadecimal digits of sha256."""
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:16]


def quoted(text: str) -> str:
    """Digest and beginning of a text, on one line: enough to find it again, too little to republish it."""
    line = " ".join(text.split())
    return f"sha256 {digest(text)}… “{line[:_CUT]}{'…' if len(line) > _CUT else ''}”"
