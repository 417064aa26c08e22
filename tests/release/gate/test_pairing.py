"""Items side by side: what can be paired is, and what cannot is said in words."""

from dataclasses import replace

import pytest

from slipway.items import Item
from slipway.release.gate.pairing import Unfit, pair
from tests.gate_cases import table


def row(number, **changes):
    values = {
        "task": "t", "model": "model", "item": f"i{number}", "family": f"f{number}", "prompt_sha256": f"{number}",
        "value": float(number % 2), "weight": 1.0,
    }  # fmt: skip
    return Item(**values | changes)


ROWS = [row(number) for number in range(4)]


def paired(ours, theirs, **changes):
    return pair(table(ours), table(theirs), "t", **{"against": "champion"} | changes)


def test_items_are_paired_by_their_id_whatever_their_order():
    found = paired(ROWS, [replace(one, value=1 - one.value) for one in reversed(ROWS)])
    assert list(found.ours) == [0, 1, 0, 1]
    assert list(found.theirs) == [1, 0, 1, 0]
    assert found.families == ("f0", "f1", "f2", "f3")


def test_other_tasks_and_the_base_in_the_table_are_passed_over():
    more = [replace(ROWS[0], task="other"), replace(ROWS[0], model="base")]
    assert len(paired([*ROWS, *more], [*ROWS, *more]).ours) == 4


def test_the_base_is_in_the_same_table():
    ours = [*ROWS, *(replace(one, model="base", value=0.0) for one in ROWS)]
    assert list(paired(ours, ours, against="base").theirs) == [0, 0, 0, 0]


def test_seeds_are_averaged_before_pairing():
    several = [replace(one, seed=seed, value=float(seed == 1)) for one in ROWS for seed in (1, 2)]
    found = paired(several, ROWS)
    assert list(found.ours) == [0.5] * 4
    assert list(found.weights) == [1] * 4


@pytest.mark.parametrize(
    ("ours", "theirs", "words", "fault_of_ours"),
    [
        ([], ROWS, "no item of t in the model's table", True),
        (ROWS, [], "no item of t in the table of the champion", False),
        (ROWS, ROWS[:3], r"not comparable: 1 items \(i3\) on one side only, 3 on both", False),
        (ROWS[:3], ROWS, "on one side only", False),
        (ROWS, [row(number) for number in range(10, 14)], "on one side only, 0 on both", False),
        (ROWS, [*ROWS[1:], row(0, prompt_sha256="else")], r"another prompt for 1 items \(i0\)", False),
        (ROWS, [*ROWS[1:], row(0, weight=2.0)], r"another weight for 1 items \(i0\)", False),
        ([*ROWS, ROWS[0]], ROWS, r"the model has 1 items \(i0\) twice", True),
        (ROWS, [*ROWS, ROWS[0]], r"the champion has 1 items \(i0\) twice", False),
        ([*ROWS[1:], row(0, value=float("nan"))], ROWS, r"the model has no number for 1 items \(i0\)", True),
        (ROWS, [*ROWS[1:], row(0, value=float("inf"))], r"the champion has no number for 1 items", False),
        ([row(0, weight=0.0)], [row(0, weight=0.0)], "weigh nothing", True),
    ],
)
def test_what_cannot_be_paired_is_said_in_words(ours, theirs, words, fault_of_ours):
    with pytest.raises(Unfit, match=words) as caught:
        paired(ours, theirs)
    assert caught.value.ours == fault_of_ours
    assert caught.value.action


def test_a_base_in_its_own_form_may_be_asked_in_other_words():
    ours = [*ROWS, *(replace(one, model="base", prompt_sha256="plain") for one in ROWS)]
    with pytest.raises(Unfit, match="another prompt"):
        paired(ours, ours, against="base")
    assert len(paired(ours, ours, against="base", same_prompts=False).ours) == 4


@pytest.mark.parametrize(("may_lack", "fits"), [(0.25, True), (0.2, False)])
def test_a_base_that_an_item_does_not_fit_may_lack_some(may_lack, fits):
    ours = [*ROWS, *(replace(one, model="base") for one in ROWS[1:])]
    if fits:
        found = paired(ours, ours, against="base", may_lack=may_lack)
        assert (len(found.ours), found.left_out) == (3, 1)
    else:
        with pytest.raises(Unfit, match="on one side only, 3 on both"):
            paired(ours, ours, against="base", may_lack=may_lack)


def test_an_item_that_only_the_other_has_is_never_left_out():
    with pytest.raises(Unfit, match="on one side only"):
        paired(ROWS[1:], ROWS, may_lack=1.0)
