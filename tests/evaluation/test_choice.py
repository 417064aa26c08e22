"""Choices are scored as defined, whatever they are, and judged by what they say."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipway.evaluation.tasks.choice import Choices, Question, chance, judged, scores
from slipway.evaluation.tasks.task import SHOWN, Facts


class Rigged:
    """A scorer whose likelihoods are written down: after a prompt, and alone."""

    separator = 0

    def __init__(self, given, alone):
        self.replies, self.asked = [given, alone], []

    def loglikelihoods(self, prompts, choices, progress):
        self.asked.append((list(prompts), [list(some) for some in choices]))
        reply = self.replies.pop(0)
        progress(1, 1)
        return [reply[: len(some)] for some in choices]


def question(choices, right=0, lead=()):
    return Question("d", "f", (7, 8), tuple(choices), right, lead)


def test_a_choice_that_is_likely_anywhere_gains_nothing():
    one = question([(1,), (2,), (3,)], 1)
    rigged = Rigged([-1.0, -4.0, -9.0], [-0.5, -6.0, -9.0])
    (own,) = scores(rigged, [one])
    assert own.tolist() == [-0.5, 2.0, 0.0]
    item = judged(one, own, "quiz", "model")
    assert (item.picked, item.right, item.value, item.weight) == (1, 1, 1.0, 1.0)
    assert item.scores == (-0.5, 2.0, 0.0)
    assert rigged.asked[0][0] == [(0, 7, 8)]
    assert rigged.asked[1][0] == [(0,)]


def test_alone_a_choice_is_scored_once_however_often_it_stands_in_a_question():
    rigged = Rigged([-1.0, -2.0], [-3.0, -4.0, -5.0])
    made = [question([(1,), (2,)]), question([(2,), (3,)]), question([(3,), (1,)])]
    found = scores(rigged, made)
    assert rigged.asked[1][1] == [[(1,), (2,), (3,)]]
    assert [own.tolist() for own in found] == [[2.0, 2.0], [3.0, 3.0], [4.0, 1.0]]


def test_alone_a_choice_stands_after_what_begins_any_answer(scorer):
    prompt, lead, good, bad = scorer.encode(["Sort the array.", "value", "index", "axis axis"])
    one = Question("d", "f", tuple(prompt), (tuple(good), tuple(bad)), 0, tuple(lead))
    ((a, b),) = scorer.loglikelihoods([[scorer.separator, *prompt]], [[good, bad]])
    ((c, d),) = scorer.loglikelihoods([[scorer.separator, *lead]], [[good, bad]])
    assert scores(scorer, [one])[0] == pytest.approx([a - c, b - d], abs=1e-4)


def test_choices_that_begin_alike_or_are_empty_are_scored_each_on_its_own(scorer):
    prompt, whole = scorer.encode(["Sort the", " array axis value index"])
    choices = (tuple(whole[:1]), tuple(whole[:2]), tuple(whole), ())
    (own,) = scores(scorer, [Question("d", "f", tuple(prompt), choices, 0)])
    for choice, score in zip(choices, own, strict=True):
        ((after, *_),) = scorer.loglikelihoods([[scorer.separator, *prompt]], [[choice]])
        ((alone, *_),) = scorer.loglikelihoods([[scorer.separator]], [[choice]])
        assert score == pytest.approx(after - alone, abs=1e-4)
    assert own[-1] == 0


def test_a_tie_goes_to_the_first_choice_unless_both_say_the_same():
    assert judged(question([(1,), (2,)], 1), np.zeros(2), "quiz", "model").value == 0
    same = judged(question([(1,), (2,), (1,)], 2), np.array([1.0, 0.0, 1.0]), "quiz", "model")
    assert (same.picked, same.value) == (2, 1.0)


@given(st.lists(st.integers(2, 9), min_size=1, max_size=40))
def test_chance_is_what_guessing_gets_on_average(sizes):
    measure = chance([question([(i,) for i in range(size)]) for size in sizes])
    assert measure.value == pytest.approx(sum(1 / size for size in sizes) / len(sizes), abs=1e-6)
    assert measure.low is None


def test_the_worst_are_the_wrong_answers_that_won_by_most(scorer):
    (text,) = scorer.encode(["value " * 200])
    made = [Question(f"d{i}", f"f{i}", tuple(text), ((1, 2), (3, 4)), 0) for i in range(9)]
    items = [judged(one, np.array([0.0, i - 2.0]), "quiz", "model") for i, one in enumerate(made)]
    found = Choices(Facts("quiz", {}, "d"), {"template": made}).worst(scorer, items)
    assert [(one.item, one.value) for one in found] == [("d8", 6), ("d7", 5), ("d6", 4), ("d5", 3), ("d4", 2)]
    assert (found[0].expected, found[0].given) == (scorer.decode((1, 2)), scorer.decode((3, 4)))
    assert len(found[0].prompt) == SHOWN + 1
