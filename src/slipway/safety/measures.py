"""What every probe needs: the scorer it is handed, the shape of its answer, and Wilson's interval."""

import zlib
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from slipway.records import Measure, Probe

DIGITS = 6
"""Decimals kept in a report; the rest is rounding of sums."""


class Scorer(Protocol):
    """What the probes ask of a model; `slipway.evaluation.scoring.Scorer` is one."""

    context: int
    separator: int

    def encode(self, texts: Sequence[str]) -> list[list[int]]: ...

    def decode(self, tokens: Sequence[int]) -> str: ...

    def loglikelihoods(
        self, prompts: Sequence[Sequence[int]], choices: Sequence[Sequence[Sequence[int]]]
    ) -> list[list[float]]: ...

    def generate(
        self, prompts: Sequence[Sequence[int]], new_tokens: int, uniforms: np.ndarray | None = None
    ) -> list[list[int]]: ...


def derived(seed: int, name: str) -> np.random.Generator:
    """Random numbers for one probe alone, so that no probe moves another's."""
    return np.random.default_rng(zlib.crc32(f"{seed} {name}".encode()))


def share(successes: int, n: int, per: int = 1) -> Measure:
    """Successes per `per` items among `n` independent ones, with Wilson's 95 % interval. `n` must be positive."""
    from scipy.stats import binomtest

    interval = binomtest(successes, n).proportion_ci(confidence_level=0.95, method="wilson")
    low, high = (round(per * float(end), DIGITS) for end in (interval.low, interval.high))
    return Measure(value=round(per * successes / n, DIGITS), low=low, high=high, n=n, method="Wilson")


def ran(name: str, measures: dict[str, Measure], details: dict[str, str]) -> Probe:
    """A probe that gave figures."""
    return Probe(name=name, status="run", reason="", measures=measures, details=details)


def not_run(name: str, reason: str) -> Probe:
    """A probe that gave none; `reason` says why, and what would be needed."""
    return Probe(name=name, status="not run", reason=reason, measures={}, details={})


def not_applicable(name: str, reason: str) -> Probe:
    """A probe that makes no sense for this kind of model."""
    return Probe(name=name, status="not applicable", reason=reason, measures={}, details={})
