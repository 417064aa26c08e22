"""Questions out of a task file: as they stand, of any number of choices, and refused by name if they are none."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from slipway.errors import UserError
from slipway.evaluation.tasks.choice import scores
from slipway.evaluation.tasks.file import FileTask, Item, note, questions, read, task
from slipway.evaluation.tasks.task import NotAsked
from tests.evaluation.made import described, material

ROW = {"item": "0", "question": "What sorts?", "choices": ["sort", "sum"], "answer": 0}


def write(path, *rows):
    schema = pa.schema(
        [("item", pa.string()), ("question", pa.string()), ("choices", pa.list_(pa.string())), ("answer", pa.int64())]
    )
    pq.write_table(pa.Table.from_pylist(list(rows), schema=schema), path)
    return path


def test_a_file_is_read_as_it_stands(tmp_path):
    path = write(tmp_path / "quiz.parquet", ROW, ROW | {"item": "1", "choices": ["a", "b", "a"], "answer": 2})
    assert read(path, "quiz", " ").items == (
        Item("0", "What sorts?", ("sort", "sum"), 0),
        Item("1", "What sorts?", ("a", "b", "a"), 2),
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"question": ""}, "needs a question"),
        ({"question": None}, "needs a question"),
        ({"choices": ["only"]}, "at least two choices"),
        ({"choices": ["a", ""]}, "none of them empty"),
        ({"choices": None}, "at least two choices"),
        ({"answer": 2}, "numbered 0 to 1"),
        ({"answer": -1}, "numbered 0 to 1"),
        ({"answer": None}, "has answer None"),
    ],
)
def test_an_item_that_is_no_question_is_named(tmp_path, change, words):
    path = write(tmp_path / "quiz.parquet", ROW, ROW | {"item": "bad"} | change)
    with pytest.raises(UserError, match=rf"quiz\.parquet:2: item 'bad' .*{words}"):
        read(path, "quiz", "\n")


@pytest.mark.parametrize(
    ("between", "prompt", "choice"), [("\n", "What sorts?\n", "sort"), (" ", "What sorts?", " sort")]
)
def test_spaces_between_belong_to_the_choice(scorer, between, prompt, choice):
    (made,) = questions(scorer, FileTask("quiz", between, (Item("0", "What sorts?", ("sort", "sum"), 1),)), 64)
    assert scorer.decode(made.prompt) == prompt
    assert scorer.decode(made.choices[0]) == choice
    assert made.right == 1


def test_a_choice_longer_than_the_context_is_named_and_a_long_question_loses_its_beginning(scorer):
    long = "value index " * 80
    brought = FileTask("quiz", "\n", (Item("a", "What?", ("x", "y"), 0), Item("b", long, ("x", "y", "z"), 0)))
    made = questions(scorer, brought, 64)
    assert "2 to 3 choices" in note(brought, made, 64)
    assert "1 of 2 lost their beginning" in note(brought, made, 64)
    assert [len(own) for own in scores(scorer, made)] == [2, 3]
    with pytest.raises(UserError, match=r"task quiz, item 'c': a choice of .* tokens does not fit"):
        questions(scorer, FileTask("quiz", "\n", (Item("c", "What?", ("x", long), 0),)), 64)


def test_questions_that_ask_the_same_are_one_family(scorer):
    items = tuple(Item(str(i), f"What is {i // 2}?", ("sort", "sum"), 0) for i in range(4))
    made = task(FileTask("quiz", "\n", items)).make(scorer, material(described(4)))
    families = [one.family for one in made.questions["template"]]
    assert families[0] == families[1] != families[2] == families[3]


def test_a_file_without_questions_is_not_asked(scorer):
    made = task(FileTask("empty", "\n", ())).make(scorer, material(described(4)))
    assert made == NotAsked("its file holds no question")
