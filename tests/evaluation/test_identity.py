"""What must be equal for two results to be compared: each digest changes with one thing, and with that alone."""

from dataclasses import replace

import pytest

from slipway.evaluation.conversations import template
from slipway.evaluation.report import wanted
from slipway.evaluation.tasks import task
from slipway.evaluation.tasks.file import FileTask, Item
from slipway.evaluation.tasks.task import identity
from slipway.settings import Choice
from tests.evaluation.made import SETTINGS, described, material, talks

QUIZ = FileTask("quiz", "\n", tuple(Item(str(i), f"What is {i}?", ("one", "two"), i % 2) for i in range(3)))
CHAT = SETTINGS.model_copy(update={"question": Choice(items=8, prompt_tokens=30, answer_tokens=8)})


def identities(scorer, given, files=(QUIZ,), **changed):
    """Task to identity, of all tasks that can be asked."""
    made = [(one, one.make(scorer, given)) for one in wanted(given, files)]
    return {
        one.name: identity(replace(one, **changed), ready.facts, given)
        for one, ready in made
        if not isinstance(ready, task.NotAsked)
    }


@pytest.fixture(scope="module")
def held_out():
    return [*talks(12), *described(12)]


@pytest.fixture(scope="module")
def before(talking, held_out):
    found = identities(talking, material(held_out, settings=CHAT))
    assert set(found) == {"bits_per_byte", "answers", "continuation", "signature", "question", "quiz"}
    return found


def differing(before, after):
    return {name: one.differs(after[name]) for name, one in before.items()}


def test_the_same_again_differs_in_nothing(talking, held_out, before):
    after = identities(talking, material(held_out, settings=CHAT))
    assert not any(differing(before, after).values())


def test_the_version_of_slipway(talking, held_out, before, monkeypatch):
    monkeypatch.setattr(task, "__version__", "99.0.0")
    after = identities(talking, material(held_out, settings=CHAT))
    assert set(map(tuple, differing(before, after).values())) == {("harness",)}
    assert after["answers"].harness == "slipway 99.0.0"


@pytest.mark.parametrize("changed", [{"version": 2}, {"definition": "Another."}, {"name": "other"}])
def test_the_definition_of_a_task(talking, held_out, before, changed):
    after = identities(talking, material(held_out, settings=CHAT), **changed)
    assert set(map(tuple, differing(before, after).values())) == {("task",)}


def test_the_prompt_template(talking, held_out, before):
    after = identities(talking, material(held_out, settings=CHAT), template="{question}? {choice}")
    assert set(map(tuple, differing(before, after).values())) == {("prompt",)}


def test_the_tokenizer(talking, held_out, before):
    after = identities(talking, material(held_out, settings=CHAT, tokenizer_sha256="11" * 32))
    assert set(map(tuple, differing(before, after).values())) == {("tokenizer",)}


@pytest.mark.parametrize(
    ("name", "new"),
    [
        ("bits_per_byte", {"stride": 16}),
        ("continuation", {"continuation": CHAT.continuation.model_copy(update={"items": 7})}),
        ("signature", {"signature": CHAT.signature.model_copy(update={"prompt_tokens": 19})}),
        ("question", {"question": CHAT.question.model_copy(update={"choices": 3})}),
    ],
)
def test_the_settings_of_a_task(talking, held_out, before, name, new):
    after = identities(talking, material(held_out, settings=CHAT.model_copy(update=new)))
    expected = {other: [] for other in before} | {name: ["task"]}
    assert differing(before, after) == expected


def test_the_seed_counts_where_questions_are_drawn(talking, held_out, before):
    after = identities(talking, material(held_out, settings=CHAT, seed=18))
    drawn = {"continuation", "signature", "question"}
    assert differing(before, after) == {name: ["task"] if name in drawn else [] for name in before}


def test_the_number_of_resamples_does_not_count(talking, held_out, before):
    after = identities(talking, material(held_out, settings=CHAT.model_copy(update={"bootstrap": 999})))
    assert not any(differing(before, after).values())


def test_the_held_out_data(talking, held_out, before):
    after = identities(talking, material(held_out, settings=CHAT, test_sha256="22" * 32))
    assert differing(before, after) == {name: [] if name == "quiz" else ["data"] for name in before}


@pytest.mark.parametrize(
    "items",
    [
        QUIZ.items[:2],
        (replace(QUIZ.items[0], answer=1), *QUIZ.items[1:]),
        (replace(QUIZ.items[0], choices=("one", "three")), *QUIZ.items[1:]),
        (replace(QUIZ.items[0], question="Who?"), *QUIZ.items[1:]),
        (replace(QUIZ.items[0], item="9"), *QUIZ.items[1:]),
        (replace(QUIZ.items[0], choices=("one", "two", "three")), *QUIZ.items[1:]),
    ],
)
def test_the_items_of_a_file(talking, held_out, before, items):
    after = identities(talking, material(held_out, settings=CHAT), files=[replace(QUIZ, items=items)])
    assert differing(before, after) == {name: ["data"] if name == "quiz" else [] for name in before}


def test_what_stands_between_question_and_choice(talking, held_out, before):
    after = identities(talking, material(held_out, settings=CHAT), files=[replace(QUIZ, between=" ")])
    assert differing(before, after)["quiz"] == ["prompt"]


def test_the_chat_template_counts_where_one_is_asked_through_it(talking, held_out, before, monkeypatch):
    other = talking.tokenizer.chat_template.replace("assistant", "assistant ").replace("assistant \\n", "assistant\\n")
    monkeypatch.setattr(talking.tokenizer, "chat_template", other + "{# other #}")
    assert template(talking).sha256 != before["answers"].chat_template
    after = identities(talking, material(held_out, settings=CHAT))
    chat = {"answers", "question"}
    assert differing(before, after) == {name: ["chat_template"] if name in chat else [] for name in before}
    assert {one.chat_template for name, one in before.items() if name not in chat} == {"none"}


def test_own_tasks_show_no_examples_and_generate_nothing(before):
    assert {(one.few_shot, one.decoding) for one in before.values()} == {("none", "likelihood")}
