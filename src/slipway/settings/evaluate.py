"""Section `evaluate`: what is measured on held-out data."""

from typing import Annotated

from pydantic import Field, field_validator

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


class Evaluate(Settings):
    """What is measured on the test split."""

    stride: Count
    """Tokens between two scoring windows; each token sees at least sequence_length - stride before it."""
    continuation: Choice
    signature: Choice
    files: tuple[TaskFile, ...]
    """Task files; an empty list if there is none. The gate sees each as `choices.<name>.accuracy.low`."""
    bootstrap: Count = 1000
    """Resamples behind an interval of bits per byte."""

    @field_validator("files")
    @classmethod
    def _own_names(cls, files: tuple[TaskFile, ...]) -> tuple[TaskFile, ...]:
        names = ["continuation", "signature", *(file.name for file in files)]
        if repeated := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"each task needs a name of its own; {', '.join(repeated)} is taken twice")
        return files
