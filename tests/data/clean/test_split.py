"""The split: families stay whole, shares are kept, too little data is a clear error."""

import numpy as np
import pytest

from slipway.data.clean.rows import Row
from slipway.data.clean.split import assign, families
from slipway.errors import UserError

NONE = np.empty((0, 2), np.int64)


def _rows(count: int, per_group: int = 1, length: int = 100) -> list[Row]:
    return [Row(f"d{n:04}", "x" * length, "s", f"g{n // per_group}", "MIT", None) for n in range(count)]


def test_families_join_groups_and_pairs_transitively():
    rows = _rows(6, per_group=2)
    assert families(rows, NONE) == ["d0000", "d0000", "d0002", "d0002", "d0004", "d0004"]
    assert families(rows, np.array([[1, 2]])) == ["d0000"] * 4 + ["d0004"] * 2


def test_shares_are_of_characters_and_never_exceeded():
    rows = _rows(1000)
    where = assign(rows, families(rows, NONE), 17, 0.1, 0.05)
    counts = {split: list(where.values()).count(split) for split in ("train", "validation", "test")}
    assert counts == {"train": 850, "validation": 50, "test": 100}


def test_a_family_larger_than_the_need_stays_in_training():
    rows = [*_rows(100), Row("huge", "x" * 20_000, "s", "huge", "MIT", None)]
    for seed in range(20):
        assert assign(rows, families(rows, NONE), seed, 0.1, 0.1)["huge"] == "train"


def test_the_seed_decides_and_nothing_else():
    rows = _rows(200)
    names = families(rows, NONE)
    assert assign(rows, names, 1, 0.1, 0.1) == assign(rows, names, 1, 0.1, 0.1)
    assert assign(rows, names, 1, 0.1, 0.1) != assign(rows, names, 2, 0.1, 0.1)


@pytest.mark.parametrize("count", [1, 2, 3, 10])
def test_too_few_documents_say_how_many_are_needed(count):
    rows = _rows(count)
    with pytest.raises(UserError, match=rf"nothing is left for the test split: {count} clean .* about 21 families"):
        assign(rows, families(rows, NONE), 1, 0.05, 0.05)


def test_the_number_that_is_named_is_enough():
    rows = _rows(21)
    assert set(assign(rows, families(rows, NONE), 1, 0.05, 0.05).values()) == {"train", "validation", "test"}
