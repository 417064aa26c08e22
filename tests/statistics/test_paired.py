"""Two models on the same items: beside scipy and statsmodels, and laws that hold whatever the items are."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ttest_rel
from statsmodels.stats.contingency_tables import mcnemar as of_statsmodels
from statsmodels.stats.multitest import multipletests

from slipway.statistics import compare, holm, mcnemar, paired_difference, ratio

MARGINS = (0.0, 0.01, 0.05, 0.2, 1.0)


def numbered(count):
    return [f"family-{index:05d}" for index in range(count)]


def compared(ours, theirs, families=None, *, weights=None, better="higher", resamples=999, seed=1):
    ours, theirs = np.asarray(ours, float), np.asarray(theirs, float)
    weights = np.ones(len(ours)) if weights is None else np.asarray(weights, float)
    return compare(
        ours, theirs, weights, families or numbered(len(ours)), better=better, resamples=resamples, seed=seed
    )  # fmt: skip


def pair_of_models(seed, n=400, drift=0.0):
    rng = np.random.default_rng(seed)
    theirs = rng.normal(1.5, 0.5, n)
    return theirs + rng.normal(drift, 0.1, n), theirs


def test_many_items_agree_with_the_paired_t_test():
    ours, theirs = pair_of_models(1, 2000, drift=0.004)
    found = compared(ours, theirs, resamples=4999)
    expected = ttest_rel(ours, theirs)
    interval = expected.confidence_interval(0.95)
    assert found.measure.value == pytest.approx((ours - theirs).mean(), abs=1e-6)
    assert (found.measure.low, found.measure.high) == pytest.approx((interval.low, interval.high), abs=3e-4)
    below = ttest_rel(ours, theirs + 0.0, alternative="less").pvalue
    assert found.p_worse(0.0) == pytest.approx(below, abs=0.02)


def test_a_difference_is_the_ratio_of_differences():
    ours, theirs = pair_of_models(2)
    weights = np.random.default_rng(2).uniform(1, 5, len(ours))
    found = paired_difference(ours, theirs, weights, numbered(len(ours)), 500, 3)
    expected = ratio(ours - theirs, weights, numbered(len(ours)), 500, 3)
    assert (found.value, found.low, found.high) == (expected.value, expected.low, expected.high)


@pytest.mark.parametrize(("a", "b"), [(0, 0), (3, 9), (9, 3), (1, 0), (0, 12), (40, 41), (500, 430)])
def test_mcnemar_is_the_exact_one_of_statsmodels(a, b):
    assert mcnemar(a, b) == pytest.approx(min(1.0, of_statsmodels([[7, a], [b, 11]], exact=True).pvalue))


def test_right_and_wrong_answers_come_with_mcnemar_and_shares_without():
    ours, theirs = np.array([1, 1, 0, 0, 1, 1, 1, 1.0]), np.array([1, 0, 1, 0, 0, 0, 0, 0.0])
    assert compared(ours, theirs).mcnemar == pytest.approx(mcnemar(5, 1))
    assert compared(ours / 2, theirs).mcnemar is None
    assert compared(ours * 3, theirs).mcnemar is None


@pytest.mark.parametrize("p_values", [[0.01, 0.04, 0.03], [0.5], [0.001] * 4, []])
def test_holm_is_that_of_statsmodels(p_values):
    expected = multipletests(p_values, method="holm")[1] if p_values else []
    assert holm(p_values) == pytest.approx(list(expected))


@pytest.mark.parametrize("n", [10, 100, 1000])
def test_equal_answers_claim_no_more_than_their_number_allows(n):
    answers = np.arange(n) % 2
    found = compared(answers, answers)
    assert (found.measure.value, found.mcnemar) == (0, 1)
    exact = 1 - 0.025 ** (1 / n)
    assert found.measure.low == pytest.approx(-exact, rel=0.15)
    assert found.measure.low == -found.measure.high
    assert f"0 of {n} families differ from the rest" in found.measure.method


def test_equal_likelihoods_are_the_exact_answer():
    bits = np.linspace(100, 900, 50)
    found = compared(bits, bits, weights=np.full(50, 100.0), better="lower")
    assert (found.measure.value, found.measure.low, found.measure.high) == (0, 0, 0)
    assert found.p_worse(0.01) == pytest.approx(1, abs=0.01)


def test_an_equal_loss_everywhere_is_a_loss_beyond_doubt():
    weights = np.linspace(50, 500, 40)
    found = compared(weights * 1.6, weights * 1.5, weights=weights, better="lower")
    assert (found.measure.value, found.measure.low, found.measure.high) == pytest.approx((-0.1, -0.1, -0.1))
    assert found.p_worse(0.05) < 0.005
    assert found.p_worse(0.2) > 0.99


def test_always_wrong_beside_always_right():
    found = compared(np.zeros(30), np.ones(30))
    assert (found.measure.value, found.measure.low) == (-1, -1)
    assert -1 < found.measure.high < -0.7
    assert found.p_worse(0.1) < 0.005


def test_one_family_shows_nothing():
    found = compared([0, 0, 0], [1, 1, 1], ["a", "a", "a"])
    assert (found.measure.low, found.measure.n, found.p_worse(0.0)) == (None, 1, 1)


def test_many_items_of_few_families_show_little():
    """A thousand equal answers of twelve families are twelve pieces of evidence."""
    answers = np.arange(1200) % 2
    families = [f"family-{index % 12}" for index in range(1200)]
    assert compared(answers, answers, families).measure.low < -0.2


@pytest.mark.parametrize("broken", [float("nan"), float("inf")])
def test_what_is_no_number_is_not_compared(broken):
    with pytest.raises(ValueError, match="finite"):
        compared([broken, 1, 0], [1, 1, 0])
    with pytest.raises(ValueError, match="needs items"):
        compared([], [])


tables = st.integers(3, 60).flatmap(
    lambda n: st.tuples(
        st.lists(st.sampled_from([0.0, 1.0]), min_size=n, max_size=n)
        | st.lists(st.floats(-5, 5, width=32), min_size=n, max_size=n),
        st.lists(st.sampled_from([0.0, 1.0]), min_size=n, max_size=n),
        st.lists(st.integers(0, 20), min_size=n, max_size=n),
    )
)


def of_table(table, **changes):
    ours, theirs, families = table
    names = [f"family-{number}" for number in families]
    return compared(**{"ours": ours, "theirs": theirs, "families": names, "resamples": 99} | changes)


def ends(measure):
    return [end for end in (measure.low, measure.high) if end is not None]


@settings(max_examples=60, deadline=None)
@given(tables)
def test_exchanged_models_have_the_opposite_difference(table):
    one = of_table(table).measure
    other = of_table((table[1], table[0], table[2])).measure
    assert other.value == pytest.approx(-one.value, abs=2e-6)
    assert ends(other) == pytest.approx([-end for end in reversed(ends(one))], abs=2e-6)


@settings(max_examples=60, deadline=None)
@given(tables)
def test_lower_is_better_is_the_other_sign(table):
    one, other = of_table(table).measure, of_table(table, better="lower").measure
    assert ends(other) == pytest.approx([-end for end in reversed(ends(one))], abs=2e-6)


@settings(max_examples=60, deadline=None)
@given(tables, st.randoms(use_true_random=False))
def test_the_order_of_items_moves_nothing(table, random):
    order = list(range(len(table[0])))
    random.shuffle(order)
    one = of_table(table)
    other = of_table(tuple([column[index] for index in order] for column in table))
    assert ends(other.measure) == pytest.approx(ends(one.measure), abs=2e-6)
    assert other.p_worse(0.5) == pytest.approx(one.p_worse(0.5), abs=0.05)


@settings(max_examples=60, deadline=None)
@given(tables)
def test_a_wider_margin_never_makes_a_loss_surer(table):
    found = of_table(table)
    p_values = [found.p_worse(margin) for margin in MARGINS]
    assert p_values == sorted(p_values)
    assert all(0 <= p <= 1 for p in p_values)


@settings(max_examples=60, deadline=None)
@given(tables)
def test_the_interval_holds_the_value_and_is_never_nan(table):
    measure = of_table(table, resamples=999).measure
    assert np.isfinite([measure.value, *ends(measure)]).all()
    if ends(measure):
        assert measure.low <= measure.high


@settings(max_examples=60, deadline=None)
@given(tables)
def test_no_worse_and_worse_are_never_both_shown(table):
    found = of_table(table)
    for margin in MARGINS:
        assert not (found.measure.low is not None and found.measure.low >= -margin and found.p_worse(margin) < 0.025)
