"""Knowledge distillation: the teacher's distribution beside the next token (Hinton et al., arXiv:1503.02531)."""

from pathlib import Path
from typing import Any

import torch
from torch.nn import functional

from slipway.errors import UserError
from slipway.model.base import check_base, load_base
from slipway.model.data import Batch
from slipway.model.forward import Forward, Output, cross_entropy
from slipway.model.loss import LinearDivergence
from slipway.model.objectives.base import Loss
from slipway.model.objectives.pretrain import Pretrain
from slipway.settings import Distill as Settings
from slipway.settings import Train


class Distill(Pretrain):
    """weight * T² KL(teacher || student) + (1 - weight) * cross-entropy, per token that counts."""

    def __init__(self, settings: Train, objective: Settings, seed: int, *, tokens: Path, teacher: Path) -> None:
        super().__init__(settings, seed, tokens)
        self.bits_per_byte = None  # a divergence is no length of text
        self._settings = objective
        check_base(teacher, tokens, settings.sequence_length, "acquire.teacher")
        self._directory = teacher
        self._teacher: Any = None

    def begin(self, forward: Forward, device: torch.device) -> None:
        super().begin(forward, device)
        model = load_base(self._directory, "acquire.teacher").requires_grad_(False).eval().to(device)
        self._teacher = Forward(model)
        if self._documents:
            Pretrain.begin(self, self._teacher, device)
        if (forward.head is None) != (self._teacher.head is None):
            raise UserError(
                "acquire.teacher: its output head and the student's are of different kinds (one has a bias, a scale or "
                "a cap); take a teacher of the student's architecture"
            )

    def loss(self, forward: Forward, batch: Batch, divisor: float) -> Loss:
        found = forward(batch)
        with torch.no_grad():
            taught = self._teacher(batch)
        weight = self._settings.weight
        divergence = self._divergence(found, taught, divisor)
        value = weight * divergence + (1 - weight) * cross_entropy(found, divisor)
        if found.auxiliary is not None:
            value = value + found.auxiliary * (batch.units / divisor)
        return Loss(value, {"divergence": divergence.detach() * divisor})

    def _divergence(self, found: Output, taught: Output, divisor: float) -> torch.Tensor:
        temperature = self._settings.temperature
        if found.weight is not None and taught.weight is not None:
            # Either vocabulary may be filled up to a round number; both have the tokenizer's tokens.
            vocabulary = min(len(found.weight), len(taught.weight))
            heads = found.weight[:vocabulary], taught.weight[:vocabulary]
            value: torch.Tensor = LinearDivergence.apply(
                found.states, heads[0], taught.states, heads[1], temperature, divisor
            )
            return value
        vocabulary = min(found.states.shape[1], taught.states.shape[1])
        ours, theirs = (
            functional.log_softmax(x[:, :vocabulary].float() / temperature, 1) for x in (found.states, taught.states)
        )
        return functional.kl_div(ours, theirs, reduction="sum", log_target=True) * temperature**2 / divisor
