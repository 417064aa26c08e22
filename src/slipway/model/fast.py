"""Forward and backward passes of common layers with fewer walks over memory, for float32 on a processor.

Small matrices leave a processor waiting for memory: a norm written out in Python reads its input six times, rotating
queries and keys makes eleven temporary tensors. `speed_up` puts in the layers below, but only where a trial on random
input and random weights gives the outputs and gradients of the layer that is there: tried, not looked up in a list of
classes. Parameters keep their names and places. A call that is not the one of training (a cache, half precision,
an adapter or a hook on a projection, an accelerator) goes to the layer's own forward, each time anew.
"""

import ctypes
import inspect
from collections import Counter
from types import MethodType
from typing import Any

import torch
from torch import nn
from torch.autograd.function import once_differentiable
from torch.distributed.tensor import DTensor

from slipway.model.trial import same

_Grads = tuple[torch.Tensor | None, ...]
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""From glibc's malloc.h."""
_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


class _Norm(torch.autograd.Function):
    """x / sqrt(mean(x²) + eps) · (offset + weight), over the last axis."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, weight: torch.Tensor, eps: float, offset: float) -> torch.Tensor:
        flat = x.reshape(-1, x.shape[-1])
        inverse = torch.linalg.vector_norm(flat, dim=1, keepdim=True).square_().div_(x.shape[-1]).add_(eps).rsqrt_()
        ctx.save_for_backward(flat, weight, inverse)
        ctx.offset = offset
        return torch.mul(flat, inverse).mul_(weight + offset).view(x.shape)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *outputs: torch.Tensor) -> _Grads:
        (x, weight, inverse), grad = ctx.saved_tensors, outputs[0]
        scale, flat = weight + ctx.offset, grad.reshape(x.shape)
        # One product serves both: its sum over rows is for the weight, that over columns for x.
        product = flat * x
        grad_weight = torch.mv(product.T, inverse[:, 0]) if ctx.needs_input_grad[1] else None
        share = torch.mv(product, scale)[:, None].mul_(inverse.square()).div_(x.shape[1])
        grad_x = torch.mul(flat, scale, out=product).addcmul_(x, share, value=-1).mul_(inverse)
        return grad_x.view(grad.shape), grad_weight, None, None


class _GatedMlp(torch.autograd.Function):
    """down(silu(gate(x)) · up(x)); keeps three tensors of the inner width instead of four."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, *weights: torch.Tensor) -> torch.Tensor:
        gate, up, down = weights
        flat = x.reshape(-1, x.shape[-1])
        lit, b = flat @ gate.T, flat @ up.T
        sigma = lit.sigmoid()
        lit.mul_(sigma)
        ctx.save_for_backward(flat, gate, up, down, sigma, lit, b)
        return ((lit * b) @ down.T).view(*x.shape[:-1], len(down))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *outputs: torch.Tensor) -> _Grads:
        x, gate, up, down, sigma, lit, b = ctx.saved_tensors
        wanted, grad = ctx.needs_input_grad, outputs[0]
        flat = grad.reshape(len(x), -1)
        inner = lit * b
        grad_down = flat.T @ inner if wanted[3] else None
        through = torch.mm(flat, down, out=inner)
        grad_b = through * lit
        # The slope of silu is sigma + silu · (1 - sigma).
        grad_a = through.mul_(b).mul_(torch.addcmul(sigma, lit, 1 - sigma))
        grad_x = torch.addmm(torch.mm(grad_b, up), grad_a, gate).view(*grad.shape[:-1], -1) if wanted[0] else None
        return grad_x, grad_a.T @ x if wanted[1] else None, grad_b.T @ x if wanted[2] else None, grad_down


def _rotate(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor, out: torch.Tensor, *, back: bool) -> None:
    """Turn x (batch, length, heads, dim) by the angles (batch or 1, length, 1, dim), or a gradient back, into `out`."""
    half = x.shape[-1] // 2
    torch.mul(x, cos, out=out)
    # The gradient of a turn is the turn back, with the sines of the other half.
    one, two = (sin[..., half:], sin[..., :half]) if back else (sin[..., :half], sin[..., half:])
    out[..., :half].addcmul_(x[..., half:], one, value=1 if back else -1)
    out[..., half:].addcmul_(x[..., :half], two, value=-1 if back else 1)


class _Heads(torch.autograd.Function):
    """Queries, keys and values in one matrix product, queries and keys turned; each (batch, heads, length, dim)."""

    @staticmethod
    def forward(
        ctx: Any, x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor, *weights: torch.Tensor
    ) -> tuple[torch.Tensor, ...]:
        flat, dim = x.reshape(-1, x.shape[-1]), cos.shape[-1]
        found = (flat @ torch.cat(weights).T).view(*x.shape[:2], -1, dim)
        queries, turned = len(weights[0]) // dim, (len(weights[0]) + len(weights[1])) // dim
        out = found.new_empty(*x.shape[:2], turned, dim)
        _rotate(found[:, :, :turned], cos[:, :, None], sin[:, :, None], out, back=False)
        ctx.save_for_backward(flat, cos, sin, *weights)
        parts = out[:, :, :queries], out[:, :, queries:], found[:, :, turned:]
        return tuple(part.transpose(1, 2) for part in parts)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *outputs: torch.Tensor) -> _Grads:
        x, cos, sin, *weights = ctx.saved_tensors
        queries, keys, values = (grad.transpose(1, 2) for grad in outputs)
        weight, sizes = torch.cat(weights), [len(weight) for weight in weights]
        out = x.new_empty(*queries.shape[:2], len(weight) // cos.shape[-1], cos.shape[-1])
        parts = out.split([size // cos.shape[-1] for size in sizes], 2)
        _rotate(queries, cos[:, :, None], sin[:, :, None], parts[0], back=True)
        _rotate(keys, cos[:, :, None], sin[:, :, None], parts[1], back=True)
        parts[2].copy_(values)
        flat, wanted = out.view(len(x), -1), ctx.needs_input_grad
        grad_x = (flat @ weight).view(*queries.shape[:2], -1) if wanted[0] else None
        if not any(wanted[3:]):
            return grad_x, None, None, None, None, None
        return grad_x, None, None, *(flat.T @ x).split(sizes)


def _of_training(x: Any, *weights: torch.Tensor) -> bool:
    """Whether a call is one that the functions above are for."""
    plain = all(w.dtype == torch.float32 and not isinstance(w, DTensor) for w in weights)
    here = isinstance(x, torch.Tensor) and x.device.type == "cpu" and x.dtype == torch.float32
    return here and plain and not torch.is_autocast_enabled("cpu") and not torch.compiler.is_compiling()


def _weights(module: nn.Module, *names: str) -> list[torch.Tensor] | None:
    """Weights of plain linear maps; None if one has a bias, a hook, or is something else (an adapter, 4 bits)."""
    found: list[torch.Tensor] = []
    for name in names:
        linear = getattr(module, name, None)
        if type(linear) is not nn.Linear or linear.bias is not None or "forward" in vars(linear):
            return None
        if any(getattr(linear, hooks) for hooks in _HOOKS):
            return None
        found.append(linear.weight)
    return found


def _fused(attention: Any) -> bool:
    """Whether attention is torch's own, without dropout."""
    return attention.config._attn_implementation == "sdpa" and not attention.attention_dropout  # noqa: SLF001


def _own(module: Any, *args: Any, **kwargs: Any) -> Any:
    return type(module).forward(module, *args, **kwargs)


def _norm_by(offset: float) -> Any:
    def norm(self: Any, *args: Any, **kwargs: Any) -> Any:
        if kwargs or len(args) != 1 or not _of_training(args[0], self.weight):
            return _own(self, *args, **kwargs)
        eps = self.variance_epsilon if hasattr(self, "variance_epsilon") else self.eps
        return _Norm.apply(args[0], self.weight, eps, offset)

    return norm


def _mlp(self: Any, *args: Any, **kwargs: Any) -> Any:
    weights = _weights(self, "gate_proj", "up_proj", "down_proj")
    if weights is None or kwargs or len(args) != 1 or not _of_training(args[0], *weights):
        return _own(self, *args, **kwargs)
    return _GatedMlp.apply(args[0], *weights)


def _attention(
    self: Any,
    hidden_states: torch.Tensor,
    position_embeddings: tuple[torch.Tensor, torch.Tensor] | None = None,
    attention_mask: torch.Tensor | None = None,
    past_key_values: Any = None,
    **kwargs: Any,
) -> Any:
    weights = _weights(self, "q_proj", "k_proj", "v_proj")
    turn = position_embeddings is not None and position_embeddings[0].shape[-1] == self.head_dim
    usual = turn and _fused(self) and past_key_values is None and not kwargs.get("output_attentions")
    if weights is None or position_embeddings is None or not usual or not _of_training(hidden_states, *weights):
        given = (hidden_states, position_embeddings, attention_mask)
        return _own(self, *given, past_key_values=past_key_values, **kwargs)
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    query, key, value = _Heads.apply(hidden_states, *position_embeddings, *weights)
    kwargs |= {"dropout": 0.0, "scaling": self.scaling}
    out, _ = sdpa_attention_forward(self, query, key, value, attention_mask, **kwargs)
    return self.o_proj(out.reshape(*hidden_states.shape[:2], -1)), None


def _candidates(module: Any) -> list[Any]:
    """Forwards to try on a module, by what it has."""
    takes = len(inspect.signature(type(module).forward).parameters) - 1
    eps = getattr(module, "variance_epsilon", None) or getattr(module, "eps", None)
    if not list(module.children()) and isinstance(eps, float) and takes == 1:
        weight = getattr(module, "weight", None)
        alone = isinstance(weight, nn.Parameter) and weight.ndim == 1 and len(list(module.parameters())) == 1
        return [_norm_by(0.0), _norm_by(1.0)] if alone else []
    if _weights(module, "gate_proj", "up_proj", "down_proj") and takes == 1:
        return [_mlp]
    needed = ("head_dim", "scaling", "attention_dropout", "config", "o_proj")
    if _weights(module, "q_proj", "k_proj", "v_proj") and all(hasattr(module, name) for name in needed):
        return [_attention] if _fused(module) else []
    return []


def keep_pages() -> bool:
    """Let the C library keep freed memory, in the whole process, for the next step; False where it is not glibc.

    Given back and taken anew, as it does with large pieces by default, each page costs a fault and is cleared first.
    """
    try:
        told = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    return bool(told(_MMAP_THRESHOLD, 2**30) and told(_TRIM_THRESHOLD, 2**30))


def speed_up(model: nn.Module) -> list[str]:
    """Put faster passes into the submodules of a model where a trial proves them equal; only float32 on a processor.

    Returns: what was put in, by class with numbers, for the record; empty if nothing was.
    """
    found: Counter[str] = Counter()
    for module in model.modules():
        parameters = list(module.parameters())
        if not parameters or "forward" in vars(module):
            continue
        if not all(_of_training(p, p) for p in parameters):
            continue
        for candidate in _candidates(module):
            if same(module, candidate):
                module.forward = MethodType(candidate, module)
                found[type(module).__name__] += 1
                break
    return [f"{name} x {count}" for name, count in sorted(found.items())]
