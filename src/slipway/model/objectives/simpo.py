"""Preference optimisation without a reference (SimPO: Meng et al., arXiv:2405.14734)."""

from pathlib import Path

from torch.nn import functional

from slipway.model.forward import Forward
from slipway.model.objectives.base import Loss
from slipway.model.objectives.preference import Preference, answers, mean
from slipway.model.pairs import PairBatch
from slipway.settings import Simpo as Settings
from slipway.settings import Train


class Simpo(Preference):
    """-log sigmoid(beta * (mean log p of chosen - mean log p of rejected) - margin), means per token."""

    def __init__(self, settings: Train, objective: Settings, seed: int, tokens: Path) -> None:
        super().__init__(settings, seed, tokens)
        self._settings = objective

    def loss(self, forward: Forward, batch: PairBatch, divisor: float) -> Loss:
        scored = answers(forward, batch)
        each = scored.likelihood / scored.tokens.clamp(min=1)
        won = self._settings.beta * (each[:, 0] - each[:, 1]) - self._settings.margin
        value = mean(-functional.logsigmoid(won), scored, divisor)
        return Loss(value, {"preferred": (each[:, 0] > each[:, 1]).sum(), "margin": won.detach().sum()})
