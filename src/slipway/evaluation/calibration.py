"""Is a model as often right as it is sure? Expected calibration error over the choices of a task."""

from collections.abc import Sequence

import numpy as np

from slipway.items import Item
from slipway.records import Calibration, CalibrationBin
from slipway.statistics import DIGITS, measure

BINS = 10
"""Of equal width over confidences from 0 to 1."""
FEWEST = 10
"""Families below which resampling them says nothing."""


def calibration(items: Sequence[Item], resamples: int, seed: int) -> Calibration | None:
    """Calibration of the picks; None if the items are no questions with choices.

    The confidence in a pick is its probability under the softmax of the choices' scores.
    """
    if not items or not all(item.scores and item.picked is not None for item in items):
        return None
    sure = np.array([confidence(item) for item in items])
    right = np.array([item.value for item in items])
    bins = np.minimum((sure * BINS).astype(int), BINS - 1)
    _, family = np.unique([item.family for item in items], return_inverse=True)
    # By family and bin: how far confidence exceeds being right, summed. Resampled families sum to resampled errors.
    surplus = np.zeros((family.max() + 1, BINS))
    np.add.at(surplus, (family, bins), sure - right)
    sizes = np.bincount(family)
    value = float(np.abs(surplus.sum(0)).sum() / len(items))
    return Calibration(
        expected_error=measure(value, *_interval(surplus, sizes, value, resamples, seed)),
        bins=tuple(
            CalibrationBin(
                confidence=round(float(sure[bins == one].mean()), DIGITS),
                accuracy=round(float(right[bins == one].mean()), DIGITS),
                n=int((bins == one).sum()),
            )
            for one in np.unique(bins)
        ),
    )


def confidence(item: Item) -> float:
    """Probability of the pick under the softmax of the scores."""
    scores = np.array(item.scores)
    spread = np.exp(scores - scores.max())
    return float(spread[item.picked] / spread.sum())


def _interval(
    surplus: np.ndarray, sizes: np.ndarray, value: float, resamples: int, seed: int
) -> tuple[tuple[float, float] | None, int, str]:
    """Interval, number of families and method, as `measure` takes them."""
    families = len(sizes)
    if families < FEWEST:
        return (
            None,
            families,
            f"no interval: {families} families of similar items, fewer than {FEWEST}",
        )
    drawn = np.random.default_rng(seed).multinomial(families, np.full(families, 1 / families), size=resamples)
    errors = np.abs(drawn @ surplus).sum(1) / (drawn @ sizes)
    low, high = np.quantile(errors, (0.025, 0.975))
    # A resampled set errs once more by chance, so where the error is small all of them may lie above it.
    words = f"{BINS} bins of equal width; percentile bootstrap over families of similar items, widened to the figure"
    return (min(low, value), max(high, value)), families, words
