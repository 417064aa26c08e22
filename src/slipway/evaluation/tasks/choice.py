"""Multiple choice by likelihood: what a question is, how it is asked, how an answer is judged.

A choice scores its pointwise mutual information with the prompt, log p(choice | prompt) - log p(choice),
where the second term is the choice at the beginning of a text (Holtzman et al. 2021, arXiv:2104.08315): a text
that is likely anywhere gains nothing. The highest score is the model's pick, the first one in a tie.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from slipway.evaluation.statistics import DIGITS, share
from slipway.records import ChoiceReport

SCORE = (
    "A choice scores log p(choice | prompt) - log p(choice), summed over its tokens; the prompt follows an "
    "end-of-text token, and log p(choice) is taken right after one."
)


class Asks(Protocol):
    """What a task needs of a scorer."""

    separator: int

    def encode(self, texts: Sequence[str]) -> list[list[int]]: ...

    def loglikelihoods(
        self, prompts: Sequence[Sequence[int]], choices: Sequence[Sequence[Sequence[int]]]
    ) -> list[list[float]]: ...


@dataclass(frozen=True, slots=True)
class Candidate:
    """A document that can become a question, or a wrong answer to another's."""

    item: str
    family: str
    prompt: tuple[int, ...]
    answer: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Question:
    """A prompt and its choices, all in tokens; `right` is the index of the true one."""

    item: str
    prompt: tuple[int, ...]
    choices: tuple[tuple[int, ...], ...]
    right: int


@dataclass(frozen=True, slots=True)
class Answer:
    """What the model made of one question."""

    item: str
    prompt_sha256: str
    """Of the prompt's tokens as decimal numbers joined by spaces."""
    scores: tuple[float, ...]
    right: int
    picked: int

    @property
    def correct(self) -> bool:
        return self.picked == self.right


@dataclass(frozen=True, slots=True)
class Task:
    """A kind of question: how candidates are made, and what makes two answers comparable."""

    name: str
    definition: str
    needs: str
    """What a document must have to become a question, in words."""
    candidates: Callable[[Asks, Sequence, int, int], list[Candidate]]
    """From scorer, documents, prompt_tokens and answer_tokens."""


def questions(candidates: Sequence[Candidate], items: int, choices: int, seed: int) -> list[Question]:
    """At most `items` questions, each with one true and `choices` - 1 wrong answers of other families.

    Which candidates are asked about, who lends the wrong answers and where the true one stands follow from
    `seed`. A candidate for whom too few different answers exist is not asked about.
    """
    rng = np.random.default_rng(seed)
    made: list[Question] = []
    for index in rng.permutation(len(candidates)):
        if len(made) == items:
            break
        asked = candidates[index]
        options = [asked.answer]
        for other in (candidates[i] for i in rng.permutation(len(candidates))):
            if len(options) == choices:
                break
            if other.family != asked.family and other.answer not in options:
                options.append(other.answer)
        if len(options) == choices:
            order = rng.permutation(choices)
            made.append(Question(asked.item, asked.prompt, tuple(options[i] for i in order), int(np.argmin(order))))
    return made


def ask(scorer: Asks, asked: Sequence[Question]) -> list[Answer]:
    """Score every choice of every question; order as given."""
    choices = [question.choices for question in asked]
    given = scorer.loglikelihoods([(scorer.separator, *question.prompt) for question in asked], choices)
    alone = scorer.loglikelihoods([(scorer.separator,)] * len(asked), choices)
    return [_judge(question, np.subtract(a, b)) for question, a, b in zip(asked, given, alone, strict=True)]


def _judge(question: Question, scores: np.ndarray) -> Answer:
    prompt = hashlib.sha256(" ".join(map(str, question.prompt)).encode()).hexdigest()
    rounded = tuple(round(float(score), DIGITS) for score in scores)
    return Answer(question.item, prompt, rounded, question.right, int(np.argmax(scores)))


def summarise(definition: str, answers: Sequence[Answer]) -> ChoiceReport:
    """Accuracy with Wilson's interval beside chance; `answers` must not be empty.

    Chance is what guessing gets on average: the mean over the questions of one over their number of choices.
    """
    return ChoiceReport(
        accuracy=share(sum(answer.correct for answer in answers), len(answers)),
        chance=round(float(np.mean([1 / len(answer.scores) for answer in answers])), DIGITS),
        definition=f"{definition} {SCORE}",
    )
