"""The base beside the model: the same text and the same answers, so that a claim to have improved it can be judged.

Differences are paired: a hard document is hard for both, and only what training changed is left. Both figures and
their difference are resampled alike. The base is put in the form that suits it better: with the template, whose
control tokens it may never have been trained on, or as plain text.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from slipway.evaluation.answers import Asked, Scored, answers, measured, score, template
from slipway.evaluation.documents import Document
from slipway.evaluation.scoring import Scorer
from slipway.evaluation.statistics import bits_per_byte, derived
from slipway.records import BaseComparison, Measure
from slipway.settings import Evaluate

Say = Callable[[int, int, str], None]
PAIRED = "model minus base, paired"


@dataclass(frozen=True)
class Base:
    """Weights that training started from."""

    digest: str
    scorer: Callable[[], Scorer]
    """Loads them, with the tokenizer of the model."""


@dataclass(frozen=True)
class Found:
    """What the model made of the test split."""

    test: Sequence[Document]
    nats: np.ndarray
    """float64, shape (documents,)."""
    answers: Scored


def document_nats(scorer: Scorer, test: Sequence[Document], settings: Evaluate, say: Say, what: str) -> np.ndarray:
    """Nats of each document: float64, shape (documents,)."""
    tokens = scorer.encode([document.text for document in test])
    return scorer.documents(tokens, settings.stride, lambda done, total: say(done, total, what))


def compare(model: Found, base: Base, settings: Evaluate, seed: int, say: Say) -> BaseComparison:
    """Score the base on all that the model was scored on."""
    scorer = base.scorer()
    nats = document_nats(scorer, model.test, settings, say, "bits per byte of the base")
    sizes = np.array([len(document.text.encode()) for document in model.test])
    families = [document.family for document in model.test]

    def per_byte(some: np.ndarray) -> Measure:
        return bits_per_byte(some, sizes, families, settings.bootstrap, derived(seed, "bits per byte"))

    found = BaseComparison(
        digest=base.digest,
        bits_per_byte=per_byte(nats),
        bits_per_byte_difference=_named(per_byte(model.nats - nats)),
    )
    return found.model_copy(update=_answers(model, scorer, settings, derived(seed, "answers")))


def _answers(model: Found, scorer: Scorer, settings: Evaluate, seed: int) -> dict[str, object]:
    """The fields of a comparison that are about answers; empty if there is none that fits in every form."""
    forms: dict[Literal["template", "plain"], list[Asked]] = {
        "template": list(model.answers.asked),
        "plain": answers(scorer, model.test, template(scorer), plain=True),
    }
    fitting = [{one.item for one in asked if len(one.answer) < scorer.context} for asked in forms.values()]
    common = set.intersection(*fitting)
    if not common:
        return {}
    left = model.answers.left_out + len(model.answers.asked) - len(common)
    kept = [one.item in common for one in model.answers.asked]
    own = model.answers.nats[kept]
    scored = {form: score(scorer, [one for one in asked if one.item in common]) for form, asked in forms.items()}
    form = min(scored, key=lambda name: scored[name].nats.sum())
    difference = Scored(scored[form].asked, own - scored[form].nats, left)

    def measure(some: Scored) -> Measure | None:
        return measured(Scored(some.asked, some.nats, left), settings.bootstrap, seed)

    by_form = {name: measure(some) for name, some in scored.items()}
    return {
        "answers": by_form[form],
        "answers_form": form,
        "answers_by_form": by_form,
        "answers_difference": _named(found) if (found := measure(difference)) else None,
    }


def _named(difference: Measure) -> Measure:
    return difference.model_copy(update={"method": f"{PAIRED}; {difference.method}"})
