"""Which documents share a band of their sketches: the join behind near duplicates, for more keys than memory holds.

Each band is joined by itself, in `2**k` parts by a hash of the key, so that a part fits the memory of a worker;
a part is an item of work. Its keys are sorted with the document's number in their low bits, which takes half the
time and the memory of an argsort; equal keys then stand side by side, in the order of the documents. A bucket of
more than 100 documents compares each with the 50 before it, so that boilerplate costs linear time. Pairs go to
scratch as sorted runs, which are merged by ranges of the first document, again an item of work each.

Key files are best written by `write_keys`, one column after the other: a part then reads the bytes of its band
and no others. For N documents in `2**k` parts, a part needs about 24 N / 2**k bytes, more only if one bucket
holds most of it.

The method is that of Leskovec, Rajaraman, Ullman: Mining of Massive Datasets, chapter 3.
"""

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from slipway.data.clean.merging import distinct, merge, ranges, save
from slipway.spread import Spread

BUCKET, REACH = 100, 50
MEMORY = 1 << 30
"""Bytes that one item of work may fill."""
_BYTES = 24  # per document of a part: key, number and the two together
CHUNK = 1 << 20
"""Documents looked at and pairs held at a time; pairs in a run if memory allows no more."""
_KEYS = 1 << 22  # an item with fewer keys takes the next band as well
_MOST = 1 << 32  # documents, so that a pair is one number of 64 bits
_MIX = np.uint64(0x9E3779B97F4A7C15)  # odd, so that multiplication loses nothing


class _Part(NamedTuple):
    keys: tuple[Path, ...]
    scratch: Path
    bands: range
    part: int
    parts_log2: int
    run: int
    """Codes in a full run."""


def write_keys(path: Path, keys: np.ndarray) -> None:
    """Write the keys of a shard's documents, uint64 (documents, bands), as `candidates` reads them fastest."""
    save(path, np.asfortranarray(keys, np.uint64))


def candidates(keys: Sequence[Path], scratch: Path, spread: Spread, memory: int = MEMORY) -> np.ndarray:
    """All pairs of documents with an equal key in some band, by the rule for large buckets above.

    Args:
        keys: `.npy` files, uint64 (documents, bands). A document's number is the rows of the files before plus its row.
        scratch: a directory on a file system that all workers share; what is written there is removed again.
        spread: where the work runs.
        memory: bytes that one item of work may fill. It changes no pair.

    Returns: int64 of shape (pairs, 2), first < second, sorted, each once.

    Raises:
        ValueError: key files of another type, or that disagree in the number of bands; 2**32 documents or more.
    """
    parts = list(candidate_files(keys, scratch, spread, memory))
    found = np.empty((sum(len(np.load(path, mmap_mode="r")) for path in parts), 2), np.int64)
    start = 0
    for path in parts:
        pairs = np.load(path)
        found[start : start + len(pairs)] = pairs
        start += len(pairs)
    shutil.rmtree(scratch / "bands")
    return found


def candidate_files(keys: Sequence[Path], scratch: Path, spread: Spread, memory: int = MEMORY) -> list[Path]:
    """As `candidates`, for more pairs than memory holds: `.npy` files that give its result one after the other."""
    shapes = [_shape(path) for path in keys]
    if len({bands for _, bands in shapes}) > 1:
        raise ValueError(f"key files disagree in the number of bands: {sorted({bands for _, bands in shapes})}")
    documents, bands = sum(rows for rows, _ in shapes), shapes[0][1] if shapes else 0
    if documents >= _MOST:
        raise ValueError(f"{documents} documents; one join takes at most {_MOST - 1}")
    directory = scratch / "bands"
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    runs = [run for made in spread(_join, _parts(tuple(keys), directory, documents, bands, memory)) for run in made]
    merged = list(spread(merge, ranges(runs, directory, _bits(documents), _run(memory))))
    for run in runs:
        run.unlink()
    return merged


def components(pairs: np.ndarray, documents: int) -> np.ndarray:
    """For each of `documents`, the lowest number among those it is tied to by `pairs`, directly or through others."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    lowest = np.arange(documents, dtype=np.int64)
    # Most documents are tied to none; scipy sees the others only, of which it takes 2**31.
    tied, place = np.unique(pairs, return_inverse=True)
    first, second = place.reshape(-1, 2).T
    ties = coo_array((np.ones(len(first), np.int8), (first, second)), shape=(len(tied), len(tied)))
    _, label = connected_components(ties, directed=False)
    _, begins = np.unique(label, return_index=True)
    lowest[tied] = tied[begins[label]]
    return lowest


def _parts(keys: tuple[Path, ...], scratch: Path, documents: int, bands: int, memory: int) -> list[_Part]:
    log2 = max(0, (-(-documents * _BYTES // memory) - 1).bit_length())
    together = max(1, min(bands, _KEYS // max(documents, 1)))
    groups = [range(start, min(start + together, bands)) for start in range(0, bands, together)]
    return [_Part(keys, scratch, group, part, log2, _run(memory)) for group in groups for part in range(1 << log2)]


def _run(memory: int) -> int:
    # Each merge reads of each run, so there must not be too many of either.
    return max(CHUNK, memory // 128)


def _join(item: _Part) -> list[Path]:
    """Write the pairs of one part as sorted runs of codes: first document << bits | second."""
    bits = _bits(sum(_shape(path)[0] for path in item.keys))
    name = f"{item.bands.start:04d}-{item.part:06d}"
    runs: list[Path] = []
    waiting: list[np.ndarray] = []

    def flush() -> None:
        if waiting:
            runs.append(item.scratch / f"run-{name}-{len(runs):06d}.npy")
            save(runs[-1], distinct(np.concatenate(waiting)))
            waiting.clear()

    for band in item.bands:
        for first, second in _pairs(*_gather(item, band)):
            waiting.append(first << np.uint64(bits) | second)
            if sum(map(len, waiting)) >= item.run:
                flush()
    flush()
    return runs


def _gather(item: _Part, band: int) -> tuple[np.ndarray, np.ndarray | None]:
    """The band's keys in this part, mixed so that their upper bits are even; and their documents, None for all."""
    if not item.parts_log2:
        return _column(item.keys, band), None
    found, numbers, start = [], [], 0
    for path in item.keys:
        mixed = np.load(path, mmap_mode="r")[:, band] * _MIX
        rows = np.flatnonzero(mixed >> np.uint64(64 - item.parts_log2) == item.part)
        found.append(mixed[rows])
        numbers.append(rows.astype(np.uint64) + np.uint64(start))
        start += len(mixed)
    return np.concatenate(found), np.concatenate(numbers)


def _column(paths: Sequence[Path], band: int) -> np.ndarray:
    keys = np.empty(sum(_shape(path)[0] for path in paths), np.uint64)
    start = 0
    for path in paths:
        column = np.load(path, mmap_mode="r")[:, band]
        np.multiply(column, _MIX, out=keys[start : start + len(column)])
        start += len(column)
    return keys


def _pairs(keys: np.ndarray, numbers: np.ndarray | None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Documents with equal keys, in blocks."""
    bits = np.uint64(_bits(len(keys)))
    low = (np.uint64(1) << bits) - np.uint64(1)
    packed = keys & ~low
    packed |= np.arange(len(keys), dtype=np.uint64)
    packed.sort()
    start = 0
    while start < len(packed):
        # A chunk ends where a bucket ends.
        end = int(np.searchsorted(packed, packed[min(start + CHUNK, len(packed)) - 1] | low, side="right"))
        chunk = packed[start:end]
        start = end
        equal = np.concatenate([[False], (chunk[1:] ^ chunk[:-1]) <= low, [False]])
        index = chunk[equal[1:] | equal[:-1]] & low
        full = keys[index]
        if np.any(full[1:] < full[:-1]):
            # Keys that agree only in the bits which the number left them stand mixed.
            order = np.lexsort((index, full))
            index, full = index[order], full[order]
        for first, second in _bucket_pairs(full):
            if numbers is None:
                yield index[first], index[second]
            else:
                yield numbers[index[first]], numbers[index[second]]


def _bucket_pairs(keys: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Positions of equal keys in a sorted array, each with those after it that the rule for buckets allows."""
    if not len(keys):
        return
    starts = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]]))
    sizes = np.diff(np.append(starts, len(keys)))
    after = np.repeat(starts + sizes, sizes) - np.arange(len(keys)) - 1
    after = np.where(np.repeat(sizes, sizes) > BUCKET, np.minimum(after, REACH), after)
    total = np.cumsum(after)
    position = 0
    while position < len(keys):
        before = total[position] - after[position]
        end = max(position + 1, int(np.searchsorted(total, before + CHUNK, side="right")))
        counts = after[position:end]
        first = np.repeat(np.arange(position, end), counts)
        second = np.arange(len(first)) - np.repeat(np.cumsum(counts) - counts, counts) + first + 1
        position = end
        yield first, second


def _bits(count: int) -> int:
    return max(1, (count - 1).bit_length()) if count else 1


def _shape(path: Path) -> tuple[int, int]:
    """Rows and columns, from the header alone."""
    array = np.load(path, mmap_mode="r")
    if array.ndim != 2 or array.dtype != np.uint64:
        raise ValueError(f"{path}: {array.dtype} {array.shape}, not a table of uint64")
    return array.shape
