"""Two models on the same items: their difference with interval, whether one is no worse, and which is right more often.

Differences are taken item by item, because a hard item is hard for both, and resampled by family, because similar
items are no independent evidence. For shares where few families are unlike the rest, the interval is widened to Tango's
score interval (`score`), with Kish's effective number of items where families differ in size.

- No worse, within a margin: non-inferiority, shown if the lower end of the two-sided 95 % interval is at or above
  minus the margin, i.e. a test at the one-sided level 2.5 % (Walker and Nowacki 2011, "Understanding equivalence and
  noninferiority testing", J Gen Intern Med 26).
- Worse beyond the margin: the same interval on the other side, as a p-value, so that several tasks can be corrected.
- Right and wrong: McNemar 1947, exact.

>>> found = compare(ours, theirs, weights, families, better="higher", resamples=1000, seed=17)
>>> found.measure.low >= -0.02  # at most two points worse
True
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from slipway.records import Measure
from slipway.statistics import score
from slipway.statistics.intervals import DIGITS, FAMILIES, Resampled, measure, resampled

LEVEL = 0.025
"""One-sided level of every test here: that of one end of a 95 % interval."""
FEW = 20
"""Families unlike the rest; with fewer of them a share's interval is no narrower than the score interval."""


@dataclass(frozen=True)
class Pairs:
    """What the score interval is computed from."""

    gained: float
    lost: float
    n: float
    """Effective items (Kish): as many as there are families if these are of equal size."""
    odd: int
    """Families whose difference is not the commonest one; a resample may well hold none of few."""
    families: int


@dataclass(frozen=True)
class Comparison:
    """A difference, positive = better, and how sure a loss is."""

    measure: Measure
    """Per unit of weight; `n` counts families. No interval for a single family."""
    mcnemar: float | None
    """Exact two-sided p-value that both are right equally often; None unless every item is right or wrong."""
    drawn: Resampled
    pairs: Pairs | None
    """Set where the score interval counts."""

    def p_worse(self, margin: float) -> float:
        """p-value of "at most `margin` worse": small if a greater loss is shown. 1 if nothing can be shown."""
        if self.drawn.families < 2:
            return 1.0
        found = self.drawn.p_at_least(-margin)
        if self.pairs is not None:
            found = max(found, score.p_at_least(-margin, self.pairs.gained, self.pairs.lost, self.pairs.n))
        return found


def compare(
    ours: np.ndarray,
    theirs: np.ndarray,
    weights: np.ndarray,
    families: Sequence[str],
    *,
    better: Literal["lower", "higher"],
    resamples: int,
    seed: int,
) -> Comparison:
    """How much better `ours` is than `theirs`: sum of differences over sum of `weights`, shape (items,) each.

    Shares (weights of 1, values from 0 to 1) that hardly differ get the wider score interval. If the differences of
    anything else are all alike, the interval has no width: that is the exact answer.

    Raises:
        ValueError: if a value or weight is not finite, or there is no item.
    """
    if not len(ours) or not all(np.isfinite(some).all() for some in (ours, theirs, weights)):
        raise ValueError("a comparison needs items, and finite values and weights for all of them")
    gain = (ours - theirs) if better == "higher" else (theirs - ours)
    drawn = resampled(gain, weights, families, resamples, seed)
    shares = bool((weights == 1).all() and all(((some >= 0) & (some <= 1)).all() for some in (ours, theirs)))
    pairs = _pairs(gain, families) if shares else None
    if pairs is not None and pairs.odd >= FEW:
        pairs = None
    return Comparison(_measure(drawn, pairs), _exact(gain, ours, theirs) if shares else None, drawn, pairs)


def paired_difference(  # noqa: PLR0917 - in the order of `ratio`
    values_a: np.ndarray,
    values_b: np.ndarray,
    weights: np.ndarray,
    families: Sequence[str],
    resamples: int,
    seed: int,
) -> Measure:
    """First minus second, item by item, per unit of weight, with the interval of the difference; see `compare`."""
    return compare(
        values_a, values_b, weights, families, better="higher", resamples=resamples, seed=seed
    ).measure  # fmt: skip


def mcnemar(only_a: int, only_b: int) -> float:
    """Exact two-sided p-value that a and b are right equally often, from the items that one of them alone gets right.

    With no such item nothing speaks against it: 1.
    """
    from scipy.stats import binomtest

    return float(binomtest(only_a, only_a + only_b).pvalue) if only_a + only_b else 1.0


def holm(p_values: Sequence[float]) -> list[float]:
    """The p-values corrected for their number (Holm 1979), so that all errors together keep the level."""
    from statsmodels.stats.multitest import multipletests

    return [float(p) for p in multipletests(p_values, method="holm")[1]] if len(p_values) else []


def _pairs(gain: np.ndarray, families: Sequence[str]) -> Pairs:
    _, group, sizes = np.unique(np.array(families), return_inverse=True, return_counts=True)
    rates = np.round(np.bincount(group, weights=gain) / sizes, DIGITS)
    odd = len(sizes) - int(np.unique(rates, return_counts=True)[1].max())
    effective = float(sizes.sum() ** 2 / (sizes**2).sum())
    gained, lost = float(np.clip(gain, 0, None).mean()), float(np.clip(-gain, 0, None).mean())
    return Pairs(gained * effective, lost * effective, effective, odd, len(sizes))


def _exact(gain: np.ndarray, ours: np.ndarray, theirs: np.ndarray) -> float | None:
    if not all(np.isin(some, (0, 1)).all() for some in (ours, theirs)):
        return None
    return mcnemar(int((gain > 0).sum()), int((gain < 0).sum()))


def _measure(drawn: Resampled, pairs: Pairs | None) -> Measure:
    if drawn.families < 2:
        return measure(drawn.value, None, drawn.families, "no interval: a single family of items")
    low, high = drawn.bound_at(LEVEL), drawn.bound_at(1 - LEVEL)
    words = f"paired; {FAMILIES}"
    if pairs is not None:
        least, most = score.interval(pairs.gained, pairs.lost, pairs.n)
        low, high = min(low, least), max(high, most)
        words += f"; at least Tango's score interval, as {pairs.odd} of {pairs.families} families differ from the rest"
    return measure(drawn.value, (low, high), drawn.families, words)
