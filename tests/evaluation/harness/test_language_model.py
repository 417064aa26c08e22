"""The harness's own `hf` backend and ours give the same answers to every kind of request."""

from types import SimpleNamespace

import pytest

from slipway.evaluation.harness.language_model import CannotAnswerError, LanguageModel
from slipway.evaluation.scoring import Scorer


@pytest.fixture(scope="module")
def theirs(model, talking):
    from lm_eval.models.huggingface import HFLM

    return HFLM(pretrained=model, tokenizer=talking, batch_size=3, max_length=64)


@pytest.fixture(scope="module")
def ours(model, talking):
    return LanguageModel(Scorer(model, talking, context=64))


def asked(*arguments) -> list[SimpleNamespace]:
    return [SimpleNamespace(args=one, task_name="t") for one in arguments]


BORDERS = [
    ("The array", " of the"),
    ("The array ", "of the"),  # the space goes to the continuation
    ("The array  \n ", "of"),
    ("The array", "of the"),  # no space at all
    ("", "of the array"),
    ("", "<|endoftext|>of the array"),
    ("<|endoftext|>The", " array"),  # begins like a text already
    ("Was ist 数", "é? 🜁"),
    ("数", "数"),
    ("The array", " of"),
    ("The array", " of the index"),  # begins with the one before
    ("sort " * 80, "of the"),  # too long: loses its beginning
    ("sort " * 80, "of the index of a shape of a number"),
    ("a", " value" * 64),  # as long as the model sees
]


@pytest.mark.parametrize("start", [0, 7])
def test_continuations_score_alike_at_every_kind_of_border(theirs, ours, start):
    requests = asked(*BORDERS[start:])
    found, expected = ours.loglikelihood(requests), theirs.loglikelihood(requests, disable_tqdm=True)
    for pair, one, other in zip(BORDERS[start:], found, expected, strict=True):
        assert one[0] == pytest.approx(other[0], abs=1e-4), pair
        assert one[1] is other[1], pair


def test_a_context_of_spaces_is_that_of_a_text_without_one(ours):
    """`hf` stops at an assertion here."""
    spaces, none = ours.loglikelihood(asked(("   ", "array"), ("", "   array")))
    assert spaces == none


def test_what_greedy_decoding_writes_is_greedy(model, talking, theirs, ours):
    written = ours.generate_until(asked(("The array of", {"until": [], "max_gen_toks": 6})))[0]
    requests = asked(("The array of", written), ("The array of", written + "x"))
    found, expected = ours.loglikelihood(requests), theirs.loglikelihood(requests, disable_tqdm=True)
    assert [one[1] for one in found] == [one[1] for one in expected]


@pytest.mark.parametrize("length", [0, 1, 30, 63, 64, 65, 300])
def test_whole_texts_score_alike(theirs, ours, length):
    requests = asked((" ".join(["index"] * length),), ("Was ist 数é?",))
    found, expected = ours.loglikelihood_rolling(requests), theirs.loglikelihood_rolling(requests, disable_tqdm=True)
    assert found == pytest.approx(expected, abs=1e-3)


def test_generations_are_alike(theirs, ours):
    kwargs = [
        {"until": ["."], "max_gen_toks": 20},
        {"until": ["e", "of the"], "max_gen_toks": 9},
        {"until": "\n", "max_gen_toks": 1, "do_sample": False, "temperature": 0.0},
    ]
    contexts = ["The array", "sort " * 80, "Was ist 数é? ", "a", "<|endoftext|>The"]
    requests = asked(*((context, dict(one)) for one in kwargs for context in contexts))
    again = asked(*((context, dict(one)) for one in kwargs for context in contexts))
    assert ours.generate_until(requests) == theirs.generate_until(again, disable_tqdm=True)


def test_a_top_k_of_0_leaves_nothing_out(ours):
    kwargs = {"until": [], "max_gen_toks": 8, "do_sample": True, "temperature": 1.0}
    assert ours.generate_until(asked(("The", kwargs | {"top_k": 0}))) == ours.generate_until(asked(("The", kwargs)))


def test_a_conversation_is_rendered_alike(theirs, ours):
    talk = [{"role": "user", "content": "sort"}, {"role": "assistant", "content": "The index"}]
    for prompted in (True, False):
        history = talk if not prompted else talk[:1]
        assert ours.apply_chat_template(history, prompted) == theirs.apply_chat_template(history, prompted)


def test_draws_follow_the_seed_and_the_request_alone(model, talking):
    requests = [("The", {"do_sample": True, "temperature": 0.8, "max_gen_toks": 8}), ("sort", {"max_gen_toks": 8})]
    scorer = Scorer(model, talking, context=64)
    first = LanguageModel(scorer, 1).generate_until(asked(*requests, requests[0]))
    assert LanguageModel(scorer, 1).generate_until(asked(requests[0])) == first[:1]
    assert first[2] != first[0]
    assert LanguageModel(scorer, 2).generate_until(asked(requests[0])) != first[:1]


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda model: model.loglikelihood(asked(("The", ""))), "'' has no tokens"),
        (lambda model: model.loglikelihood(asked(("The", " array" * 200))), "does not fit a context of 64"),
        (lambda model: model.generate_until(asked(("The", {"max_gen_toks": 64}))), "up to 64 tokens.*set max_gen_toks"),
        (lambda model: model.generate_until(asked(("The", {"num_beams": 4}))), "num_beams is 4; only greedy"),
    ],
)
def test_what_cannot_be_answered_is_said(ours, ask, message):
    with pytest.raises(CannotAnswerError, match=message):
        ask(ours)
