"""How much arithmetic a token costs: counted on the model itself, not looked up."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode


class Flops(NamedTuple):
    """Floating-point operations of training."""

    per_token: int
    """Forward and backward, per place of a row; not what activation checkpointing repeats."""
    method: str


def _added(_: Any, one: Any, other: Any, **__: Any) -> int:
    """Operations of a matrix product, by the shapes of its factors."""
    return 2 * int(one[0]) * int(one[1]) * int(other[1])


def count(learner: nn.Module, batch: Any, computing: Callable[[], AbstractContextManager[None]]) -> Flops:
    """Count one row, forward and backward, with torch's counter of matrix products.

    Attention is counted in full, as is customary, though a causal one needs half. If the row does not fit into
    memory without activation checkpointing, six operations per parameter are taken (Kaplan et al., arXiv:2001.08361).
    """
    model: Any = learner.model
    again = bool(getattr(model, "is_activation_checkpointing", False))
    if again:
        model.activation_checkpointing_disable()
    # The counter knows a product that is added to a new tensor, but not one that is added in place.
    counter = FlopCounterMode(display=False, custom_mapping={torch.ops.aten.addmm_: _added})
    try:
        # The fused kernel of a processor is unknown to the counter; the plain one is the same arithmetic.
        with counter, sdpa_kernel(SDPBackend.MATH), computing():
            learner(batch, 1.0).value.backward()
        found = Flops(round(counter.get_total_flops() / batch.places), "counted on one row")
    except torch.OutOfMemoryError:
        parameters = sum(p.numel() for p in model.parameters())
        found = Flops(6 * parameters, "6 per parameter and token; counting did not fit into memory")
    finally:
        learner.zero_grad()
        if again:
            model.activation_checkpointing_enable({"use_reentrant": False})
    return found
