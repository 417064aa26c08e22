"""What compressors and a byte n-gram make of the same held-out text.

The text is the test documents in order of id, joined by one newline; a newline stands where the model must
predict the end of a document. The divisor is everyone's: the UTF-8 bytes of the documents alone. A
compressor's headers count, as they are part of what it takes to get the text back.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from slipway.records import Measure
from slipway.statistics import ratio, single

ORDER = 5
DICTIONARY_BYTES = 112_640
"""zstd's own default."""
SEGMENT_BYTES = 2048
"""On docstrings as good as zstd's own search for a size, in a sixtieth of the time."""


def baselines(
    train: Sequence[str], test: Sequence[str], families: Sequence[str], resamples: int, seed: int
) -> dict[str, Measure]:
    """Bits per byte of `test`; the last two may look at `train` first, as the model did. Neither may be empty."""
    import gzip
    import lzma

    joined = "\n".join(test).encode()
    divisor, n = sum(len(text.encode()) for text in test), len(test)

    def compressed(size: int, what: str) -> Measure:
        return single(8 * size / divisor, n, f"one compression of the whole text by {what}")

    return {
        "gzip": compressed(len(gzip.compress(joined, 9, mtime=0)), "gzip -9"),
        "xz": compressed(len(lzma.compress(joined, preset=9 | lzma.PRESET_EXTREME)), "xz -9e"),
        "zstd_dictionary": compressed(*_zstd(train, joined)),
        "byte_5gram": _ngram(train, test, families, resamples, seed),
    }


def _zstd(train: Sequence[str], joined: bytes) -> tuple[int, str]:
    import zstandard

    samples: list[bytes | bytearray | memoryview] = [text.encode() for text in train]
    try:
        dictionary = zstandard.train_dictionary(DICTIONARY_BYTES, samples, k=SEGMENT_BYTES, d=8)
    except zstandard.ZstdError:
        # zstd refuses to make a dictionary of very little text.
        size = len(zstandard.ZstdCompressor(level=19).compress(joined))
        return size, "zstd -19 without a dictionary: too little training text for one"
    size = len(zstandard.ZstdCompressor(level=19, dict_data=dictionary).compress(joined))
    return size, f"zstd -19 with a dictionary of {len(dictionary)} bytes from the training split, not counted"


def _ngram(train: Sequence[str], test: Sequence[str], families: Sequence[str], resamples: int, seed: int) -> Measure:
    joined = "\n".join(test).encode()
    nats = ngram_nats("\n".join(train).encode(), joined)
    sizes = np.array([len(text.encode()) for text in test])
    # The newline after a document is that document's cost.
    starts = np.concatenate([[0], np.cumsum(sizes + 1)[:-1]])
    return ratio(np.add.reduceat(nats, starts) / np.log(2), sizes, families, resamples, seed)


def ngram_nats(train: bytes, test: bytes) -> np.ndarray:
    """Nats of every byte of `test` under an interpolated byte 5-gram of `train`: float64 of shape (bytes,).

    Witten-Bell smoothing (Witten and Bell 1991; Chen and Goodman 1998, section 2.6): the shorter context is
    weighted by how many different bytes have followed the longer one; below one byte all 256 are equal.
    """
    probability = np.full(len(test), 1 / 256)
    for order, (grams, counts) in enumerate(_counted(train), start=1):
        contexts, first = np.unique(grams >> 8, return_index=True)
        totals = np.add.reduceat(counts, first) if len(grams) else counts
        kinds = np.diff(first, append=len(grams))
        queries = _grams(test, order)
        seen = _lookup(grams, counts, queries)
        total = _lookup(contexts, totals, queries >> 8)
        weight = _lookup(contexts, kinds, queries >> 8)
        # An unseen context has no say: total and weight are 0 and the shorter one stands.
        blended = (seen + weight * probability) / np.maximum(total + weight, 1)
        probability = np.where(total > 0, blended, probability)
    return -np.log(probability)


def _grams(data: bytes, order: int) -> np.ndarray:
    """The `order` bytes that end at each position as one integer; before the beginning lie newlines."""
    padded = np.frombuffer(b"\n" * (order - 1) + data, dtype=np.uint8)
    grams = np.zeros(len(data), dtype=np.int64)
    for offset in range(order):
        grams = grams << 8 | padded[offset : offset + len(data)]
    return grams


def _counted(train: bytes) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Sorted grams and their counts, for each order from 1 up to 5; only the longest are counted in the text."""
    levels = [np.unique(_grams(train, ORDER), return_counts=True)]
    for order in range(ORDER - 1, 0, -1):
        grams, counts = levels[-1]
        shorter, group = np.unique(grams & ((1 << 8 * order) - 1), return_inverse=True)
        levels.append((shorter, np.bincount(group, weights=counts, minlength=len(shorter)).astype(np.int64)))
    yield from reversed(levels)


def _lookup(keys: np.ndarray, values: np.ndarray, queries: np.ndarray) -> np.ndarray:
    """Value of each query, 0 where it is not among the sorted keys."""
    if not len(keys):
        return np.zeros(len(queries), dtype=np.int64)
    places = np.minimum(np.searchsorted(keys, queries), len(keys) - 1)
    return np.where(keys[places] == queries, values[places], 0)
