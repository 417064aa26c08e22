"""Whether another forward of a layer computes the same function: tried on random input and random weights.

Outputs and all gradients must agree to float32 rounding. Weights are drawn anew because fresh ones hide differences:
a norm that starts with ones looks like one without a weight.
"""

from collections.abc import Callable
from types import MethodType
from typing import Any

import torch
from torch import nn
from torch.func import functional_call

TOLERANCE = 1e-5
"""Relative to the value, and to the largest value of the tensor."""
_ROWS, _LENGTH = 2, 9
_REFUSALS = (TypeError, ValueError, RuntimeError, AttributeError, KeyError, IndexError, NotImplementedError)
"""What a layer may raise that is not called as the trial calls it: then it's another function."""

_Call = tuple[tuple[torch.Tensor, ...], dict[str, Any]]


def _calls(module: Any, draw: Callable[..., torch.Tensor]) -> list[_Call]:
    """Arguments to try: differentiable ones, and the rest by name."""
    if hasattr(module, "q_proj"):
        hidden = draw(_ROWS, _LENGTH, module.q_proj.in_features)
        causal = torch.ones(_LENGTH, _LENGTH, dtype=torch.bool).tril()
        causal[5:, :5] = False  # a second document
        mask = causal.expand(_ROWS, 1, _LENGTH, _LENGTH)
        shared, apart = ([draw(rows, _LENGTH, module.head_dim) for _ in range(2)] for rows in (1, _ROWS))
        return [
            ((hidden,), {"position_embeddings": tuple(shared), "attention_mask": None}),
            ((hidden,), {"position_embeddings": tuple(apart), "attention_mask": mask}),
        ]
    width = module.gate_proj.in_features if hasattr(module, "gate_proj") else len(module.weight)
    # Not centred on zero, so that a norm that subtracts the mean shows.
    return [((draw(_ROWS, _LENGTH, width) + 0.5,), {})]


def _results(module: Any, weights: dict[str, torch.Tensor], call: _Call, seed: int) -> list[torch.Tensor]:
    """Output, and the gradients of a weighted sum of it."""
    inputs = [*(value.requires_grad_() for value in call[0]), *(w.requires_grad_() for w in weights.values())]
    out = functional_call(module, weights, call[0], call[1])
    out = out[0] if isinstance(out, tuple) else out
    pull = torch.randn(out.shape, generator=torch.Generator().manual_seed(seed))
    return [out.detach(), *torch.autograd.grad(out, inputs, pull)]


def _close(one: torch.Tensor, other: torch.Tensor) -> bool:
    if one.shape != other.shape or one.dtype != other.dtype:
        return False
    return torch.allclose(one, other, rtol=TOLERANCE, atol=TOLERANCE * float(other.abs().max()))


def same(module: nn.Module, candidate: Callable[..., Any]) -> bool:
    """Whether `candidate`, as the forward of `module`, gives its outputs and gradients; leaves the module as it was."""
    generator = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator)

    # Small enough that products stay near one, as in a trained model.
    weights = {
        name: draw(*p.shape) / max(p.shape[-1] if p.ndim > 1 else 1, 1) ** 0.5 for name, p in module.named_parameters()
    }
    modes = {part: part.training for part in module.modules()}
    try:
        module.train()  # dropout in a layer shows only here
        with torch.random.fork_rng(devices=[]), torch.enable_grad():
            for call in _calls(module, draw):
                expected = _results(module, weights, call, 1)
                module.forward = MethodType(candidate, module)
                found = _results(module, weights, call, 1)
                del module.forward
                if not all(_close(*pair) for pair in zip(found, expected, strict=True)):
                    return False
    except _REFUSALS:
        return False
    finally:
        vars(module).pop("forward", None)
        for part, mode in modes.items():
            part.training = mode
    return True
