"""Statistics that several rooms need: `intervals` of one number, `paired` comparison of two models item by item."""

from slipway.statistics.intervals import DIGITS, derived, mean, measure, ratio, share, single
from slipway.statistics.paired import Comparison, compare, holm, mcnemar, paired_difference

__all__ = [
    "DIGITS",
    "Comparison",
    "compare",
    "derived",
    "holm",
    "mcnemar",
    "mean",
    "measure",
    "paired_difference",
    "ratio",
    "share",
    "single",
]
