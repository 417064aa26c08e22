"""Which answer belongs to this question? Asked through the template, or in plain form of a base."""

import pytest

from slipway.errors import UserError
from slipway.evaluation.tasks import question
from slipway.evaluation.tasks.task import NotAsked
from slipway.settings import Choice
from tests.evaluation.made import SETTINGS, described, material, talk, talks

ASKED = SETTINGS.model_copy(update={"question": Choice(items=9, prompt_tokens=30, answer_tokens=8)})


def made(scorer, test, settings=ASKED):
    return question.make(scorer, material(test, settings=settings))


def test_questions_are_rendered_as_in_training_and_wrong_answers_come_from_other_families(talking):
    test = talks(30)
    found = made(talking, test)
    decode = talking.tokenizer.decode
    by_item = {document.id: document for document in test}
    assert len(found.questions["template"]) == 9
    for one in found.questions["template"]:
        document = by_item[one.item.partition("#")[0]]
        said, answer = document.text.split("\n\n")
        assert decode(one.prompt).endswith(f"{said}<|im_end|>\n<|im_start|>assistant\n")
        assert decode(one.lead) == "<|im_start|>assistant\n"
        assert one.family == document.family
        shown = [decode(choice) for choice in one.choices]
        assert (answer + "<|im_end|>").startswith(shown[one.right])
        for number, text in enumerate(shown):
            owners = {other.family for other in test if (other.text.split("\n\n")[1] + "<|im_end|>").startswith(text)}
            assert (owners - {document.family}) or number == one.right


def test_the_plain_form_puts_the_same_questions(talking):
    found = made(talking, talks(30))
    for one, other in zip(found.questions["template"], found.questions["plain"], strict=True):
        assert (one.item, one.right) == (other.item, other.right)
        shown = talking.tokenizer.decode([*other.prompt, *(token for some in other.choices for token in some)])
        assert "<|im_" not in shown
        assert other.lead == ()


def test_a_long_conversation_keeps_its_end_and_a_long_answer_its_beginning(talking):
    test = [talk(i, [["user", f"{w} " * 60], ["assistant", f"{w} index " * 30]]) for i, w in enumerate(
        ["array", "axis", "value", "sort", "shape", "matrix", "number", "input"])]  # fmt: skip
    for one in made(talking, test).questions["template"]:
        assert len(one.prompt) == 30
        assert one.prompt[-len(one.lead) :] == one.lead
        assert {len(choice) for choice in one.choices} == {8}


def test_items_name_task_and_family_and_are_the_same_twice(talking):
    found = made(talking, talks(30))
    items = found.ask(talking, "model", "template", lambda *_: None)
    assert items == found.ask(talking, "model", "template", lambda *_: None)
    assert {(item.task, item.model, item.weight, len(item.scores)) for item in items} == {("question", "model", 1.0, 4)}
    assert [found.facts.groups[item.item] for item in items] == [
        f"made/{'ab'[int(item.item[1:4]) % 2]}" for item in items
    ]


def test_why_it_cannot_be_asked_is_said(talking, scorer):
    assert made(scorer, talks(8)) == NotAsked("the tokenizer has no chat template")
    few = made(talking, [*talks(4), *described(4)])
    assert few.reason == (
        "the test split holds 4 answers of conversations; a question needs 4 of different families that differ"
    )
    with pytest.raises(UserError, match=r"evaluate\.question is null"):
        made(talking, talks(8), SETTINGS)
