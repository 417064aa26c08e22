"""Runs of words as numbers: the hash of every run of a length, and the table of the runs that items are made of.

A run is the polynomial of its words' hashes over 2**64 (Karp and Rabin 1987) and the number of its words.
"""

import numpy as np

from slipway.data.clean.words import Words

COMMON = 100
"""Texts that may share a run before it counts for none of them."""
_BASE = 0xD1342543DE82EF95


def runs_of(texts: Words, longest: int) -> tuple[np.ndarray, np.ndarray, tuple[int, ...]]:
    """The different runs, sorted; for each word the run that begins there or -1; the lengths of runs."""
    sizes = np.diff(texts.starts)
    length = np.repeat(np.minimum(sizes, longest), sizes)
    begins = np.arange(len(texts.hashes)) + length <= np.repeat(texts.starts[1:], sizes)
    lengths = tuple(np.flatnonzero(np.bincount(length)).tolist())
    hashes = np.zeros(len(texts.hashes), np.uint64)
    for size in lengths:
        mine = np.flatnonzero(begins & (length == size))
        hashes[mine] = rolled(texts.hashes, size)[mine]
    places = np.full(len(hashes), -1, np.int32)
    runs, places[begins] = np.unique(hashes[begins], return_inverse=True)
    return runs, places, lengths


def distinct(values: np.ndarray) -> np.ndarray:
    """Sorted, each once: `np.unique`, whose table of hashes is far slower on millions of different numbers."""
    values = np.sort(values)
    return values[np.append(True, values[1:] != values[:-1])] if len(values) else values


def postings(places: np.ndarray, starts: np.ndarray, runs: int) -> tuple[np.ndarray, np.ndarray]:
    """Which texts each run counts for, by the rule for common runs."""
    text = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
    pairs = distinct((places.astype(np.int64) * max(len(starts) - 1, 1) + text)[places >= 0])
    run, text = np.divmod(pairs, max(len(starts) - 1, 1))
    common = np.bincount(run, minlength=runs)[run] > COMMON
    nothing_else = np.bincount(text[~common], minlength=len(starts) - 1)[text] == 0
    last_resort = np.flatnonzero(common & nothing_else)
    rank = np.arange(len(last_resort)) - np.searchsorted(run[last_resort], run[last_resort])
    keep = ~common
    keep[last_resort[rank < COMMON]] = True
    first = np.concatenate([np.zeros(1, np.int64), np.cumsum(np.bincount(run[keep], minlength=runs))])
    return first, text[keep].astype(np.int32)


def rolled(hashes: np.ndarray, length: int) -> np.ndarray:
    """The hash of the run of `length` words from each word on; the last `length` - 1 places are of no use."""
    result = np.zeros_like(hashes)
    if len(hashes) < length:
        return result
    done, power, size = 0, hashes, 1
    # By the binary digits of the length: the hash of twice as many words is made from two hashes.
    while size <= length:
        if length & size:
            result[: len(hashes) - done] += power[done:] * _power(done)
            done += size
        twice = power.copy()
        twice[:-size] += power[size:] * _power(size)
        power, size = twice, 2 * size
    return result + np.uint64(length)


def _power(exponent: int) -> np.uint64:
    return np.uint64(pow(_BASE, exponent, 1 << 64))
