"""How a task is described, what it is made of, and what must be equal for two of its results to be compared."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

from slipway import __version__
from slipway.evaluation.documents import Document
from slipway.files import sha256_bytes
from slipway.items import Item
from slipway.records import Comparable, Measure, WorstItem
from slipway.settings import Evaluate

if TYPE_CHECKING:
    from slipway.evaluation.scoring import Scorer

Form = Literal["template", "plain"]
"""How conversations are put: with the chat template, or without control tokens."""
Say = Callable[[int, int, str], None]
SHOWN = 300
"""Characters of a text that a report shows."""
WORST = 5
"""Items of a task that a report shows."""


@dataclass(frozen=True, slots=True)
class Material:
    """What tasks are made of, besides the tokenizer."""

    test: Sequence[Document]
    """Not empty, sorted by id."""
    train: Sequence[str]
    """For references that may look at the training text, as the model did."""
    settings: Evaluate
    seed: int
    test_sha256: str
    tokenizer_sha256: str


@dataclass(frozen=True, slots=True)
class Facts:
    """What a made task knows about itself."""

    name: str
    settings: Mapping[str, Any]
    """All that decides, besides definition and data, what is asked."""
    data: str
    """Digest of the items' text, so that it is the same under another tokenizer."""
    chat_template: str = "none"
    """Digest of the template, if it is asked through one."""
    note: str = ""
    """What happened to the items in the making, e.g. that some are too long; said after the definition."""
    groups: Mapping[str, str] = field(default_factory=dict)
    """Item to source; empty if figures by source say nothing."""


class Made(Protocol):
    """A task made ready: its items in tokens."""

    @property
    def facts(self) -> Facts: ...

    @property
    def unit(self) -> str: ...

    @property
    def better(self) -> Literal["lower", "higher"]: ...

    @property
    def forms(self) -> tuple[Form, ...]:
        """In which it can be put to a model; the first is that of training."""
        ...

    def ask(self, scorer: "Scorer", model: str, form: Form, say: Say) -> list[Item]:
        """A row for each item that fits the context."""
        ...

    def references(self) -> dict[str, Measure]:
        """What to hold the figure against."""
        ...

    def worst(self, scorer: "Scorer", items: Sequence[Item]) -> tuple[WorstItem, ...]:
        """The items that the model does worst at, at most `WORST`."""
        ...


@dataclass(frozen=True, slots=True)
class NotAsked:
    """Why a task cannot be asked of this test split."""

    reason: str


@dataclass(frozen=True, slots=True)
class Task:
    """A task: what it asks, and how it is made."""

    name: str
    version: int
    """Raised whenever the code asks or scores otherwise under the same words: older results are then not comparable."""
    definition: str
    """How an item is made and scored, in words."""
    template: str
    """What a model is shown, with holes in braces."""
    make: Callable[["Scorer", Material], Made | NotAsked]


def digest(value: Any) -> str:
    """sha256 over canonical JSON."""
    return sha256_bytes(json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode())


def identity(task: Task, facts: Facts, material: Material) -> Comparable:
    """The digests of a task as it was asked. Own tasks show no examples and generate nothing."""
    stated = {"name": task.name, "version": task.version, "definition": task.definition}
    return Comparable(
        harness=f"slipway {__version__}",
        task=digest(stated | {"settings": dict(facts.settings)}),
        prompt=digest(task.template),
        few_shot="none",
        decoding="likelihood",
        tokenizer=material.tokenizer_sha256,
        chat_template=facts.chat_template,
        data=facts.data,
    )


def prompt_digest(tokens: Sequence[int]) -> str:
    """sha256 of tokens as decimal numbers joined by spaces."""
    return sha256_bytes(" ".join(map(str, tokens)).encode())


def cut(text: str, end: bool = False) -> str:
    """`text` as a report shows it: its beginning, or its end."""
    if len(text) <= SHOWN:
        return text
    return f"…{text[-SHOWN:]}" if end else f"{text[:SHOWN]}…"
