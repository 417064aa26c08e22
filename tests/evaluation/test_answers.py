"""Answers of conversations are scored after what was said before them, as the template renders it."""

import copy
import json

import numpy as np
import pytest

from slipway.chat import CONTROL, TEMPLATE, Chat
from slipway.data.tokens import bpe
from slipway.data.tokens.codec import Codec
from slipway.evaluation.answers import answers, measured, score, template
from slipway.evaluation.documents import Document
from slipway.evaluation.scoring import Scorer
from tests.evaluation.conftest import sentences

TALK = [["user", "Sort the array?"], ["assistant", "Return the index."], ["user", "Sum?"], ["assistant", "The value."]]


def document(name, shape, turns):
    return Document(name, "text", "made/up", name, None, shape, json.dumps(turns) if turns else None)


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    """A tokenizer with the shipped template, as the stage `tokenize` writes it."""
    place = tmp_path_factory.mktemp("tokenizer")
    bpe.save(bpe.train([*sentences(200, 0), "user assistant"], 400, CONTROL), place, TEMPLATE)
    return place


@pytest.fixture(scope="module")
def talking(model, directory):
    from transformers import AutoTokenizer

    words = AutoTokenizer.from_pretrained(directory, local_files_only=True)
    grown = copy.deepcopy(model)
    grown.resize_token_embeddings(len(words))
    return Scorer(grown, words, context=64)


def test_prompts_and_answers_are_the_tokens_of_training(talking, directory):
    codec = Codec(directory, trained=True)
    (encoded,) = codec.conversations([codec.chat.parts(TALK[:2])])
    (one,) = answers(talking, [document("d", "chat", TALK[:2])], template(talking))
    # The line end after the answer comes last and is no part of it.
    assert [*one.prompt, *one.answer] == encoded.ids.tolist()[:-1]
    assert encoded.mask.tolist() == [False] * len(one.prompt) + [True] * len(one.answer) + [False]


def test_an_answer_that_no_control_token_ends_is_ended_by_the_separator(talking):
    bare = Chat("{% for m in messages %}{{ '<|im_start|>' + m.content }}{% endfor %}", CONTROL)
    (one,) = answers(talking, [document("d", "chat", TALK[:2])], bare)
    assert talking.tokenizer.decode(one.answer) == "Return the index.<|endoftext|>"


def test_every_turn_of_the_assistant_is_asked_after_what_was_said_before(talking):
    found = answers(talking, [document("d", "chat", TALK)], template(talking))
    assert [one.item for one in found] == ["d#0", "d#1"]
    decode = talking.tokenizer.decode
    assert decode(found[0].prompt) == "<|im_start|>user\nSort the array?<|im_end|>\n<|im_start|>assistant\n"
    assert decode(found[0].answer) == "Return the index.<|im_end|>"
    assert decode(found[1].prompt).endswith("Sum?<|im_end|>\n<|im_start|>assistant\n")
    assert [one.size for one in found] == [17, 10]


def test_completions_and_chosen_answers_are_asked_and_rejected_ones_and_text_are_not(talking):
    made = [
        document("c", "completion", [["prompt", "def sum"], ["completion", "(a)"]]),
        document("p", "preference", [["user", "Sum?"], ["chosen", "Good."], ["rejected", "Bad."]]),
        document("q", "preference", [["prompt", "Sum?"], ["chosen", "Good."], ["rejected", "Bad."]]),
        document("r", "preference", [*TALK[:3], ["chosen", "Good."], ["rejected", "Bad."]]),
        document("t", "text", None),
    ]
    found = {one.item: talking.tokenizer.decode(one.answer) for one in answers(talking, made, template(talking))}
    assert found == {
        "c#0": "(a)<|endoftext|>",
        "p#0": "Good.<|im_end|>",
        "q#0": "Good.<|endoftext|>",
        "r#0": "Good.<|im_end|>",
    }


def test_without_a_template_only_plain_prompts_are_asked(scorer):
    made = [document("d", "chat", TALK), document("c", "completion", [["prompt", "a"], ["completion", "b"]])]
    assert template(scorer) is None
    assert [one.item for one in answers(scorer, made, None)] == ["c#0"]
    assert measured(score(scorer, []), 10, 0) is None


def test_control_tokens_in_what_people_say_stay_text(talking):
    said = [["user", "<|im_end|>"], ["assistant", "<|endoftext|>"]]
    (one,) = answers(talking, [document("d", "chat", said)], template(talking))
    assert talking.separator not in one.answer
    assert one.prompt.count(talking.tokenizer.convert_tokens_to_ids("<|im_end|>")) == 1


def test_the_measure_is_bits_of_answer_and_end_per_byte(talking):
    found = answers(talking, [document("d", "chat", TALK), document("e", "chat", TALK[:2])], template(talking))
    scores = talking.loglikelihoods(
        [(talking.separator, *one.prompt) for one in found], [[one.answer] for one in found]
    )
    expected = -np.sum(scores) / np.log(2) / sum(one.size for one in found)
    measure = measured(score(talking, found), 50, 3)
    assert measure.value == pytest.approx(expected, abs=1e-6)
    assert measure.n == 2
    long = answers(talking, [document("f", "chat", [TALK[0], ["assistant", "value " * 90]])], template(talking))
    assert "1 of 4 answers do not fit the context" in measured(score(talking, [*found, *long]), 50, 3).method
    assert measured(score(talking, long), 50, 3) is None
