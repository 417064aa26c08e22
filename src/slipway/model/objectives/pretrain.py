"""Next-token prediction on every token: pretraining, and continued pretraining from a base."""

import math
from pathlib import Path
from typing import Any

import torch

from slipway.errors import UserError
from slipway.model.data import Batch, Tokens
from slipway.model.forward import Forward, cross_entropy, keeps_documents_apart
from slipway.model.objectives.base import Loss
from slipway.settings import Train


class Pretrain:
    """Mean cross-entropy over the tokens that count."""

    unit = "token"

    def __init__(self, settings: Train, seed: int, tokens: Path) -> None:
        self._documents = bool(getattr(settings.objective, "document_mask", False))
        self._length = settings.sequence_length
        self.train, self.held_out = (
            Tokens(tokens, split, settings.sequence_length, seed, document_mask=self._documents)
            for split in ("train", "validation")
        )
        self.bits_per_byte: float | None = self.held_out.learnt / max(self.held_out.learnt_bytes, 1) / math.log(2)

    def begin(self, forward: Forward, device: torch.device) -> None:  # noqa: ARG002
        if self._documents and not keeps_documents_apart(forward.model, self._length):
            kind = forward.model.config.model_type
            raise UserError(
                f"train.objective.document_mask: `{kind}` reads across the borders of documents in a row (its state is "
                "not reset there); set document_mask to false, or pack one document a row"
            )

    def loss(self, forward: Forward, batch: Batch, divisor: float) -> Loss:
        found: Any = forward(batch)
        value = cross_entropy(found, divisor)
        if found.auxiliary is not None:
            value = value + found.auxiliary * (batch.units / divisor)
        return Loss(value, {})
