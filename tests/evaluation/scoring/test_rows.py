"""Choices of one question as branches of one row: those that begin alike share their beginning."""

import itertools

import numpy as np
import pytest

from slipway.evaluation.scoring.rows import question_rows

CHOICES = [[5, 6, 7, 8], [5, 6, 9], [4], [5, 6], [5, 6, 7, 8], [], [5, 2, 3], [4, 4, 4]]


def seen(row):
    """Which tokens each token of the row sees, as the mask has it."""
    ends, here = np.array(row.ends), np.arange(len(row.tokens))
    return ((ends == 0) | (here[:, None] < ends)) & (here[:, None] >= here)


def test_every_scored_place_sees_its_own_text_and_nothing_else():
    rows = list(question_rows([1, 2, 3], CHOICES, 10, context=64, row_tokens=128))
    assert len(rows) == 1
    (row,) = rows
    mask, spelt = seen(row), {}
    for place, target, slot in zip(row.scored, row.targets, row.slots, strict=True):
        text = [row.tokens[other] for other in np.flatnonzero(mask[place])]
        assert [row.depths[other] for other in np.flatnonzero(mask[place])] == list(range(len(text)))
        assert text == [1, 2, 3, *spelt.setdefault(slot, [])]
        spelt[slot].append(target)
    assert spelt == {slot: choice for slot, choice in enumerate(CHOICES, 10) if choice}


def test_what_choices_begin_with_is_fed_once():
    (row,) = question_rows([1], [[5, 6, 7, 8], [5, 6, 9, 8], [5, 6, 7, 9]], 0, context=64, row_tokens=128)
    assert sorted(row.tokens) == [1, 5, 6, 7, 9]
    fills = [list(own) for own in itertools.product(range(2, 6), repeat=4)]
    rows = list(question_rows([1], fills, 0, context=64, row_tokens=128))
    # 4 + 16 + 64 beginnings instead of 3 * 256 tokens, but for what rows repeat.
    assert sum(len(row.tokens) for row in rows) < 120


def test_a_row_does_not_grow_without_bound():
    fills = [list(own) for own in itertools.product(range(2, 12), repeat=3)]
    rows = list(question_rows([1] * 8, fills, 0, context=4096, row_tokens=8192))
    assert max(len(row.tokens) for row in rows) <= 4 * 8 + 3 + 64


@pytest.mark.parametrize("row_tokens", [0, 12, 128])
def test_scores_are_those_of_each_text_alone(scorer, row_tokens):
    """Whatever shares a row, log p of a choice is what the model gives for prompt and choice by themselves."""
    texts = ["26008426", "26008427", "2600", "26", "9", "26008426!"]
    prompt, *choices = scorer.encode(["The code is ", *texts])
    shared = scorer.loglikelihoods([[0, *prompt]], [choices])[0]
    alone = [scorer.loglikelihoods([[0, *prompt]], [[choice]])[0][0] for choice in choices]
    assert shared == pytest.approx(alone, abs=1e-4)
    rows = list(question_rows([0, *prompt], choices, 0, scorer.context, row_tokens))
    assert sorted({slot for row in rows for slot in row.slots}) == list(range(len(choices)))
