"""A number with its 95 % interval: shares, ratios of sums, means. scipy computes the intervals.

Items that resemble each other (of one family) are no independent evidence, so ratios are resampled by family.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from slipway.records import Measure

DIGITS = 6
"""Decimals kept in a report; the rest is rounding of sums."""


def derived(seed: int, name: str) -> int:
    """A seed for `name` alone, so that one task's choices do not move another's."""
    return zlib.crc32(f"{seed} {name}".encode())


def share(successes: int, n: int, per: int = 1) -> Measure:
    """Successes per `per` items among `n` independent ones, with Wilson's 95 % interval. `n` must be positive."""
    from scipy.stats import binomtest

    interval = binomtest(successes, n).proportion_ci(confidence_level=0.95, method="wilson")
    return measure(per * successes / n, (per * interval.low, per * interval.high), n, "Wilson")


def ratio(values: np.ndarray, weights: np.ndarray, families: Sequence[str], resamples: int, seed: int) -> Measure:
    """Sum of `values` over sum of `weights`; all three of shape (items,).

    The 95 % interval is the percentile bootstrap over families: similar items are no independent evidence. Few
    families get the wider percentiles that Student's t asks for (Hesterberg 2015, "What Teachers Should Know About
    the Bootstrap"). One family has no interval.
    """
    found = resampled(values, weights, families, resamples, seed)
    if found.families < 2:
        return measure(found.value, None, found.families, "no interval: a single family of items")
    interval = (found.bound_at(0.025), found.bound_at(0.975))
    return measure(found.value, interval, found.families, FAMILIES)


FAMILIES = "percentile bootstrap over families of similar items"


@dataclass(frozen=True)
class Resampled:
    """A ratio of sums, and the same ratio over families drawn with replacement."""

    value: float
    draws: np.ndarray
    """Sorted; empty if there is a single family."""
    families: int

    def bound_at(self, level: float) -> float:
        """Below which the ratio lies with probability `level`, as the draws have it."""
        from scipy.stats import norm, t

        freedom = self.families - 1
        stretched = norm.cdf(np.sqrt(self.families / freedom) * t.ppf(level, freedom))
        return float(np.quantile(self.draws, stretched))

    def p_at_least(self, bound: float) -> float:
        """One-sided p-value of "the ratio is at least `bound`"; the counterpart of `bound_at`, never quite 0."""
        from scipy.stats import norm, t

        freedom = self.families - 1
        reached = len(self.draws) - int(np.searchsorted(self.draws, bound, side="left"))
        drawn = norm.ppf((1 + reached) / (1 + len(self.draws)))
        return float(t.cdf(drawn / np.sqrt(self.families / freedom), freedom))


def resampled(values: np.ndarray, weights: np.ndarray, families: Sequence[str], resamples: int, seed: int) -> Resampled:
    """The ratio of sums of `values` and `weights`, shape (items,), over `resamples` draws of families.

    Families are taken in the order of their names, so that the order of items moves nothing.
    """
    from scipy.stats import bootstrap

    _, group = np.unique(np.array(families), return_inverse=True)
    values, weights = np.bincount(group, weights=values), np.bincount(group, weights=weights)
    said = (weights != 0) | (values != 0)  # what weighs nothing and counts nothing is no evidence, and 0/0 is no draw
    values, weights = values[said], weights[said]
    value = float(values.sum() / weights.sum())
    if len(values) < 2:
        return Resampled(value, np.empty(0), len(values))
    if np.ptp(values / weights) == 0:
        # All alike: so is every draw, up to the rounding of sums.
        return Resampled(value, np.full(resamples, value), len(values))
    result = bootstrap(
        (values, weights),
        lambda some, of, axis: some.sum(axis=axis) / of.sum(axis=axis),
        paired=True,
        n_resamples=resamples,
        batch=100,
        method="percentile",
        rng=np.random.default_rng(seed),
    )
    return Resampled(value, np.sort(result.bootstrap_distribution), len(values))


def mean(values: Sequence[float], low: float, high: float, what: str) -> Measure:
    """Mean of `values` with Student's 95 % interval, cut to what is possible, `low` to `high`.

    `what` names the items. Values that are all alike give no interval.
    """
    from scipy.stats import t

    n, value = len(values), float(np.mean(values))
    # Equal values, not a spread of 0: rounding of their mean gives a spread of its own.
    if n < 2 or np.ptp(values) == 0:
        return measure(value, None, n, "no interval: no spread to see")
    half = float(t.ppf(0.975, n - 1)) * float(np.std(values, ddof=1)) / np.sqrt(n)
    return measure(value, (max(low, value - half), min(high, value + half)), n, f"Student t over {what}")


def single(value: float, n: int, what: str) -> Measure:
    """A figure computed once over the whole, so without an interval; `what` says how."""
    return measure(value, None, n, f"no interval: {what}")


def measure(value: float, interval: tuple[float, float] | None, n: int, method: str) -> Measure:
    """A `Measure` with its numbers rounded to `DIGITS`."""
    low, high = (round(float(end), DIGITS) for end in interval) if interval else (None, None)
    return Measure(value=round(float(value), DIGITS), low=low, high=high, n=n, method=method)
