"""Pairs of documents on scratch: sorted runs of codes, merged by ranges of the first document.

A code is `first document << bits | second`, uint64, so that a pair is one number and the order of the codes is the
order of the pairs.
"""

import itertools
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

_SAMPLES = 64  # of a range's codes, by which ranges are cut


class Range(NamedTuple):
    """An item of work: the pairs of some runs whose first document is in [low, high)."""

    runs: tuple[Path, ...]
    low: int
    high: int
    bits: int
    out: Path


def distinct(codes: np.ndarray) -> np.ndarray:
    """The codes sorted, each once; sorts in place. `np.unique` hashes integers, which takes several times as long."""
    codes.sort()
    first = np.ones(len(codes), bool)
    np.not_equal(codes[1:], codes[:-1], out=first[1:])
    return codes[first]


def ranges(runs: Sequence[Path], directory: Path, bits: int, size: int) -> list[Range]:
    """Cut the documents where each range has about `size` codes, by a sample of all runs."""
    if not runs:
        return []
    step = max(size // _SAMPLES, 1)
    sample = np.sort(np.concatenate([np.load(run, mmap_mode="r")[step // 2 :: step] for run in runs]))
    cuts = [int(code) >> bits for code in sample[_SAMPLES::_SAMPLES]]
    edges = itertools.pairwise(sorted({0, *cuts, 1 << bits}))
    return [
        Range(tuple(runs), low, high, bits, directory / f"pairs-{number:06d}.npy")
        for number, (low, high) in enumerate(edges)
    ]


def merge(item: Range) -> Path:
    """Write the pairs whose first document lies in a range."""
    edges = np.array([item.low << item.bits, (item.high << item.bits) - 1], np.uint64)
    slices = []
    for run in item.runs:
        codes = np.load(run, mmap_mode="r")
        low, high = np.searchsorted(codes, edges[0]), np.searchsorted(codes, edges[1], side="right")
        slices.append(codes[low:high])
    codes = distinct(np.concatenate(slices))
    pairs = np.empty((len(codes), 2), np.int64)
    pairs[:, 0] = codes >> np.uint64(item.bits)
    pairs[:, 1] = codes & np.uint64((1 << item.bits) - 1)
    save(item.out, pairs)
    return item.out


def save(path: Path, array: np.ndarray) -> None:
    """Complete or not at all, even if a repeated item is written twice at once; scratch needs no flush to disk."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with open(handle, "wb") as stream:
            np.save(stream, array)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
