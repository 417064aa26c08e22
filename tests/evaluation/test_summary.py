"""A task's figure, its figures by source and its difference to the base, from rows of the item table."""

import numpy as np
import pytest

from slipway.evaluation.summary import difference, figure
from slipway.items import Item
from slipway.statistics import share


def answer(number: int, right: bool, family: str | None = None, model: str = "model") -> Item:
    family = family or f"f{number}"
    return Item("quiz", model, f"q{number}", family, "", float(right), 1.0, None, (0.0, 1.0), 1, int(right))


def bits(number: int, value: float, size: float = 100.0, model: str = "model") -> Item:
    return Item("bits_per_byte", model, f"d{number}", f"f{number}", "", value, size)


def test_questions_of_different_families_are_independent_trials():
    assert figure([answer(i, i < 12) for i in range(40)], 100, 1) == share(12, 40)


def test_similar_questions_are_resampled_together():
    rng = np.random.default_rng(0)
    alone = [answer(i, bool(rng.random() < 0.6)) for i in range(50)]
    tenfold = [answer(50 * k + i, bool(one.value), f"f{i}") for k in range(10) for i, one in enumerate(alone)]
    one, ten = figure(alone, 500, 1), figure(tenfold, 500, 1)
    assert one.value == ten.value
    assert (one.n, ten.n) == (50, 50)
    assert ten.high - ten.low > 0.8 * (one.high - one.low)


@pytest.mark.parametrize("right", [True, False])
def test_answers_that_are_all_alike_keep_an_interval(right):
    """Nothing to resample, and yet twelve right answers of six families do not prove a model that never errs."""
    found = figure([answer(i, right, f"f{i // 2}") for i in range(12)], 100, 1)
    assert found == share(6 if right else 0, 6)
    assert found.high - found.low > 0.3


@pytest.mark.parametrize("right", [True, False])
def test_written_answers_that_are_all_alike_keep_an_interval_with_several_seeds_too(right):
    """Rows of a generation task have no picks, and of each item one per seed: six items are six trials."""
    rows = [Item("made", "model", f"{i}", f"f{i}", "", float(right), 1.0, seed) for i in range(6) for seed in (1, 2)]
    assert figure(rows, 100, 1) == share(6 if right else 0, 6)


def test_one_item_has_a_wide_interval_or_none():
    assert figure([answer(0, True)], 100, 1).low < 0.3
    assert figure([bits(0, 150.0)], 100, 1).low is None


def test_bits_are_weighed_by_bytes():
    assert figure([bits(0, 8.0, 4.0), bits(1, 2.0, 6.0)], 100, 1).value == 1.0


def test_the_difference_is_that_of_the_items_which_both_answered():
    rng = np.random.default_rng(1)
    hard = rng.normal(150, 30, 60)
    model, base = [bits(i, h) for i, h in enumerate(hard)], [bits(i, h + 5, model="base") for i, h in enumerate(hard)]
    found = difference([*model, bits(99, 1e6)], [*base[:50], bits(98, 1e6)], 500, 1)
    assert found.value == pytest.approx(-0.05)
    assert found.n == 50
    assert found.method.startswith("model minus base, paired")
    assert found.high - found.low < 0.01
    assert difference(model, [], 100, 1) is None


def test_a_gain_on_questions_is_positive():
    model, base = ([answer(i, right) for i, right in enumerate(some)] for some in ([True] * 40, [False, True] * 20))
    found = difference(model, base, 500, 1)
    assert found.value == 0.5
    assert 0.2 < found.low < found.high < 0.8
