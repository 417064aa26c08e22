"""Tango's score interval for the difference of two paired shares: what the bootstrap cannot see.

Where hardly any item is answered differently by two models, a resample rarely holds one of those, and the bootstrap
takes luck for certainty: no difference among ten items would be no difference at all. The score test (Tango 1998,
"Equivalence test and confidence interval for the difference in proportions for the paired-sample design", Statistics
in Medicine 17) keeps its level there; with no differing item of n it gives about 3.84/n, beside the 3.69/n of an exact
one-sided bound. Neither scipy nor statsmodels has it for pairs.

>>> [round(end, 4) for end in interval(gained=0, lost=0, n=1000)]
[-0.0038, 0.0038]
"""

import numpy as np


def statistic(difference: float, gained: float, lost: float, n: float) -> float:
    """Standard normal if the true difference of the shares is `difference`; falls as `difference` grows.

    `gained` and `lost` items of `n` are right in one model only; they need not be whole numbers.
    """
    linear = (2 * n + lost - gained) * difference - gained - lost
    constant = -lost * difference * (1 - difference)
    # The likeliest share of lost items among all that fit the difference; the root keeps its sign near zero.
    root = np.sqrt(max(linear * linear - 8 * n * constant, 0.0))
    lost_share = max((root - linear) / (4 * n), 0.0, -difference)
    variance = n * (2 * lost_share + difference * (1 - difference))
    excess = gained - lost - n * difference
    if variance <= 0:
        return float(np.sign(excess) * np.inf) if excess else 0.0
    return float(excess / np.sqrt(variance))


def bound_at(level: float, gained: float, lost: float, n: float) -> float:
    """Below which the difference lies with probability `level`, between -1 and 1."""
    from scipy.optimize import brentq
    from scipy.stats import norm

    wanted = float(norm.ppf(1 - level))
    value = (gained - lost) / n

    def off(difference: float) -> float:
        return statistic(difference, gained, lost, n) - wanted

    low, high = (-1.0, value) if level < 0.5 else (value, 1.0)
    if off(low) <= 0:
        return low
    if off(high) >= 0:
        return high
    return float(brentq(off, low, high, xtol=1e-12))


def p_at_least(bound: float, gained: float, lost: float, n: float) -> float:
    """One-sided p-value of "the difference is at least `bound`"."""
    from scipy.stats import norm

    return float(norm.cdf(statistic(bound, gained, lost, n)))


def interval(gained: float, lost: float, n: float) -> tuple[float, float]:
    """The 95 % interval."""
    return bound_at(0.025, gained, lost, n), bound_at(0.975, gained, lost, n)
