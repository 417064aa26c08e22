"""Direct preference optimisation (Rafailov et al., arXiv:2305.18290), with the reference read once.

The reference is the starting weights. Its log-likelihoods of all answers are computed before the first step and
kept in memory, 8 bytes an answer, so that no second model is held while training.
"""

from pathlib import Path
from typing import Any

import torch
from torch.nn import functional

from slipway.model.forward import Forward
from slipway.model.objectives.base import Loss
from slipway.model.objectives.preference import Preference, answers, mean
from slipway.model.pairs import PairBatch, Pairs
from slipway.settings import Dpo as Settings
from slipway.settings import Train

AT_ONCE = 8
"""Pairs per forward pass of the reference."""


class Dpo(Preference):
    """-log sigmoid(beta * (how much more the policy prefers the chosen answer than the reference does))."""

    def __init__(self, settings: Train, objective: Settings, seed: int, tokens: Path) -> None:
        super().__init__(settings, seed, tokens)
        self._settings = objective
        self._reference: dict[bool, torch.Tensor] = {}

    @torch.no_grad()
    def begin(self, forward: Forward, device: torch.device) -> None:
        forward.model.eval()
        for training, pairs in ((True, self.train), (False, self.held_out)):
            self._reference[training] = _margins(forward, pairs, device)
        forward.model.train()

    def loss(self, forward: Forward, batch: PairBatch, divisor: float) -> Loss:
        scored = answers(forward, batch)
        ours = scored.likelihood
        reference = self._reference[forward.model.training][batch.numbers.to(ours.device)]
        won = self._settings.beta * (ours[:, 0] - ours[:, 1] - reference)
        smooth = self._settings.label_smoothing
        losses = -(1 - smooth) * functional.logsigmoid(won) - smooth * functional.logsigmoid(-won)
        value = mean(losses, scored, divisor)
        return Loss(value, {"preferred": (won.detach() > 0).sum(), "margin": won.detach().sum()})


def _margins(forward: Forward, pairs: Pairs, device: torch.device) -> Any:
    """Log p(chosen) - log p(rejected) under the reference, for every pair."""
    parts = []
    for start in range(0, len(pairs), AT_ONCE):
        batch = pairs.take(list(range(start, min(start + AT_ONCE, len(pairs))))).to(device)
        scored = answers(forward, batch).likelihood
        parts.append(scored[:, 0] - scored[:, 1])
    return torch.cat(parts)
