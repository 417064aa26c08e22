"""What every objective is: where its batches come from, and the loss of one."""

from typing import Any, NamedTuple, Protocol

import torch

from slipway.model.forward import Forward


class Loss(NamedTuple):
    """The loss of a batch and what else is worth counting."""

    value: torch.Tensor
    """Sum over the batch's units (tokens that count, or pairs), divided by the divisor."""
    sums: dict[str, torch.Tensor]
    """Name to the sum over units of a further measure, for people."""


class Batches(Protocol):
    """Batches as a pure function of the step: `Tokens` or `Pairs`."""

    def batch(self, step: int, size: int, part: slice = ...) -> Any:
        """The part of step `step` that a rank takes."""

    def documents(self, step: int, size: int) -> list[str]:
        """Ids of the documents in a step."""

    def sample(self, count: int) -> Any:
        """A fixed batch, spread over the split."""


class Objective(Protocol):
    """What a model learns; the loop knows no more of it than this."""

    unit: str
    """What the loss is a mean over: `token` or `pair`."""
    bits_per_byte: float | None
    """Factor from validation loss to bits per byte of text; None where the loss is of no text."""

    @property
    def train(self) -> Batches:
        """What is learnt."""

    @property
    def held_out(self) -> Batches:
        """What validation reads."""

    def begin(self, forward: Forward, device: torch.device) -> None:
        """Once, with the starting weights, before the first step or before a checkpoint is restored."""

    def loss(self, forward: Forward, batch: Any, divisor: float) -> Loss:
        """The loss of a batch."""
