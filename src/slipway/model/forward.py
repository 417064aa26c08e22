"""The forward pass up to the output head: hidden states of the places that count, and the head's weight.

Losses then walk over the vocabulary in chunks (`slipway.model.loss`). Where the head is more than a linear map
(a bias, a scale, a cap), the model computes its logits itself.
"""

from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn import functional

from slipway.model.data import IGNORED
from slipway.model.loss import LinearCrossEntropy, token_nats


class Output(NamedTuple):
    """What a model says of the places that count."""

    states: torch.Tensor
    """Hidden states (n, width), or logits (n, vocabulary) if `weight` is None."""
    weight: torch.Tensor | None
    """Of the output head, (vocabulary, width)."""
    labels: torch.Tensor
    """int64, (n)."""
    auxiliary: torch.Tensor | None
    """The architecture's own loss (balance of experts), already weighted; None without one."""


@torch.no_grad()
def head_is_linear(model: Any) -> bool:
    """Whether logits are hidden @ weight.T, without bias, scale or cap: tried, not looked up in a list of models."""
    head = model.get_output_embeddings()
    if not isinstance(head, nn.Linear) or head.bias is not None:
        return False
    rows = torch.arange(8, device=head.weight.device)[None] % model.config.vocab_size
    training, weight = model.training, head.weight.detach().clone()
    model.eval()
    # A cap on the logits shows only far from zero.
    head.weight.mul_(1000)
    logits = model(input_ids=rows, use_cache=False).logits
    with Headless(head):
        states = model(input_ids=rows, use_cache=False).logits
    same = states.shape[-1] == head.weight.shape[1] and torch.allclose(
        logits, states @ head.weight.T, rtol=1e-4, atol=1e-3
    )
    head.weight.copy_(weight)
    model.train(training)
    return same


class Headless:
    """While it is entered, the output head hands on its input, so the model's `logits` are hidden states."""

    def __init__(self, head: nn.Module) -> None:
        self._head = head

    def __enter__(self) -> None:
        self._head.forward = nn.Identity.forward.__get__(self._head)

    def __exit__(self, *_: object) -> None:
        del self._head.forward


class Forward:
    """A causal model of transformers as a function from a batch to `Output`."""

    def __init__(self, model: Any) -> None:
        self.model = model
        # The trial compares closely, whatever the precision of what comes later.
        with torch.autocast(next(model.parameters()).device.type, enabled=False):
            self.head = model.get_output_embeddings() if head_is_linear(model) else None
        """The output head, if it is a linear map."""
        routed = getattr(model.config, "output_router_logits", False)
        self._auxiliary = float(getattr(model.config, "router_aux_loss_coef", 0.0)) if routed else 0.0

    def _ask(self, rows: torch.Tensor, positions: torch.Tensor | None) -> Any:
        more = {} if positions is None else {"position_ids": positions}
        if self.head is None:
            return self.model(input_ids=rows, use_cache=False, **more)
        with Headless(self.head):
            return self.model(input_ids=rows, use_cache=False, **more)

    def __call__(self, batch: Any) -> Output:
        """Run the model on `batch.rows` but for their last column."""
        found = self._ask(batch.rows[:, :-1], getattr(batch, "positions", None))
        states, labels = found.logits.flatten(0, 1), batch.labels.flatten()
        counts = labels != IGNORED
        if not bool(counts.all()):
            # Nothing is computed in the head for places that do not count.
            states, labels = states[counts], labels[counts]
        kind = states.device.type
        if self.head is not None and torch.is_autocast_enabled(kind):
            # The last norm gives float32, in which the head would be computed at a fraction of the speed.
            states = states.to(torch.get_autocast_dtype(kind))
        auxiliary = getattr(found, "aux_loss", None) if self._auxiliary and self.model.training else None
        weight = None if self.head is None else self.head.weight
        return Output(states, weight, labels, None if auxiliary is None else self._auxiliary * auxiliary)


def cross_entropy(found: Output, divisor: float) -> torch.Tensor:
    """Sum of -log p(label) over the places that count, in nats, divided by `divisor`."""
    if not len(found.labels):
        return found.states.sum() / divisor  # 0, with a gradient of 0
    if found.weight is None:
        return functional.cross_entropy(found.states.float(), found.labels, reduction="sum") / divisor
    return LinearCrossEntropy.apply(found.states, found.weight, found.labels, divisor)


def nats(found: Output) -> torch.Tensor:
    """-log p(label) of every place that counts, shape (n)."""
    if found.weight is None:
        return functional.cross_entropy(found.states.float(), found.labels, reduction="none")
    return token_nats(found.states, found.weight, found.labels)


def keeps_documents_apart(model: Any, length: int) -> bool:
    """Whether positions that begin again make the model read a second document as if it stood alone: tried."""
    half = max(2, min(16, length // 2))
    rows = torch.arange(1, 2 * half + 1, device=next(model.parameters()).device)[None] % model.config.vocab_size
    places = torch.arange(half, device=rows.device).repeat(2)[None]
    training = model.training
    model.eval()
    # In half precision even equal inputs give other roundings.
    with torch.no_grad(), torch.autocast(rows.device.type, enabled=False):
        together = model(input_ids=rows, position_ids=places, use_cache=False).logits[:, half:]
        alone = model(input_ids=rows[:, half:], position_ids=places[:, half:], use_cache=False).logits
    model.train(training)
    return torch.allclose(together, alone, rtol=1e-3, atol=1e-3 * float(alone.abs().max()) + 1e-6)
