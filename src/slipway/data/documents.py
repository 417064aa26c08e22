"""The document: what every source yields and every later step reads, as one row of a table.

A conversation, a prompt with its completion and a preference pair are documents too: their `turns` say who
says what, and their `text` is the contents of the turns with an empty line between, so that whatever looks
at text (contract, deduplication, decontamination) needs to know nothing of turns.
"""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import pyarrow as pa

BETWEEN = "\n\n"


class Turn(NamedTuple):
    """One contribution to a conversation."""

    role: str
    """`system`, `user`, `assistant` or `tool`; `prompt` and `completion`; `chosen` and `rejected` after a prompt."""
    content: str


class Document(NamedTuple):
    """One document as its source states it; the columns of `data/raw` and, with `family`, of `data/clean`."""

    id: str
    text: str
    source: str
    """Name in the recipe, with the package where there is one: `pydocs/numpy`."""
    group: str
    """Module, file or conversation: documents of one group stay on one side of the split."""
    licence: str | None
    """SPDX expression, or None if the source states none that could be read."""
    signature: str | None
    """When set, `text == signature + "\\n" + docstring`."""
    label: str | None = None
    """Class, for data that has one."""
    shape: str = "text"
    """`text`, `chat`, `completion` or `preference`."""
    turns: str | None = None
    """JSON list of `[role, content]`; None for plain text."""


def schema() -> "pa.Schema":
    """The columns as arrow types: nullable strings, so that the contract can find a null."""
    import pyarrow as pa

    return pa.schema([pa.field(name, pa.string(), nullable=True) for name in Document._fields])


def dumped(turns: Sequence[Turn]) -> str:
    """Turns as the column holds them."""
    return json.dumps([[turn.role, turn.content] for turn in turns], ensure_ascii=False, separators=(",", ":"))


def loaded(turns: str) -> list[Turn]:
    """Turns out of the column."""
    return [Turn(role, content) for role, content in json.loads(turns)]


def text_of(turns: Sequence[Turn]) -> str:
    """The text that stands for the turns."""
    return BETWEEN.join(turn.content for turn in turns)
