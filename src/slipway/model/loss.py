"""Losses over a vocabulary that never hold the logits of a whole batch.

For a small model the logits (positions × vocabulary) are the largest tensor by far. `LinearCrossEntropy`
walks over them in chunks and computes the gradient in the forward pass, as Liger-Kernel's fused
linear cross-entropy does (Hsu et al., arXiv:2410.10989); here in plain torch, for any device. On two cores
it is also faster than the unfused loss, because a chunk stays in the cache. `token_nats` is its differentiable
relative for objectives that need each position, and `LinearDivergence` compares with a teacher.
"""

import math
from typing import Any, NamedTuple

import torch
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

CHUNK = {"cpu": 256, "cuda": 4096}
"""Positions per chunk."""
LOG2_E = math.log2(math.e)


def _chunk(device: torch.device) -> int:
    return CHUNK.get(device.type, 1024)


def _wide(dtype: torch.dtype) -> torch.dtype:
    """What sums are kept in: half precision is too narrow for them."""
    return torch.promote_types(dtype, torch.float32)


class _Part(NamedTuple):
    """A chunk of positions on its way through the head, and where its gradients go (None: nowhere)."""

    hidden: torch.Tensor
    label: torch.Tensor
    grad_hidden: torch.Tensor | None
    grad_weight: torch.Tensor | None
    """Of all chunks so far; this one is added, or put there if it is the first."""
    divisor: float
    first: bool


def _wide_part(part: _Part, head: torch.Tensor, room: torch.Tensor) -> torch.Tensor:
    """Nats of a chunk in full precision; `room` holds its scores.

    Scores are to base 2, because exp2 takes half the time of exp. Their vocabulary comes first, which is the faster
    product. They are never divided by their sum: what they are multiplied with is, and is far smaller.
    """
    label = part.label[None]
    scores = torch.mm(head, (part.hidden * LOG2_E).T, out=room[: len(head) * label.numel()].view(len(head), -1))
    highest = scores.amax(0, keepdim=True)
    own = scores.sub_(highest).gather(0, label)
    sums = scores.exp2_().sum(0, keepdim=True)
    found = (sums.log2() - own).sum() / LOG2_E
    scores.scatter_(0, label, own.exp2_() - sums)
    sums = sums.T * part.divisor
    if part.grad_hidden is not None:
        torch.mm(scores.T, head, out=part.grad_hidden).div_(sums)
    if part.grad_weight is not None:
        # Not addmm_, which torch's counter of operations passes over.
        so_far = part.grad_weight
        torch.addmm(so_far, scores, part.hidden / sums, beta=int(not part.first), out=so_far)
    return found


def _half_part(part: _Part, head: torch.Tensor) -> torch.Tensor:
    """The same in half precision, with sums in float32; gradients are not yet divided by the divisor."""
    label, wide = part.label[:, None], _wide(head.dtype)
    chances = torch.log_softmax((part.hidden @ head.T).to(wide), 1)
    found = -chances.gather(1, label).sum()
    error = chances.exp_()
    error.scatter_add_(1, label, torch.full_like(label, -1.0, dtype=wide))
    error = error.to(head.dtype)
    if part.grad_hidden is not None:
        torch.mm(error, head, out=part.grad_hidden)
    if part.grad_weight is not None:
        part.grad_weight.add_(error.T @ part.hidden)
    return found


class LinearCrossEntropy(torch.autograd.Function):
    """Sum over positions of -log softmax(hidden @ weight.T)[label], in nats, divided by `divisor`."""

    @staticmethod
    def forward(
        ctx: Any, hidden: torch.Tensor, weight: torch.Tensor, labels: torch.Tensor, divisor: float
    ) -> torch.Tensor:
        """`hidden` (n, width), `weight` (vocabulary, width), `labels` (n) -> scalar, float32 or wider."""
        n, chunk, wide = len(labels), _chunk(hidden.device), _wide(hidden.dtype)
        head = weight.to(hidden.dtype)
        grad_hidden = torch.empty_like(hidden) if ctx.needs_input_grad[0] else None
        full = hidden.dtype == wide
        make = torch.empty_like if full and n else torch.zeros_like
        grad_weight = make(weight, dtype=wide) if ctx.needs_input_grad[1] else None
        # One piece of memory for all chunks: new pages would cost more than the passes over them.
        room = hidden.new_empty(len(weight) * min(chunk, n)) if full else None
        total = hidden.new_zeros((), dtype=wide)
        for start in range(0, n, chunk):
            here = slice(start, start + chunk)
            into = None if grad_hidden is None else grad_hidden[here]
            part = _Part(hidden[here], labels[here], into, grad_weight, divisor, start == 0)
            total += _half_part(part, head) if room is None else _wide_part(part, head, room)
        for grad in (grad_hidden, grad_weight):
            if grad is not None and not full:
                grad.div_(divisor)
        ctx.save_for_backward(grad_hidden, None if grad_weight is None else grad_weight.to(weight.dtype))
        return total / divisor

    @staticmethod
    def backward(ctx: Any, *outputs: torch.Tensor) -> tuple[torch.Tensor | None, torch.Tensor | None, None, None]:
        # On a processor looking is cheaper than multiplying by one, elsewhere it would wait for the device.
        if outputs[0].device.type == "cpu" and float(outputs[0]) == 1.0:
            return *ctx.saved_tensors, None, None
        grad_hidden, grad_weight = (None if grad is None else grad * outputs[0] for grad in ctx.saved_tensors)
        return grad_hidden, grad_weight, None, None


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
