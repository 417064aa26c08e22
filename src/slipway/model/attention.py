"""Causal attention in blocks, for float32 on a processor and rows of some hundred tokens.

As in FlashAttention (Dao et al., arXiv:2205.14135) scores are never all there at once, and the backward pass computes
them again. A block of 64 places and 8 heads stays in the cache, and places that a block cannot see are not computed.
At 512 tokens this takes three quarters of the time of torch's own fused attention on two cores; at 256 and
from 2,048 on torch is as fast, and is used.
"""

import math
from typing import Any

import torch
from torch.autograd.function import once_differentiable
from torch.nn import functional

LENGTHS = range(384, 1025)
"""Tokens in a row at which blocks are faster."""
_BLOCK, _HEADS = 64, 8
_LOG2_E = math.log2(math.e)


def _hidden(like: torch.Tensor) -> torch.Tensor:
    """What is added to the scores of a block with itself: minus infinity for what comes later."""
    return torch.full((_BLOCK, _BLOCK), -torch.inf, dtype=like.dtype).triu(1)


class _Blocks(torch.autograd.Function):
    """Queries, keys and values (batch, heads, length, dim) -> the same shape. Scores are to base 2."""

    @staticmethod
    def forward(ctx: Any, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scale: float) -> torch.Tensor:
        (batch, heads, length, dim), hidden = query.shape, _hidden(query)
        q, k, v = (part.reshape(-1, length, dim) for part in (query * (scale * _LOG2_E), key, value))
        out, sums = torch.empty_like(q), q.new_empty(len(q), length, 1)
        room = q.new_empty(_HEADS * _BLOCK * length)
        for first in range(0, len(q), _HEADS):
            some = slice(first, first + _HEADS)
            count = len(q[some])
            for start in range(0, length, _BLOCK):
                end = min(start + _BLOCK, length)
                size, here = end - start, (some, slice(start, end))
                scores = room[: count * size * end].view(count, size, end)
                torch.bmm(q[here], k[some, :end].mT, out=scores)
                scores[:, :, start:] += hidden[:size, :size]
                highest = scores.amax(2, keepdim=True)
                total = scores.sub_(highest).exp2_().sum(2, keepdim=True)
                out[here] = torch.bmm(scores, v[some, :end]).div_(total)
                sums[here] = total.log2_().add_(highest)
        ctx.save_for_backward(q, k, v, out, sums)
        ctx.scale, ctx.shape = scale, query.shape
        return out.view(batch, heads, length, dim)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *outputs: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        q, k, v, out, sums = ctx.saved_tensors
        length, hidden, grad = q.shape[1], _hidden(q), outputs[0].reshape(q.shape)
        grad_q, grad_k, grad_v = torch.zeros_like(q), torch.empty_like(k), torch.empty_like(v)
        shares = (grad * out).sum(2, keepdim=True)
        rooms = q.new_empty(2, _HEADS * _BLOCK * length)
        for first in range(0, len(q), _HEADS):
            some = slice(first, first + _HEADS)
            count = len(q[some])
            for start in range(0, length, _BLOCK):
                end = min(start + _BLOCK, length)
                # Keys and values of a block, with all the queries that see them.
                size, here, after = end - start, (some, slice(start, end)), (some, slice(start, length))
                chances, error = (
                    room[: count * (length - start) * size].view(count, length - start, size) for room in rooms
                )
                torch.bmm(q[after], k[here].mT, out=chances)
                chances[:, :size] += hidden[:size, :size]
                chances.sub_(sums[after]).exp2_()
                grad_v[here] = torch.bmm(chances.mT, grad[after])
                torch.bmm(grad[after], v[here].mT, out=error)
                error.sub_(shares[after]).mul_(chances)
                grad_k[here] = torch.bmm(error.mT, q[after])
                grad_q[after] += torch.bmm(error, k[here])
        # The queries that were kept are scaled, and to base 2.
        grads = grad_q.mul_(ctx.scale), grad_k.div_(_LOG2_E), grad_v
        return *(part.view(ctx.shape) for part in grads), None


def causal(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scale: float) -> torch.Tensor:
    """Attention of each place to itself and those before it.

    Args:
        query: (batch, heads, length, dim).
        key: the same, or fewer heads that queries share.
        value: as `key`.
        scale: of the scores.
    """
    if query.shape[2] in LENGTHS and query.shape == key.shape:
        return _Blocks.apply(query, key, value, scale)
    shared = query.shape[1] != key.shape[1]
    return functional.scaled_dot_product_attention(query, key, value, is_causal=True, scale=scale, enable_gqa=shared)
