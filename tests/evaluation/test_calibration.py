"""Calibration by hand, and where it says nothing."""

import numpy as np
import pytest

from slipway.evaluation.calibration import BINS, calibration, confidence
from slipway.items import Item


def item(number: int, sure: float, right: bool, family: str | None = None) -> Item:
    """An answer among two choices that the model is `sure` of."""
    odds = float(np.log(sure / (1 - sure)))
    return Item("quiz", "model", f"q{number}", family or f"f{number}", "", float(right), 1.0, None, (odds, 0.0), 0, 0)


def test_by_hand_with_empty_bins_left_out():
    made = [*(item(i, 0.6, i < 2) for i in range(4)), *(item(i + 4, 0.9001, i < 5) for i in range(6))]
    found = calibration(made, 200, 1)
    assert [(one.n, one.accuracy) for one in found.bins] == [(4, 0.5), (6, pytest.approx(5 / 6, abs=1e-6))]
    assert [one.confidence for one in found.bins] == pytest.approx([0.6, 0.9001], abs=1e-6)
    expected = (4 * abs(0.6 - 0.5) + 6 * abs(0.9001 - 5 / 6)) / 10
    assert found.expected_error.value == pytest.approx(expected, abs=1e-6)
    assert found.expected_error.low <= found.expected_error.value <= found.expected_error.high


def test_a_calibrated_model_has_a_small_error_and_an_overconfident_one_a_large_one():
    rng = np.random.default_rng(0)
    sure = rng.uniform(0.5, 0.99, 2000)
    honest = [item(i, s, bool(rng.random() < s)) for i, s in enumerate(sure)]
    boasting = [item(i, 0.99, bool(rng.random() < 0.5)) for i in range(2000)]
    small, large = (calibration(some, 500, 2).expected_error for some in (honest, boasting))
    assert small.value < 0.05
    assert large.low < 0.49 < large.high
    assert (small.n, large.n) == (2000, 2000)
    assert calibration(honest, 500, 2) == calibration(honest, 500, 2)


def test_similar_items_are_no_further_evidence():
    one = [item(i, 0.7, i % 3 == 0) for i in range(40)]
    ten = [item(40 * k + i, 0.7, i % 3 == 0, f"f{i}") for k in range(10) for i in range(40)]
    alone, tenfold = (calibration(some, 300, 3).expected_error for some in (one, ten))
    assert (alone.low, alone.high, alone.n) == (tenfold.low, tenfold.high, tenfold.n)


def test_what_has_no_choices_or_few_items_says_so():
    bits = Item("bits_per_byte", "model", "d", "f", "", 10.0, 5.0)
    assert calibration([bits], 10, 0) is None
    assert calibration([], 10, 0) is None
    few = calibration([item(i, 0.7, True) for i in range(9)], 10, 0).expected_error
    assert few.low is None
    assert "9 families" in few.method


def test_certainty_falls_into_the_last_bin():
    sure = Item("quiz", "model", "q", "f", "", 1.0, 1.0, None, (1000.0, 0.0), 0, 0)
    assert confidence(sure) == 1.0
    (one,) = calibration([sure] * 10, 10, 0).bins
    assert (one.confidence, one.n) == (1.0, 10)
    assert BINS == 10
