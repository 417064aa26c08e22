"""Runs of words as numbers, and the files in which the runs of many texts lie until they are merged.

A run is the polynomial of its words' hashes over 2**64: the difference of two prefix sums, divided by the power at
its start (Karp and Rabin 1987, for all runs at once), so a run of any length costs the same. The runs of a shard's
texts are a piece, written by whoever holds the shard; `postings` merges the pieces.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from slipway.data.clean.words import powers, spans, starts_of, words

SHORTEST = 5
"""Words of the shortest text that is looked for; fewer are met by chance."""
HEAD = np.dtype([("run", np.uint64), ("words", np.int64)])
"""The first `SHORTEST` words of a text that is looked for as a whole, and the number of all."""
_CHUNK = 1 << 18  # characters of texts whose runs are made together: their arrays stay in the cache


class Runs:
    """The hash of any run of some words."""

    def __init__(self, words: np.ndarray) -> None:
        up, self._down = powers(len(words) + 1)
        self._sums = np.zeros(len(words) + 1, np.uint64)
        np.cumsum(words * up[:-1], out=self._sums[1:])

    def every(self, length: int) -> np.ndarray:
        """All runs of `length` words, by the place of their first."""
        return (self._sums[length:] - self._sums[:-length]) * self._down[: max(len(self._sums) - length, 0)]

    def at(self, places: np.ndarray, length: np.ndarray | int) -> np.ndarray:
        """The runs of `length` words that begin at `places`."""
        return (self._sums[places + length] - self._sums[places]) * self._down[places]


class Piece(NamedTuple):
    """The runs of some texts, as files beside each other."""

    path: Path
    """Of the files, without their endings."""
    texts: int
    pairs: int
    """Different runs, summed over the texts."""
    short: tuple[int, ...]
    """Words of the texts that are looked for as a whole, ascending."""

    def sizes(self) -> np.ndarray:
        """Words of each text, int32."""
        return np.fromfile(file(self.path, "sizes"), np.int32)


def file(path: Path, end: str) -> Path:
    """A file of a piece."""
    return path.with_name(f"{path.name}.{end}")


def write_piece(path: Path, texts: Iterable[str], longest: int) -> Piece:
    """Write the runs of texts: of `longest` words, or one of all the words of a text that has fewer."""
    runs, sizes, heads = [np.empty(0, np.uint64)], [np.empty(0, np.int32)], [np.empty(0, HEAD)]
    for _, chunk in chunks(texts):
        found = words(chunk)
        size, made = np.diff(found.starts), Runs(found.hashes)
        length, counts = _shape(size, longest)
        runs.append(made.at(spans(found.starts[:-1], counts), np.repeat(length, counts)))
        sizes.append(size.astype(np.int32))
        whole = np.flatnonzero((counts > 0) & (size < longest))
        head = np.empty(len(whole), HEAD)
        head["run"], head["words"] = made.at(found.starts[whole], SHORTEST), size[whole]
        heads.append(head)
    size, run = np.concatenate(sizes), np.concatenate(runs)
    run.tofile(file(path, "runs"))
    size.tofile(file(path, "sizes"))
    np.concatenate(heads).tofile(file(path, "heads"))
    order = np.argsort(run, kind="stable")
    text = np.repeat(np.arange(len(size), dtype=np.int32), _shape(size, longest)[1])[order]
    run = run[order]
    # Equal runs stand by text, as the sort is stable.
    new = np.append(True, (run[1:] != run[:-1]) | (text[1:] != text[:-1]))[: len(run)]
    run[new].tofile(file(path, "sorted"))
    text[new].tofile(file(path, "of"))
    short = np.unique(size[(size >= SHORTEST) & (size < longest)])
    return Piece(path, len(size), int(new.sum()), tuple(short.tolist()))


def covered(piece: Piece, held: np.ndarray, longest: int) -> np.ndarray:
    """Words of each text that lie in runs among `held` (uint64, sorted); int64."""
    sizes = piece.sizes()
    length, counts = _shape(sizes, longest)
    starts = starts_of(sizes)
    is_held, _ = located(np.fromfile(file(piece.path, "runs"), np.uint64), held)
    begins = spans(starts[:-1], counts)[is_held]
    ends = begins + np.repeat(length, counts)[is_held]
    places = int(starts[-1]) + 1
    depth = np.cumsum(np.bincount(begins, minlength=places) - np.bincount(ends, minlength=places))
    return np.diff(starts_of(depth[:-1] > 0)[starts])


def _shape(sizes: np.ndarray, longest: int) -> tuple[np.ndarray, np.ndarray]:
    """Of each text by its words: the length of its runs, and their number."""
    length = np.minimum(sizes, longest)
    return length, np.where(sizes >= SHORTEST, sizes - length + 1, 0)


def located(values: np.ndarray, table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of the values that `table`, which is sorted, holds: their places among the values, and in the table."""
    # In order: a search through a large table is then four times as fast, as it stays in the cache.
    order = np.argsort(values)
    wanted = values[order]
    at = np.searchsorted(table, wanted)
    at[at == len(table)] = 0
    is_held = table[at] == wanted if len(table) else np.zeros(len(at), bool)
    return order[is_held], at[is_held]


def distinct(values: np.ndarray) -> np.ndarray:
    """Sorted, each once: `np.unique`, whose table of hashes is far slower on millions of different numbers."""
    values = np.sort(values)
    return values[np.append(True, values[1:] != values[:-1])[: len(values)]]


def chunks(texts: Iterable[str]) -> Iterable[tuple[int, Sequence[str]]]:
    """Texts in order, some at a time, each time with the number of the first."""
    chunk: list[str] = []
    start = size = 0
    for text in texts:
        chunk.append(text)
        size += len(text)
        if size >= _CHUNK:
            yield start, chunk
            start, chunk, size = start + len(chunk), [], 0
    if chunk:
        yield start, chunk
