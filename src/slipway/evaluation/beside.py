"""The base beside the model: it is asked the same items, so that a claim to have improved it can be judged.

Differences are paired: a hard document is hard for both, and only what training changed is left. The base is put in
the form that suits it better: with the template, whose control tokens it may never have been trained on, or as plain
text. The task `answers` decides which, and later tasks follow it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from slipway.evaluation.summary import figure
from slipway.evaluation.tasks.task import Form, Made, Material, Say
from slipway.items import Item
from slipway.records import BaseComparison, Measure
from slipway.statistics import derived

if TYPE_CHECKING:
    from slipway.evaluation.scoring import Scorer

MODEL, BASE = "model", "base"
"""Names in the item table."""


@dataclass(frozen=True, slots=True)
class Base:
    """Weights that training started from."""

    digest: str
    scorer: Callable[[], "Scorer"]
    """Loads them, with the tokenizer of the model."""


@dataclass(slots=True)
class Beside:
    """The base while it is asked."""

    digest: str
    scorer: "Scorer"
    form: Form | None = None
    by_form: dict[str, Measure] = field(default_factory=dict)

    def ask(self, made: Made, material: Material, say: Say) -> list[Item]:
        """The rows of the base, in the form that suits it; only items that fit the context in every form."""
        if made.better == "lower" and len(made.forms) > 1:
            return self._choose(made, material, say)
        form = self.form if self.form and self.form in made.forms else made.forms[0]
        return made.ask(self.scorer, BASE, form, say)

    def _choose(self, made: Made, material: Material, say: Say) -> list[Item]:
        asked = {form: made.ask(self.scorer, BASE, form, say) for form in made.forms}
        common = set.intersection(*({item.item for item in items} for items in asked.values()))
        if not common:
            return []
        asked = {form: [item for item in items if item.item in common] for form, items in asked.items()}
        seed = derived(material.seed, made.facts.name)
        bits = {form: sum(item.value for item in items) for form, items in asked.items()}
        best: Form = min(bits, key=lambda form: bits[form])
        self.form = best
        self.by_form = {form: figure(items, material.settings.bootstrap, seed) for form, items in asked.items()}
        return asked[best]

    def record(self) -> BaseComparison:
        """What the report says about the base as a whole."""
        return BaseComparison(digest=self.digest, answers_form=self.form, answers_by_form=self.by_form)
