"""Losses over a vocabulary that never hold the logits of a whole batch.

For a small model the logits (positions × vocabulary) are the largest tensor by far. `LinearCrossEntropy`
walks over them in chunks and computes the gradient in the forward pass, as Liger-Kernel's fused
linear cross-entropy does (Hsu et al., arXiv:2410.10989); here in plain torch, for any device. On two cores
it is also faster than the unfused loss, because a chunk stays in the cache. `token_nats` is its differentiable
relative for objectives that need each position, and `LinearDivergence` compares with a teacher.
"""

from typing import Any

import torch
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

CHUNK = {"cpu": 256, "cuda": 4096}
"""Positions per chunk."""


def _chunk(device: torch.device) -> int:
    return CHUNK.get(device.type, 1024)


def _wide(dtype: torch.dtype) -> torch.dtype:
    """What sums are kept in: half precision is too narrow for them."""
    return torch.promote_types(dtype, torch.float32)


class LinearCrossEntropy(torch.autograd.Function):
    """Sum over positions of -log softmax(hidden @ weight.T)[label], in nats, divided by `divisor`."""

    @staticmethod
    def forward(
        ctx: Any, hidden: torch.Tensor, weight: torch.Tensor, labels: torch.Tensor, divisor: float
    ) -> torch.Tensor:
        """`hidden` (n, width), `weight` (vocabulary, width), `labels` (n) -> scalar, float32 or wider."""
        n, chunk = len(labels), _chunk(hidden.device)
        head, wide = weight.to(hidden.dtype), _wide(hidden.dtype)
        total = hidden.new_zeros((), dtype=wide)
        wanted = hidden.requires_grad or weight.requires_grad
        grad_hidden = torch.empty_like(hidden) if wanted else None
        grad_weight = torch.zeros_like(weight, dtype=wide) if wanted else None
        for start in range(0, n, chunk):
            part, label = hidden[start : start + chunk], labels[start : start + chunk, None]
            chances = torch.log_softmax((part @ head.T).to(wide), 1)
            total -= chances.gather(1, label).sum()
            if grad_hidden is None or grad_weight is None:
                continue
            error = chances.exp_()
            error.scatter_add_(1, label, torch.full_like(label, -1.0, dtype=error.dtype))
            error = error.to(hidden.dtype)
            torch.mm(error, head, out=grad_hidden[start : start + chunk])
            if hidden.dtype == wide:
                grad_weight.addmm_(error.T, part)
            else:
                grad_weight += error.T @ part
        if grad_hidden is not None and grad_weight is not None:
            ctx.save_for_backward(grad_hidden.div_(divisor), grad_weight.div_(divisor).to(weight.dtype))
        return total / divisor

    @staticmethod
    def backward(ctx: Any, *outputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, None, None]:
        grad_hidden, grad_weight = ctx.saved_tensors
        return grad_hidden * outputs[0], grad_weight * outputs[0], None, None


def _nats(hidden: torch.Tensor, weight: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    logits = (hidden @ weight.to(hidden.dtype).T).to(_wide(hidden.dtype))
    return functional.cross_entropy(logits, labels, reduction="none")


def token_nats(hidden: torch.Tensor, weight: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """-log softmax(hidden @ weight.T)[label] of each position, shape (n); logits are computed again for gradients."""
    chunk, parts = _chunk(hidden.device), []
    for start in range(0, len(labels), chunk):
        pieces = hidden[start : start + chunk], weight, labels[start : start + chunk]
        parts.append(checkpoint(_nats, *pieces, use_reentrant=False) if torch.is_grad_enabled() else _nats(*pieces))
    return torch.cat(parts) if parts else hidden.new_zeros(0)


class LinearDivergence(torch.autograd.Function):
    """Sum over positions of T² KL(teacher || student) of distributions softened by T, divided by `divisor`.

    Hinton et al., arXiv:1503.02531, with the gradient computed chunk by chunk in the forward pass.
    """

    @staticmethod
    def forward(  # noqa: PLR0917  (autograd passes them by place)
        ctx: Any,
        hidden: torch.Tensor,
        weight: torch.Tensor,
        teacher_hidden: torch.Tensor,
        teacher_weight: torch.Tensor,
        temperature: float,
        divisor: float,
    ) -> torch.Tensor:
        """`hidden` (n, width), `weight` (vocabulary, width), the teacher's alike -> scalar."""
        n, chunk = len(hidden), _chunk(hidden.device)
        head, vocabulary, wide = weight.to(hidden.dtype), len(weight), _wide(hidden.dtype)
        wanted = hidden.requires_grad or weight.requires_grad
        total = hidden.new_zeros((), dtype=wide)
        grad_hidden, grad_weight = torch.empty_like(hidden), torch.zeros_like(weight, dtype=wide)
        for start in range(0, n, chunk):
            part, other = hidden[start : start + chunk], teacher_hidden[start : start + chunk]
            ours = torch.log_softmax((part @ head.T).to(wide) / temperature, 1)
            # A teacher's vocabulary may be filled up to a round number; ours is the tokenizer's.
            scores = (other @ teacher_weight[:vocabulary].to(other.dtype).T).to(wide)
            theirs = torch.log_softmax(scores / temperature, 1)
            chances = theirs.exp()
            total += (chances * (theirs - ours)).sum()
            if wanted:
                error = ((ours.exp_() - chances) * temperature).to(hidden.dtype)
                torch.mm(error, head, out=grad_hidden[start : start + chunk])
                grad_weight += error.T @ part
        if wanted:
            ctx.save_for_backward(grad_hidden.div_(divisor), grad_weight.div_(divisor).to(weight.dtype))
        return total * (temperature**2 / divisor)

    @staticmethod
    def backward(ctx: Any, *outputs: torch.Tensor) -> tuple[Any, ...]:
        grad_hidden, grad_weight = ctx.saved_tensors
        return grad_hidden * outputs[0], grad_weight * outputs[0], None, None, None, None
