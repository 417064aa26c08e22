"""Multiple choice from a file: the tasks that a person brings, in `data/tasks/<name>.parquet`.

These are the very files that `prepare` takes out of the training data, so what is measured here was not learnt
by heart. Questions may have different numbers of choices; every item of the file is asked, none is drawn.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slipway.errors import UserError
from slipway.evaluation.tasks.choice import SCORE, Choices, Question
from slipway.evaluation.tasks.task import Facts, Material, NotAsked, Task, digest, prompt_digest

if TYPE_CHECKING:
    from slipway.evaluation.scoring import Scorer


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


def questions(scorer: "Scorer", task: FileTask, context: int) -> list[Question]:
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
        # Items that ask the same are no independent evidence.
        family = prompt_digest(prompt)
        made.append(Question(item.item, family, tuple(prompt), options, item.answer))
    return made


def note(brought: FileTask, asked: Sequence[Question], context: int) -> str:
    """What the file's questions are like, and how many were cut, in words."""
    sizes = sorted({len(one.choices) for one in asked})
    among = f"{sizes[0]}" if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]}"
    text = f"Each has {among} choices; {brought.between!r} stands between question and choice."
    # `question_rows` keeps this many tokens of separator and prompt beside the longest choice.
    lost = sum(1 + len(one.prompt) > context - max(map(len, one.choices)) + 1 for one in asked)
    return f"{text} {lost} of {len(asked)} lost their beginning to fit the context." if lost else text


def task(brought: FileTask) -> Task:
    """A task file as a task like the others."""

    def make(scorer: "Scorer", _: Material) -> Choices | NotAsked:
        if not brought.items:
            return NotAsked("its file holds no question")
        made = questions(scorer, brought, scorer.context)
        data = digest([asdict(item) for item in brought.items])
        return Choices(Facts(brought.name, {}, data, note=note(brought, made, scorer.context)), {"template": made})

    return Task(
        name=brought.name,
        version=1,
        definition=f"Every question of the task file {brought.name}, as it stands there. {SCORE}",
        template=f"{{end of text}}{{question}}{brought.between}{{choice}}",
        make=make,
    )
