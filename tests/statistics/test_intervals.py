"""Intervals of one number, beside scipy's own."""

import numpy as np
import pytest
from scipy.stats import binomtest, bootstrap, t

from slipway.statistics import mean, ratio, share
from slipway.statistics.intervals import resampled


def numbered(count: int) -> list[str]:
    return [f"family-{index:05d}" for index in range(count)]


def test_a_share_has_wilsons_interval():
    wilson = binomtest(40, 100).proportion_ci(0.95, "wilson")
    found = share(40, 100, per=1000)
    assert (found.value, found.n) == (400, 100)
    assert (found.low, found.high) == pytest.approx((1000 * wilson.low, 1000 * wilson.high))


def test_a_mean_has_students_interval():
    values = [1.0, 2.0, 4.0, 4.5]
    half = t.ppf(0.975, 3) * np.std(values, ddof=1) / 2
    found = mean(values, 0, 10, "canaries")
    assert (found.low, found.high) == pytest.approx((2.875 - half, 2.875 + half))


def test_equal_values_have_no_interval_although_their_mean_is_rounded():
    found = mean([float(np.log2(10_001))] * 3, 0, 20, "canaries")
    assert (found.low, found.high) == (None, None)
    assert found.method == "no interval: no spread to see"


def test_many_families_have_the_percentile_interval_of_scipy():
    rng = np.random.default_rng(1)
    weights = rng.uniform(50, 500, 2000)
    values = weights * rng.normal(1.5, 0.3, 2000)
    expected = bootstrap(
        (values, weights), lambda a, b, axis: a.sum(axis) / b.sum(axis), paired=True, n_resamples=4000, batch=100,
        method="percentile", rng=np.random.default_rng(9),
    ).confidence_interval  # fmt: skip
    found = ratio(values, weights, numbered(2000), 4000, 4)
    assert (found.low, found.high) == pytest.approx(tuple(expected), abs=0.0015)


def test_few_families_are_covered_at_the_stated_level():
    """Ten families: the plain percentile interval would cover nine in ten."""
    rng = np.random.default_rng(2)
    inside = 0
    for trial in range(300):
        found = ratio(rng.normal(1, 1, 10), np.ones(10), numbered(10), 400, trial)
        inside += found.low <= 1 <= found.high
    assert inside / 300 > 0.92


def test_copies_of_a_document_are_no_further_evidence():
    rng = np.random.default_rng(3)
    values, families = rng.normal(1, 0.2, 40), numbered(40)
    once = ratio(values, np.ones(40), families, 2000, 1)
    ten = ratio(np.tile(values, 10), np.ones(400), families * 10, 2000, 1)
    assert (once.low, once.high, once.n) == pytest.approx((ten.low, ten.high, ten.n), abs=1e-6)


def test_one_family_has_no_interval():
    found = ratio(np.array([1.0, 3.0]), np.array([2.0, 2.0]), ["a", "a"], 100, 1)
    assert (found.value, found.low, found.high, found.n) == (1, None, None, 1)


def test_values_that_are_all_alike_have_no_width():
    found = ratio(np.full(30, 0.1), np.ones(30), numbered(30), 100, 1)
    assert (found.value, found.low, found.high) == (0.1, 0.1, 0.1)


@pytest.mark.parametrize("level", [0.001, 0.025, 0.4, 0.975])
def test_bound_and_p_value_are_each_others_inverse(level):
    rng = np.random.default_rng(4)
    drawn = resampled(rng.normal(1, 1, 50), np.ones(50), numbered(50), 4999, 1)
    assert 1 - drawn.p_at_least(drawn.bound_at(level)) == pytest.approx(level, abs=0.003)


def test_what_weighs_nothing_is_no_evidence():
    """A family without a byte: a draw of nothing else would be 0/0."""
    found = ratio(np.array([1.0, 2.0, 0.0]), np.array([1.0, 1.0, 0.0]), ["a", "b", "c"], 500, 1)
    assert found == ratio(np.array([1.0, 2.0]), np.array([1.0, 1.0]), ["a", "b"], 500, 1)
    assert (found.value, found.n) == (1.5, 2)
    alone = ratio(np.array([1.0, 0.0]), np.array([1.0, 0.0]), ["a", "b"], 500, 1)
    assert (alone.low, alone.n) == (None, 1)
