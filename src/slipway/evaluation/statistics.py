"""Intervals: Wilson for shares, bootstrap over families of documents for bits per byte. scipy computes them."""

import zlib
from collections.abc import Sequence

import numpy as np

from slipway.records import Measure

DIGITS = 6
"""Decimals kept in a report; the rest is rounding of sums."""


def derived(seed: int, name: str) -> int:
    """A seed for `name` alone, so that one task's choices do not move another's."""
    return zlib.crc32(f"{seed} {name}".encode())


def share(successes: int, n: int) -> Measure:
    """Share of successes among `n` independent items, with Wilson's 95 % interval. `n` must be positive."""
    from scipy.stats import binomtest

    interval = binomtest(successes, n).proportion_ci(confidence_level=0.95, method="wilson")
    return _measure(successes / n, (interval.low, interval.high), n, "Wilson")


def bits_per_byte(nats: np.ndarray, sizes: np.ndarray, families: Sequence[str], resamples: int, seed: int) -> Measure:
    """Total nats as bits over total UTF-8 bytes; all three of shape (documents,).

    The 95 % interval is the percentile bootstrap over families: similar documents are no independent evidence.
    One family has no interval.
    """
    from scipy.stats import bootstrap

    _, group = np.unique(np.array(families), return_inverse=True)
    nats, sizes = np.bincount(group, weights=nats), np.bincount(group, weights=sizes)
    value = float(nats.sum() / sizes.sum() / np.log(2))
    if len(nats) < 2:
        return _measure(value, None, len(nats), "no interval: a single family of documents")
    result = bootstrap(
        (nats, sizes),
        lambda some, bytes_of, axis: some.sum(axis=axis) / bytes_of.sum(axis=axis) / np.log(2),
        paired=True,
        n_resamples=resamples,
        batch=100,
        method="percentile",
        rng=np.random.default_rng(seed),
    )
    interval = result.confidence_interval
    return _measure(
        value, (interval.low, interval.high), len(nats), "percentile bootstrap over families of similar documents"
    )


def single(value: float, n: int, what: str) -> Measure:
    """A figure computed once over the whole text, so without an interval; `what` says how."""
    return _measure(value, None, n, f"no interval: {what}")


def _measure(value: float, interval: tuple[float, float] | None, n: int, method: str) -> Measure:
    low, high = (round(float(end), DIGITS) for end in interval) if interval else (None, None)
    return Measure(value=round(float(value), DIGITS), low=low, high=high, n=n, method=method)
