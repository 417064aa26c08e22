"""Best-fit decreasing: every token once, no document cut that fits, little filling on realistic lengths."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipway.data.tokens import whole


@given(st.lists(st.integers(1, 70), max_size=60), st.integers(1, 32))
def test_a_plan_places_every_token_once_and_cuts_only_what_is_too_long(lengths, capacity):
    sizes = np.array(lengths, np.int64)
    plan = whole.plan(sizes, capacity)
    taken = [n for a, b in zip(plan.source.tolist(), plan.lengths.tolist(), strict=True) for n in range(a, a + b)]
    assert sorted(taken) == list(range(sum(lengths)))
    ends = plan.place + plan.lengths
    assert (plan.place // capacity == (ends - 1) // capacity).all()
    assert (ends[:-1] <= plan.place[1:]).all()
    pieces = np.bincount(plan.document, minlength=len(lengths))
    assert pieces.tolist() == [-(-length // capacity) for length in lengths]
    assert plan.rows >= -(-sum(lengths) // capacity)
    if lengths:
        assert int(ends[-1]) <= plan.rows * capacity


def test_a_piece_goes_where_it_leaves_least_room():
    plan = whole.plan(np.array([6, 7, 3, 4, 10]), 10)
    assert plan.rows == 3
    together = {tuple(sorted(plan.document[plan.place // 10 == row].tolist())) for row in range(3)}
    assert together == {(4,), (1, 2), (0, 3)}


@pytest.mark.parametrize("capacity", [256, 1024, 4096])
def test_mixed_lengths_lose_less_than_one_per_cent(capacity):
    """Log-normal lengths as those of web text (median 400 tokens, a tail to tens of thousands), and chats of 150."""
    draw = np.random.default_rng(1)
    web, chats = draw.lognormal(6.0, 1.2, 6000), draw.lognormal(5.0, 0.6, 6000)
    lengths = np.concatenate([web, chats]).astype(np.int64).clip(2, 50_000)
    plan = whole.plan(lengths, capacity)
    assert 1 - lengths.sum() / (plan.rows * capacity) < 0.01


def test_what_is_laid_out_is_what_was_planned(tmp_path, monkeypatch):
    monkeypatch.setattr(whole, "BLOCK", 20)
    stream = np.arange(1, 24, dtype="<u2")
    mask = (stream % 2).astype(np.uint8)
    plan = whole.plan(np.array([5, 12, 6]), 10)
    paths = {"target": tmp_path / "a", "target_mask": tmp_path / "b"}
    whole.lay_out(plan, 10, stream, mask, filling=0, **paths)
    rows, counts = np.fromfile(tmp_path / "a", "<u2"), np.fromfile(tmp_path / "b", np.uint8)
    assert len(rows) == len(counts) == plan.rows * 10
    assert sorted(rows[rows > 0].tolist()) == stream.tolist()
    assert (counts == rows % 2).all()
    whole.lay_out(plan, 10, stream, None, filling=0, **paths)
    assert (np.fromfile(tmp_path / "b", np.uint8) == (rows > 0)).all()
