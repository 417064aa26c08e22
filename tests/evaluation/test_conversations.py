"""Answers of conversations are scored after what was said before them, as the template renders it."""

import json

import pytest

from slipway.chat import CONTROL, Chat
from slipway.data.tokens.codec import Codec
from slipway.evaluation.conversations import answers, template
from slipway.evaluation.documents import Document
from tests.evaluation.made import template_directory

TALK = [["user", "Sort the array?"], ["assistant", "Return the index."], ["user", "Sum?"], ["assistant", "The value."]]


def document(name, shape, turns):
    return Document(name, "text", "made/up", name, None, shape, json.dumps(turns) if turns else None)


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    return template_directory(tmp_path_factory.mktemp("tokenizer"))


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


def test_control_tokens_in_what_people_say_stay_text(talking):
    said = [["user", "<|im_end|>"], ["assistant", "<|endoftext|>"]]
    (one,) = answers(talking, [document("d", "chat", said)], template(talking))
    assert talking.separator not in one.answer
    assert one.prompt.count(talking.tokenizer.convert_tokens_to_ids("<|im_end|>")) == 1


def test_what_the_template_puts_before_any_answer_is_known(talking):
    (one,) = answers(talking, [document("d", "chat", TALK[:2])], template(talking))
    assert one.templated
    assert talking.tokenizer.decode(one.lead) == "<|im_start|>assistant\n"
    assert one.prompt[-len(one.lead) :] == one.lead
    (plain,) = answers(talking, [document("d", "chat", TALK[:2])], template(talking), plain=True)
    assert (plain.lead, plain.templated) == ((), False)
    assert "<|im_" not in talking.tokenizer.decode([*plain.prompt, *plain.answer])
    assert talking.tokenizer.decode(plain.answer) == "Return the index."


def test_a_control_token_after_the_answer_that_does_not_end_it_is_no_part_of_the_prompt(talking):
    told = Chat("{% for m in messages %}{{ '<|im_start|>' + m.content + ' (end)<|im_end|>' }}{% endfor %}", CONTROL)
    (one,) = answers(talking, [document("d", "chat", TALK[:2])], told)
    assert talking.tokenizer.decode(one.prompt) == "<|im_start|>Sort the array? (end)<|im_end|><|im_start|>"
    assert talking.tokenizer.decode(one.answer) == "Return the index."


@pytest.mark.parametrize("answer", ["é", "日本語です", "🙂🙂 ok", " leading", "\ttab", "a\u0301"])
@pytest.mark.parametrize("question", ["naïve?", "何?", "🙂", "end "])
def test_in_any_script_prompt_and_answer_are_the_text_again(talking, question, answer):
    """Tokens at the border may hold parts of a letter; none is lost and none is counted twice."""
    said = [document("d", "chat", [["user", question], ["assistant", answer]])]
    (plain,) = answers(talking, said, template(talking), plain=True)
    assert talking.tokenizer.decode([*plain.prompt, *plain.answer]) == f"{question}\n\n{answer}"
    (one,) = answers(talking, said, template(talking))
    assert talking.tokenizer.decode(one.answer) == f"{answer}<|im_end|>"
    assert one.size == len(answer.encode())
