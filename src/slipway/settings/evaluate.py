"""Section `evaluate`: what is measured on held-out data."""

from typing import Annotated

from pydantic import Field, model_validator

from slipway.settings.base import Count, Name, Settings


class Choice(Settings):
    """A multiple-choice task made from held-out documents."""

    items: Count
    """Questions at most."""
    choices: Annotated[int, Field(ge=2)] = 4
    prompt_tokens: Count
    """Tokens of the prompt at most."""
    answer_tokens: Count
    """Tokens of each choice at most."""


class TaskFile(Settings):
    """A multiple-choice task: JSON lines, one question each. Training data is cleaned of these very items."""

    name: Name
    path: str
    """As a source's path: local, `s3://…` or `hf://datasets/…`; one file."""
    licence: str
    """SPDX expression."""
    question_column: str = "question"
    choices_column: str = "choices"
    """List of strings."""
    answer_column: str = "answer"
    """Index of the right choice, from 0."""
    between: str = "\n"
    """What stands between question and choice: a line end, or a space where the choice ends the question's sentence."""


class HarnessTask(Settings):
    """A task of lm-evaluation-harness: one of the installed ones, or a YAML file in `tasks/` of the project."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,100}$")]
    few_shot: Annotated[int, Field(ge=0)] | None = None
    """Examples shown before each item; null for what the task itself says."""
    limit: Count | None = None
    """Items at most, from the beginning; null for all."""
    seeds: Annotated[tuple[int, ...], Field(min_length=1)] = (17,)
    """Of few-shot choice and sampled generation; a task that samples is asked once for each."""
    chat: bool = False
    """Ask through the chat template."""
    metric: str | None = None
    """The figure that stands for the task, e.g. `acc_norm`; null for the first one that the task names."""


OWN_TASKS = ("bits_per_byte", "answers", "continuation", "signature", "question")


class Evaluate(Settings):
    """What is measured on the test split."""

    stride: Count
    """Tokens between two scoring windows; each token sees at least sequence_length - stride before it."""
    continuation: Choice
    signature: Choice
    files: tuple[TaskFile, ...]
    """Task files; an empty list if there is none. The gate sees each as `tasks.<name>.measure.low`."""
    question: Choice | None = None
    """Which answer belongs to this question? Asked of held-out conversations, with the chat template."""
    harness: tuple[HarnessTask, ...] = ()
    """Tasks of lm-evaluation-harness; it must be installed: `pip install -e .[harness]`."""
    bootstrap: Count = 1000
    """Resamples behind an interval."""

    @model_validator(mode="after")
    def _own_names(self) -> "Evaluate":
        names = [*OWN_TASKS, *(task.name for task in self.files), *(task.name for task in self.harness)]
        if repeated := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"each task needs a name of its own; {', '.join(repeated)} is taken twice")
        return self
