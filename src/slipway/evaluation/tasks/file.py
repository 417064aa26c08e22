"""Multiple choice from a file: the tasks that a person brings, in `data/tasks/<name>.parquet`.

These are the very files that `prepare` takes out of the training data, so what is measured here was not learnt
by heart. Questions may have different numbers of choices; every item of the file is asked, none is drawn.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slipway.errors import UserError
from slipway.evaluation.tasks.choice import Asks, Question


@dataclass(frozen=True, slots=True)
class Item:
    """One question as its file states it."""

    item: str
    question: str
    choices: tuple[str, ...]
    answer: int
    """Index of the right choice, from 0."""


@dataclass(frozen=True, slots=True)
class FileTask:
    """A task file, read and checked."""

    name: str
    between: str
    """What stands between question and choice."""
    items: tuple[Item, ...]


def read(path: Path, name: str, between: str) -> FileTask:
    """The task in `path`, a table with columns item, question, choices and answer.

    Raises:
        UserError: naming file and row of an item that is no question: an empty question or choice, fewer than two
            choices, or an answer that is none of them.
    """
    import pyarrow.parquet as pq

    rows = pq.read_table(path, columns=["item", "question", "choices", "answer"]).to_pylist()
    return FileTask(name, between, tuple(_item(row, f"{path}:{number}") for number, row in enumerate(rows, 1)))


def _item(row: dict[str, Any], where: str) -> Item:
    question, choices, answer = row["question"], row["choices"] or [], row["answer"]
    if not question or len(choices) < 2 or not all(choices):
        raise UserError(
            f"{where}: item {row['item']!r} needs a question and at least two choices, none of them empty; "
            "mend the task file"
        )
    if answer is None or not 0 <= answer < len(choices):
        raise UserError(
            f"{where}: item {row['item']!r} has answer {answer}, but its choices are numbered 0 to {len(choices) - 1}; "
            "mend the task file"
        )
    return Item(str(row["item"]), question, tuple(choices), answer)


def questions(scorer: Asks, task: FileTask, context: int) -> list[Question]:
    """Every item in tokens, in the file's order.

    Spaces at the end of `between` begin the choice, as they begin a word inside running text.

    Raises:
        UserError: naming the first item with a choice that does not fit a context of `context` tokens.
    """
    before = task.between.rstrip(" ")
    lead = task.between[len(before) :]
    prompts = scorer.encode([item.question + before for item in task.items])
    choices = iter(scorer.encode([lead + choice for item in task.items for choice in item.choices]))
    made = []
    for item, prompt in zip(task.items, prompts, strict=True):
        options = tuple(tuple(next(choices)) for _ in item.choices)
        if (longest := max(map(len, options))) >= context:
            raise UserError(
                f"task {task.name}, item {item.item!r}: a choice of {longest} tokens does not fit the context of "
                f"{context} tokens; raise train.sequence_length, or take the item out of the file"
            )
        made.append(Question(item.item, tuple(prompt), options, item.answer))
    return made


def definition(task: FileTask, asked: Sequence[Question], context: int) -> str:
    """How the questions were asked, in words for the report."""
    # `question_rows` keeps this many tokens of separator and prompt beside the longest choice.
    cut = sum(1 + len(one.prompt) > context - max(map(len, one.choices)) + 1 for one in asked)
    sizes = sorted({len(one.choices) for one in asked})
    among = f"{sizes[0]}" if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]}"
    text = f"Every question of the task file {task.name}, as it stands there, each with {among} choices; "
    text += f"{task.between!r} stands between question and choice."
    return f"{text} {cut} of {len(asked)} lost their beginning to fit the context." if cut else text
