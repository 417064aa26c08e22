"""Intervals against formulas, and what has none."""

import numpy as np
import pytest

from slipway.evaluation.statistics import bits_per_byte, share, single


def test_wilson_by_the_formula():
    n, p, z = 40, 0.25, 1.959964
    centre, half = p + z * z / (2 * n), z * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    measure = share(10, 40)
    assert (measure.value, measure.n, measure.method) == (0.25, 40, "Wilson")
    assert measure.low == pytest.approx((centre - half) / (1 + z * z / n), abs=1e-5)
    assert measure.high == pytest.approx((centre + half) / (1 + z * z / n), abs=1e-5)
    assert share(0, 5).low == 0
    assert share(5, 5).high == 1


def test_bits_per_byte_weighs_documents_by_their_bytes():
    nats, sizes = np.array([8.0, 2.0]) * np.log(2), np.array([4, 6])
    assert bits_per_byte(nats, sizes, ["a", "b"], 200, 1).value == 1.0


def test_the_bootstrap_interval_covers_and_is_the_same_twice():
    rng = np.random.default_rng(0)
    sizes = rng.integers(50, 200, 400)
    nats = sizes * rng.normal(1.5, 0.4, 400)
    one, two = (bits_per_byte(nats, sizes, range(400), 1000, 7) for _ in range(2))
    assert one == two
    assert one.low < one.value < one.high
    spread = 0.4 / np.log(2) / np.sqrt(400)
    assert 2 * spread < one.high - one.low < 6 * spread


def test_copies_of_a_document_are_no_further_evidence():
    rng = np.random.default_rng(0)
    sizes = rng.integers(50, 200, 40)
    nats = sizes * rng.normal(1.5, 0.4, 40)
    families = [str(number) for number in range(40)]
    alone = bits_per_byte(nats, sizes, families, 500, 3)
    tenfold = bits_per_byte(np.tile(nats, 10), np.tile(sizes, 10), families * 10, 500, 3)
    assert (tenfold.value, tenfold.low, tenfold.high, tenfold.n) == (alone.value, alone.low, alone.high, 40)


def test_what_has_no_interval_says_so():
    alone = bits_per_byte(np.array([3.0]), np.array([4]), ["a"], 100, 0)
    assert alone.low is None
    assert alone.high is None
    assert "single family" in alone.method
    assert single(1.5, 3, "gzip -9").method == "no interval: gzip -9"
