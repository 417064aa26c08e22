"""Next-token cross-entropy that never holds the logits of a whole batch.

For a small model the logits (rows × vocabulary) are the largest tensor by far. `LinearCrossEntropy`
walks over them in chunks and computes the gradient in the forward pass, as Liger-Kernel's fused
linear cross-entropy does (Hsu et al., arXiv:2410.10989); here in plain torch, for any device. On two cores
it is also faster than the unfused loss, because a chunk stays in the cache.
"""

from typing import Any, Protocol

import torch
from torch.nn import functional

from slipway.model.data import IGNORED

CHUNK = 256
"""Positions per chunk."""


class Loss(Protocol):
    """What `make_loss` gives."""

    def __call__(self, rows: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        """Rows and labels to a scalar."""


class LinearCrossEntropy(torch.autograd.Function):
    """Mean over positions of -log softmax(hidden @ weight.T)[label], in nats; 0 if there is no position."""

    @staticmethod
    def forward(ctx: Any, hidden: torch.Tensor, weight: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """`hidden` (n, width), `weight` (vocabulary, width), `labels` (n) -> scalar."""
        n = len(labels)
        total = hidden.new_zeros(())
        wanted = hidden.requires_grad or weight.requires_grad
        grad_hidden = torch.empty_like(hidden) if wanted else None
        grad_weight = torch.zeros_like(weight) if wanted else None
        for start in range(0, n, CHUNK):
            part, label = hidden[start : start + CHUNK], labels[start : start + CHUNK, None]
            chances = torch.log_softmax(part @ weight.T, 1)
            total -= chances.gather(1, label).sum()
            if grad_hidden is None or grad_weight is None:
                continue
            error = chances.exp_()
            error.scatter_add_(1, label, torch.full_like(label, -1.0, dtype=error.dtype))
            torch.mm(error, weight, out=grad_hidden[start : start + CHUNK])
            grad_weight.addmm_(error.T, part)
        if grad_hidden is not None and grad_weight is not None:
            ctx.save_for_backward(grad_hidden.div_(max(n, 1)), grad_weight.div_(max(n, 1)))
        return total / max(n, 1)

    @staticmethod
    def backward(ctx: Any, *outputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, None]:
        grad_hidden, grad_weight = ctx.saved_tensors
        return grad_hidden * outputs[0], grad_weight * outputs[0], None


def _counted(values: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Positions (flat) whose label counts; without the others nothing is computed for them in the head."""
    values, labels = values.flatten(0, 1), labels.flatten()
    counts = labels != IGNORED
    return (values, labels) if bool(counts.all()) else (values[counts], labels[counts])


def _plain(model: Any) -> Loss:
    def loss(rows: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        logits = model(input_ids=rows[:, :-1], use_cache=False).logits
        chosen, wanted = _counted(logits, rows[:, 1:] if labels is None else labels)
        if not len(wanted):
            return chosen.sum()  # 0, with a gradient of 0
        return functional.cross_entropy(chosen.float(), wanted)

    return loss


def _chunked(model: Any) -> Loss:
    def loss(rows: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        hidden = model.base_model(input_ids=rows[:, :-1], use_cache=False).last_hidden_state
        head = model.get_output_embeddings().weight
        chosen, wanted = _counted(hidden, rows[:, 1:] if labels is None else labels)
        return LinearCrossEntropy.apply(chosen, head, wanted)

    return loss


@torch.no_grad()
def _head_is_linear(model: Any) -> bool:
    """Whether logits are hidden @ weight.T, without bias, scale or cap: tried, not looked up in a list of models."""
    head = model.get_output_embeddings()
    if not isinstance(head, torch.nn.Linear) or head.bias is not None:
        return False
    rows = torch.arange(8)[None] % model.config.vocab_size
    training, weight = model.training, head.weight.detach().clone()
    model.eval()
    # A cap on the logits shows only far from zero.
    head.weight.mul_(1000)
    logits = model(input_ids=rows, use_cache=False).logits
    expected = model.base_model(input_ids=rows, use_cache=False).last_hidden_state @ head.weight.T
    head.weight.copy_(weight)
    model.train(training)
    return torch.allclose(logits, expected, rtol=1e-4, atol=1e-3)


def make_loss(model: Any) -> Loss:
    """A function from rows (batch, length + 1) of token ids to the mean loss in nats per token that counts.

    Its second argument, labels (batch, length), says what counts: `IGNORED` where a token does not. Without it
    every token but the first of a row counts.
    """
    return _chunked(model) if _head_is_linear(model) else _plain(model)
