"""Statistics that several rooms need: `intervals` of one number, `paired` comparison of two models item by item."""

from slipway.statistics.intervals import DIGITS, derived, mean, measure, ratio, share, single

__all__ = ["DIGITS", "derived", "mean", "measure", "ratio", "share", "single"]
