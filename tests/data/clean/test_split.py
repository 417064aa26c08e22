"""The split: stable as data grows, in the shares on average, without leaks."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slipway.data.clean import prepare
from slipway.data.clean.split import SPLITS, TEST, TRAIN, VALIDATION, check_sides, leaks, side
from slipway.errors import UserError
from slipway.settings import Canaries

from .corpora import document, prose, quiet, read, write_raw


def test_shares_hold_on_average():
    sides = [side(17, f"g{n}", 0.1, 0.05) for n in range(10_000)]
    assert abs(sides.count(TEST) - 1000) < 100
    assert abs(sides.count(VALIDATION) - 500) < 75


@given(st.text(max_size=20), st.integers(0, 2**32 - 1), st.floats(0.01, 0.4), st.floats(0.01, 0.09))
def test_a_larger_share_takes_from_training_only(group, seed, share, more):
    before, after = side(seed, group, share, 0.05), side(seed, group, share + more, 0.05)
    assert before != TEST or after == TEST


def _sides(root, recipe, rows) -> dict[str, str]:
    write_raw(root, rows)
    prepare(recipe.prepare.model_copy(update={"canaries": Canaries(per_level=0)}), 3, "MIT", root, quiet)
    return {row["id"]: name for name in SPLITS for row in read(root, "clean", name)}


@settings(max_examples=8, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 99), st.integers(0, 40)), max_size=30), st.data())
def test_a_document_never_changes_side_when_others_are_added(recipe, tmp_path_factory, added, data):
    root = tmp_path_factory.mktemp("split")
    rows = [document(f"d{n:03}", prose(n), f"g{n // 2}") for n in range(200)]
    before = _sides(root, recipe, rows)
    held_out = _held_out(root)
    # Copies, near copies and members of old groups among the new documents, with ids on either side of the old.
    new = [
        document(f"{data.draw(st.sampled_from('az'))}{n}", prose(like, words=39 + n % 2), f"g{group}")
        for n, (like, group) in enumerate(added)
    ]
    after = _sides(root, recipe, rows + new)
    assert all(after[name] == before[name] for name in after.keys() & before.keys())
    assert {row.id for row in rows} - before.keys() == set()
    # Not even through a copy of smaller id.
    assert held_out.isdisjoint(row["text"] for row in read(root, "clean", "train"))


def _held_out(root) -> set[str]:
    return {row["text"] for name in ("validation", "test") for row in read(root, "clean", name)}


def test_a_copy_in_training_does_not_drive_out_a_held_out_document(recipe, tmp_path):
    rows = [document(f"d{n:03}", prose(n), f"g{n}") for n in range(200)]
    _sides(tmp_path, recipe, rows)
    held_out = _held_out(tmp_path)
    kept = [row for row in rows if row.text in held_out]
    train = next(name for name in map("t{}".format, range(99)) if side(3, name, 0.2, 0.2) == TRAIN)
    for words in (40, 39):
        copies = [document(f"a{n}", " ".join(row.text.split()[:words]), train) for n, row in enumerate(kept)]
        after = _sides(tmp_path, recipe, rows + copies)
        assert _held_out(tmp_path) == held_out
        assert not {row.id for row in copies} & after.keys()


def test_leaks_are_turned_away_on_the_side_that_trains():
    sides = np.array([TEST, VALIDATION, TRAIN, TRAIN, TRAIN, TEST], np.int8)
    pairs = np.array([[0, 1], [1, 2], [0, 3], [3, 5], [0, 5], [2, 4]])
    value = np.array([0.6, 0.7, 0.5, 0.8, 0.9, 0.9])
    # Document 2 resembles only a validation document that goes itself.
    rank = np.arange(6)
    assert leaks(pairs, value, sides, rank) == [(1, 0, 0.6), (3, 5, 0.8)]
    # Between held-out documents of equal index the id decides, not the place.
    equal, ties = np.array([[0, 3], [3, 5]]), np.array([0.5, 0.5])
    assert leaks(equal, ties, sides, rank) == [(3, 0, 0.5)]
    assert leaks(equal, ties, sides, rank[::-1]) == [(3, 5, 0.5)]


def test_too_few_groups_say_how_many_are_needed():
    with pytest.raises(UserError, match=r"nothing is left for the test split: 9 .* 7 groups .* about 90 groups"):
        check_sides((8, 1, 0), 7, 0.05, 0.05)
    check_sides((1, 1, 1), 3, 0.05, 0.05)
