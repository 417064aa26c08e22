"""What every probe needs: the scorer it is handed, and the shape of its answer."""

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from slipway.records import Measure, Probe

Progress = Callable[[int, int], None]
"""Called with done and total."""


class Scorer(Protocol):
    """What the probes ask of a model; `slipway.evaluation.scoring.Scorer` is one."""

    context: int
    separator: int

    def encode(self, texts: Sequence[str]) -> list[list[int]]: ...

    def decode(self, tokens: Sequence[int]) -> str: ...

    def loglikelihoods(
        self,
        prompts: Sequence[Sequence[int]],
        choices: Sequence[Sequence[Sequence[int]]],
        progress: Progress | None = None,
    ) -> list[list[float]]: ...

    def token_scores(self, documents: Sequence[Sequence[int]]) -> list[np.ndarray]: ...

    def next_scores(self, prompts: Sequence[Sequence[int]]) -> np.ndarray: ...

    def generate(
        self, prompts: Sequence[Sequence[int]], new_tokens: int, uniforms: np.ndarray | None = None
    ) -> list[list[int]]: ...


def ran(name: str, measures: dict[str, Measure], details: dict[str, str]) -> Probe:
    """A probe that gave figures."""
    return Probe(name=name, status="run", reason="", measures=measures, details=details)


def not_run(name: str, reason: str) -> Probe:
    """A probe that gave none; `reason` says why, and what would be needed."""
    return Probe(name=name, status="not run", reason=reason, measures={}, details={})


def not_applicable(name: str, reason: str) -> Probe:
    """A probe that makes no sense for this kind of model."""
    return Probe(name=name, status="not applicable", reason=reason, measures={}, details={})
