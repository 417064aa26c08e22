"""The score interval for paired shares: its own definition maximised by brute force, and its level by simulation."""

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.stats import norm

from slipway.statistics import score


def by_brute_force(difference: float, gained: float, lost: float, n: float) -> float:
    """The statistic with the likeliest share of lost items found numerically, not by the closed form."""

    def unlikely(share: float) -> float:
        rest = 1 - 2 * share - difference
        terms = ((gained, share + difference), (lost, share), (n - gained - lost, rest))
        return -sum(count * np.log(max(p, 1e-300)) for count, p in terms if count)

    low, high = max(0.0, -difference), (1 - difference) / 2
    share = minimize_scalar(unlikely, bounds=(low, high), method="bounded", options={"xatol": 1e-12}).x
    return (gained - lost - n * difference) / np.sqrt(n * (2 * share + difference * (1 - difference)))


@pytest.mark.parametrize("counts", [(8, 5, 100), (0, 3, 40), (7, 0, 50), (20, 60, 200), (1, 1, 1000)])
@pytest.mark.parametrize("difference", [-0.3, -0.02, 0.01, 0.2])
def test_the_statistic_is_the_one_of_the_constrained_likelihood(counts, difference):
    assert score.statistic(difference, *counts) == pytest.approx(by_brute_force(difference, *counts), rel=1e-4)


@pytest.mark.parametrize("counts", [(8, 5, 100), (0, 3, 40), (0, 0, 25), (12, 0, 12), (0, 12, 12)])
def test_the_interval_is_where_the_statistic_reaches_its_quantiles(counts):
    low, high = score.interval(*counts)
    assert -1 <= low <= (counts[0] - counts[1]) / counts[2] <= high <= 1
    if low > -1:
        assert score.statistic(low, *counts) == pytest.approx(norm.ppf(0.975), abs=1e-6)
        assert score.p_at_least(high, *counts) == pytest.approx(0.025, abs=1e-6) or high == 1


def test_it_turns_round_with_the_models():
    low, high = score.interval(8, 5, 100)
    assert score.interval(5, 8, 100) == pytest.approx((-high, -low))


@pytest.mark.parametrize("n", [10, 60, 1000])
def test_without_a_differing_item_it_is_near_the_exact_bound(n):
    exact = 1 - 0.025 ** (1 / n)  # Clopper-Pearson, one-sided, no loss among n
    low, high = score.interval(0, 0, n)
    assert -low == pytest.approx(high)
    assert exact * 0.85 < high < exact * 1.1


def test_few_differing_items_are_covered_at_the_stated_level():
    """Where percentile intervals fail: 100 items of which three in a hundred differ."""
    rng = np.random.default_rng(5)
    drawn = rng.multinomial(100, [0.005, 0.025, 0.97], size=2000)
    found = {tuple(pair): score.interval(*pair, 100) for pair in np.unique(drawn[:, :2], axis=0)}
    covered = np.mean([low <= -0.02 <= high for low, high in (found[tuple(pair)] for pair in drawn[:, :2])])
    assert covered > 0.94
