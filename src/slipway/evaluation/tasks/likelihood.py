"""Tasks that ask how well text is predicted: bits over UTF-8 bytes, document by document or answer by answer."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from slipway.evaluation.tasks.task import WORST, Facts, Form, Say, cut, prompt_digest
from slipway.items import Item
from slipway.records import Measure, WorstItem
from slipway.statistics import DIGITS

if TYPE_CHECKING:
    from slipway.evaluation.scoring import Scorer

SMALLEST = 100
"""UTF-8 bytes that an item must have to be shown among the worst: of a few bytes any figure can come."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Text whose tokens are scored."""

    item: str
    family: str
    prompt: tuple[int, ...]
    """What stands before it; empty for whole documents."""
    tokens: tuple[int, ...]
    size: int
    """UTF-8 bytes of the text."""


@dataclass(frozen=True, slots=True)
class Likelihoods:
    """Stretches of text, ready to be scored."""

    facts: Facts
    stretches: Mapping[Form, Sequence[Stretch]]
    """Form to the stretches that fit the context in it."""
    nats: Callable[["Scorer", Sequence[Stretch], Say], np.ndarray]
    """Scores them: float64 of shape (stretches,)."""
    compare: Callable[[], dict[str, Measure]] = dict
    """What else was made of the same text."""
    unit: ClassVar[str] = "bits per byte"
    better: ClassVar[Literal["lower"]] = "lower"

    @property
    def forms(self) -> tuple[Form, ...]:
        return tuple(self.stretches)

    def ask(self, scorer: "Scorer", model: str, form: Form, say: Say) -> list[Item]:
        asked = self.stretches[form]
        bits = self.nats(scorer, asked, say) / np.log(2)
        name = self.facts.name
        return [
            Item(
                name, model, one.item, one.family, prompt_digest(one.prompt or one.tokens), round(float(value), DIGITS),
                float(one.size),
            )
            for one, value in zip(asked, bits, strict=True)
        ]  # fmt: skip

    def references(self) -> dict[str, Measure]:
        return self.compare()

    def worst(self, scorer: "Scorer", items: Sequence[Item]) -> tuple[WorstItem, ...]:
        """Those with the most bits per byte, of at least `SMALLEST` bytes."""
        stretches = {one.item: one for one in self.stretches[self.forms[0]]}
        large = [item for item in items if item.weight >= SMALLEST]
        found = []
        for item in sorted(large, key=lambda item: (-item.value / item.weight, item.item))[:WORST]:
            one = stretches[item.item]
            said = cut(scorer.decode(one.tokens))
            prompt, expected = (cut(scorer.decode(one.prompt), end=True), said) if one.prompt else (said, "")
            value = round(item.value / item.weight, DIGITS)
            found.append(WorstItem(item=item.item, value=value, prompt=prompt, expected=expected, given=""))
        return tuple(found)
