"""Which texts hold a run: the pieces of all texts merged into one table on disk, which readers map into memory.

Pieces are merged one range of hashes at a time, so memory grows with the number of texts (a few bytes each), not with
their words. A run that more than `COMMON` texts hold counts for none of them, except for texts that have no other
runs, of which the first `COMMON` keep it.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np

from slipway.data.clean.phrases import HEAD, Piece, file
from slipway.data.clean.words import spans, starts_of

COMMON = 100
"""Texts that may share a run before it counts for none of them; fits eight bits."""
PART = 1 << 18
"""Runs merged at a time."""
_LARGEST = 27  # bits of an address of a gate


class Gate(NamedTuple):
    """A table by the upper bits of a run, of which each entry has eight flags: turns away nearly all other runs."""

    table: np.ndarray
    """uint8."""
    shift: np.uint64

    @classmethod
    def create(cls, path: Path, runs: int) -> Self:
        """One for so many runs, written to `path`."""
        bits = min((8 * max(runs, 1)).bit_length(), _LARGEST)
        return cls(np.memmap(path, np.uint8, "w+", shape=(1 << bits,)), np.uint64(64 - bits))

    def add(self, runs: np.ndarray, flags: np.ndarray) -> None:
        """Let runs pass, each with a flag from 0 to 7."""
        for flag in range(8):
            self.table[runs[flags == flag] >> self.shift] |= np.uint8(1 << flag)

    def passes(self, runs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Places of the runs that may be meant; the flags set for each, as bits."""
        flags = self.table[runs >> self.shift]
        at = np.flatnonzero(flags)
        return at, flags[at]


def flags_of(runs: np.ndarray) -> np.ndarray:
    """The flag of each run in the gate of all runs: its lowest bits."""
    return (runs & np.uint64(7)).astype(np.uint8)


class Postings(NamedTuple):
    """The merged table, mapped into memory."""

    runs: np.ndarray
    """uint64, sorted: every different run."""
    first: np.ndarray
    """int64: run i counts for `texts[first[i]:first[i] + width[i]]`."""
    width: np.ndarray
    """uint8."""
    texts: np.ndarray
    """int32."""
    distinct: np.ndarray
    """int32: the different runs of each text that count for it."""
    item_of: np.ndarray
    """int32: the item of each text."""
    gate: Gate
    """Of all runs."""
    heads: Gate
    """Of the first words of texts that are looked for as a whole; their flags are `words % 8`."""

    @classmethod
    def load(cls, directory: Path) -> Self:
        """What `merge` wrote."""
        kinds = (np.uint64, np.int64, np.uint8, np.int32, np.int32, np.int32)
        columns = [_mapped(directory / name, kind) for name, kind in zip(cls._fields[:6], kinds, strict=True)]
        gates = [_mapped(directory / name, np.uint8) for name in ("gate", "heads")]
        return cls(*columns, *(Gate(table, np.uint64(65 - len(table).bit_length())) for table in gates))  # type: ignore[arg-type]

    def counting(self, runs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """How many texts each of `runs` (by number) counts for; these texts."""
        width = self.width[runs].astype(np.int64)
        return width, self.texts[spans(self.first[runs], width)]


def _mapped(path: Path, kind: type) -> np.ndarray:
    # As a plain array: every look into a memmap makes another memmap.
    return np.asarray(np.memmap(path, kind, "r")) if path.stat().st_size else np.empty(0, kind)


def merge(pieces: Sequence[Piece], item_of: np.ndarray, directory: Path, part: int = PART) -> None:
    """Write the table of all runs of `pieces`, whose texts are numbered in their order; `item_of` names their items."""
    pairs = sum(piece.pairs for piece in pieces)
    parts = max(1, pairs // part)
    edges = np.array([(number << 64) // parts for number in range(1, parts)], np.uint64)
    cuts = [np.searchsorted(_mapped(file(piece.path, "sorted"), np.uint64), edges) for piece in pieces]
    ends = [[0, *cut.tolist(), piece.pairs] for cut, piece in zip(cuts, pieces, strict=True)]
    base = starts_of(np.array([piece.texts for piece in pieces], np.int64))
    gate = Gate.create(directory / "gate", pairs)
    own = np.zeros(len(item_of), np.int32)
    runs = postings = 0
    with _Appended(directory) as write:
        for number in range(parts):
            run, text = _part(pieces, base, [(end[number], end[number + 1]) for end in ends])
            first = np.flatnonzero(np.append(True, run[1:] != run[:-1])[: len(run)])
            width = np.diff(first, append=len(run))
            is_common = np.repeat(width > COMMON, width)
            write("common", text[is_common])
            write("common_runs", np.repeat(runs + np.arange(len(first)), width)[is_common])
            width[width > COMMON] = 0
            gate.add(run[first], flags_of(run[first]))
            write("runs", run[first])
            write("width", width.astype(np.uint8))
            write("first", postings + np.cumsum(width) - width)
            write("texts", text[~is_common])
            own += np.bincount(text[~is_common], minlength=len(own)).astype(np.int32)
            runs, postings = runs + len(first), postings + int(width.sum())
    _last_resort(directory, own, postings)
    own.tofile(directory / "distinct")
    item_of.astype(np.int32).tofile(directory / "item_of")
    heads = [np.fromfile(file(piece.path, "heads"), HEAD) for piece in pieces]
    by_head = Gate.create(directory / "heads", sum(len(some) for some in heads))
    for some in heads:
        by_head.add(some["run"], some["words"] % 8)


class _Appended:
    """Files of a directory that grow."""

    def __init__(self, directory: Path) -> None:
        names = ("runs", "width", "first", "texts", "common", "common_runs")
        self._files = {name: (directory / name).open("wb") for name in names}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for opened in self._files.values():
            opened.close()

    def __call__(self, name: str, values: np.ndarray) -> None:
        values.tofile(self._files[name])


def _part(
    pieces: Sequence[Piece], base: np.ndarray, slices: Sequence[tuple[int, int]]
) -> tuple[np.ndarray, np.ndarray]:
    """Run and text of each pair in one range of hashes, by run and text."""
    runs, texts = [np.empty(0, np.uint64)], [np.empty(0, np.int32)]
    for piece, first, (start, end) in zip(pieces, base[:-1].astype(np.int32), slices, strict=True):
        runs.append(np.fromfile(file(piece.path, "sorted"), np.uint64, end - start, offset=8 * start))
        texts.append(np.fromfile(file(piece.path, "of"), np.int32, end - start, offset=4 * start) + first)
    run, text = np.concatenate(runs), np.concatenate(texts)
    order = np.argsort(run, kind="stable")
    return run[order], text[order]


def _last_resort(directory: Path, own: np.ndarray, postings: int) -> None:
    """Append the common runs of texts that have no others; `own`, the counting runs of each text, is brought up."""
    common, text = _mapped(directory / "common_runs", np.int64), _mapped(directory / "common", np.int32)
    kept = np.concatenate(
        [np.empty(0, np.int64)]
        + [at + np.flatnonzero(own[text[at : at + PART]] == 0) for at in range(0, len(text), PART)]
    )
    run = common[kept]
    kept = kept[np.arange(len(run)) - np.searchsorted(run, run) < COMMON]
    if not len(kept):
        return
    with (directory / "texts").open("ab") as end:
        text[kept].tofile(end)
    run, first, counts = np.unique(common[kept], return_index=True, return_counts=True)
    np.memmap(directory / "first", np.int64, "r+")[run] = postings + first
    np.memmap(directory / "width", np.uint8, "r+")[run] = counts
    own += np.bincount(text[kept], minlength=len(own)).astype(np.int32)
