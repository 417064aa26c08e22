"""What objectives on preference pairs share: the log-likelihood of each answer."""

from pathlib import Path
from typing import NamedTuple

import torch

from slipway.model.data import IGNORED
from slipway.model.forward import Forward, nats
from slipway.model.pairs import PairBatch, Pairs
from slipway.settings import Train


class Answers(NamedTuple):
    """Of every answer of a batch, shape (pairs, 2): chosen and rejected."""

    likelihood: torch.Tensor
    """Sum of log p over its tokens, nats."""
    tokens: torch.Tensor
    auxiliary: torch.Tensor | None
    """As in `Output`."""


def answers(forward: Forward, batch: PairBatch) -> Answers:
    """Score a batch's answers."""
    found = forward(batch)
    counts = batch.labels != IGNORED
    row = torch.arange(len(counts), device=counts.device)[:, None].expand_as(counts)[counts]
    value = nats(found)
    # index_add_ is deterministic on a processor; on a GPU torch takes a deterministic form when asked to.
    likelihood = value.new_zeros(len(counts)).index_add(0, row, -value)
    return Answers(likelihood.view(-1, 2), counts.sum(1).view(-1, 2), found.auxiliary)


def mean(losses: torch.Tensor, scored: Answers, divisor: float) -> torch.Tensor:
    """The losses of pairs, shape (pairs), and the architecture's own, as one; divided by `divisor`."""
    value = losses.sum()
    if scored.auxiliary is not None:
        value = value + scored.auxiliary * len(losses)
    return value / divisor


class Preference:
    """Base of the objectives on pairs."""

    unit = "pair"
    bits_per_byte: float | None = None

    def __init__(self, settings: Train, seed: int, tokens: Path) -> None:
        self.train, self.held_out = (
            Pairs(tokens, split, settings.sequence_length, seed) for split in ("train", "validation")
        )

    def begin(self, forward: Forward, device: torch.device) -> None:
        """Nothing to prepare."""
