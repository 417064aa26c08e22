"""Multiple choice by likelihood: how questions are made, asked and judged.

A choice scores its pointwise mutual information with the prompt, log p(choice | prompt) - log p(choice),
where the second term is the choice at the beginning of a text (Holtzman et al. 2021, arXiv:2104.08315): a text
that is likely anywhere gains nothing. The highest score is the model's pick, the first one in a tie.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from slipway.evaluation.tasks.task import WORST, Facts, Form, Say, cut, prompt_digest
from slipway.items import Item
from slipway.records import Measure, WorstItem
from slipway.statistics import DIGITS, single

if TYPE_CHECKING:
    from slipway.evaluation.scoring import Scorer

SCORE = (
    "A choice scores log p(choice | prompt) - log p(choice), summed over its tokens; the prompt follows an "
    "end-of-text token, and log p(choice) is taken right after one."
)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A document that can become a question, or a wrong answer to another's."""

    item: str
    family: str
    prompt: tuple[int, ...]
    answer: tuple[int, ...]
    lead: tuple[int, ...] = ()
    """What stands before an answer whatever was asked; log p(choice) is taken after it."""


@dataclass(frozen=True, slots=True)
class Question:
    """A prompt and its choices, all in tokens; `right` is the index of the true one."""

    item: str
    family: str
    prompt: tuple[int, ...]
    choices: tuple[tuple[int, ...], ...]
    right: int
    lead: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Draw:
    """Which candidate is asked about and whose answers stand beside its own, by their numbers, in order."""

    asked: int
    options: tuple[int, ...]
    right: int


def draw(candidates: Sequence[Candidate], items: int, choices: int, seed: int) -> list[Draw]:
    """At most `items` questions, each with one true and `choices` - 1 wrong answers of other families.

    Which candidates are asked about, who lends the wrong answers and where the true one stands follow from
    `seed`. A candidate for whom too few different answers exist is not asked about.
    """
    rng = np.random.default_rng(seed)
    made: list[Draw] = []
    for index in rng.permutation(len(candidates)).tolist():
        if len(made) == items:
            break
        asked = candidates[index]
        options = [index]
        for other in rng.permutation(len(candidates)).tolist():
            if len(options) == choices:
                break
            lent = candidates[other]
            if lent.family != asked.family and all(lent.answer != candidates[one].answer for one in options):
                options.append(other)
        if len(options) == choices:
            order = rng.permutation(choices).tolist()
            made.append(Draw(index, tuple(options[i] for i in order), order.index(0)))
    return made


def posed(draws: Sequence[Draw], candidates: Sequence[Candidate]) -> list[Question]:
    """Drawn questions in tokens."""
    return [
        Question(asked.item, asked.family, asked.prompt, tuple(candidates[i].answer for i in one.options), one.right,
                 asked.lead)
        for one in draws
        for asked in [candidates[one.asked]]
    ]  # fmt: skip


def too_few(candidates: int, documents: int, needs: str, choices: int) -> str:
    """Why no question could be made, in words."""
    return (
        f"{candidates} of {documents} test documents have {needs}; "
        f"a question needs {choices} of different families with different answers"
    )


def scores(scorer: "Scorer", asked: Sequence[Question], say: Say = lambda *_: None, what: str = "") -> list[np.ndarray]:
    """The score of every choice of every question, in nats; order as given."""
    # A choice stands in several questions, but alone it is scored once.
    alone: dict[tuple[int, ...], dict[tuple[int, ...], float]] = {}
    for question in asked:
        alone.setdefault(question.lead, {}).update(dict.fromkeys(question.choices, 0.0))
    total = 2 * len(asked)
    given = scorer.loglikelihoods(
        [(scorer.separator, *question.prompt) for question in asked],
        [question.choices for question in asked],
        lambda done, rows: say(len(asked) * done // rows, total, what),
    )
    found = scorer.loglikelihoods(
        [(scorer.separator, *lead) for lead in alone],
        [list(choices) for choices in alone.values()],
        lambda done, rows: say(len(asked) * (rows + done) // rows, total, what),
    )
    for choices, own in zip(alone.values(), found, strict=True):
        choices.update(zip(choices, own, strict=True))
    return [
        np.subtract(after, [alone[question.lead][choice] for choice in question.choices])
        for question, after in zip(asked, given, strict=True)
    ]


def judged(question: Question, own: np.ndarray, task: str, model: str) -> Item:
    """The row of a question: right if the choice with the highest score says what the true one says."""
    picked = int(np.argmax(own))
    if question.choices[picked] == question.choices[question.right]:
        picked = question.right
    kept = tuple(round(float(score), DIGITS) for score in own)
    digest = prompt_digest(question.prompt)
    value = float(picked == question.right)
    return Item(task, model, question.item, question.family, digest, value, 1.0, None, kept, question.right, picked)


def chance(asked: Sequence[Question]) -> Measure:
    """What guessing gets on average: the mean over the questions of one over their number of choices."""
    value = float(np.mean([1 / len(question.choices) for question in asked]))
    return single(value, len(asked), "what guessing gets on average")


@dataclass(frozen=True, slots=True)
class Choices:
    """Questions, ready to be asked."""

    facts: Facts
    questions: Mapping[Form, Sequence[Question]]
    """Form to the same questions, in one order."""
    unit: ClassVar[str] = "share right"
    better: ClassVar[Literal["higher"]] = "higher"

    @property
    def forms(self) -> tuple[Form, ...]:
        return tuple(self.questions)

    def ask(self, scorer: "Scorer", model: str, form: Form, say: Say) -> list[Item]:
        asked, name = self.questions[form], self.facts.name
        return [
            judged(question, own, name, model)
            for question, own in zip(asked, scores(scorer, asked, say, name), strict=True)
        ]

    def references(self) -> dict[str, Measure]:
        return {"chance": chance(self.questions[self.forms[0]])}

    def worst(self, scorer: "Scorer", items: Sequence[Item]) -> tuple[WorstItem, ...]:
        """Wrong answers that won by the largest margin."""
        questions = {one.item: one for one in self.questions[self.forms[0]]}
        found = []
        for item in items:
            if item.right is not None and item.picked is not None and item.picked != item.right:
                one = questions[item.item]
                margin = round(item.scores[item.picked] - item.scores[item.right], DIGITS)
                found.append((margin, one, one.choices[item.right], one.choices[item.picked]))
        found.sort(key=lambda entry: (-entry[0], entry[1].item))
        return tuple(
            WorstItem(
                item=one.item,
                value=margin,
                prompt=cut(scorer.decode(one.prompt), end=True),
                expected=cut(scorer.decode(right)),
                given=cut(scorer.decode(picked)),
            )
            for margin, one, right, picked in found[:WORST]
        )
