"""Arithmetic per token is counted, and agrees with the formula where there is one."""

from contextlib import nullcontext
from typing import Any

import pytest
import torch

from slipway.model.build import build
from slipway.model.data import IGNORED, Batch
from slipway.model.flops import count
from slipway.model.forward import Forward, cross_entropy
from slipway.model.objectives import Loss
from slipway.model.run import Learner
from tests.model.conftest import ARCHITECTURE


class Plain:
    """Cross-entropy alone."""

    def loss(self, forward: Forward, batch: Any, divisor: float) -> Loss:
        return Loss(cross_entropy(forward(batch), divisor), {})


def counted(architecture: dict, *, again: bool = False, learnt: int = 16) -> tuple[int, Any]:
    model = build(architecture, 300, 16, seed=1).train()
    if again:
        model.activation_checkpointing_enable({"use_reentrant": False})
    rows = torch.randint(1, 300, (1, 17))
    labels = rows[:, 1:].clone()
    labels[:, learnt:] = IGNORED
    learner = Learner(Forward(model), Plain())  # type: ignore[arg-type]
    found = count(learner, Batch(rows, labels), nullcontext)
    assert found.method == "counted on one row"
    assert all(parameter.grad is None for parameter in model.parameters())
    assert model.is_activation_checkpointing is again
    return found.per_token, model


@pytest.mark.parametrize("tied", [True, False])
def test_a_dense_model_costs_six_per_weight_and_its_attention(tied: bool) -> None:
    found, model = counted(ARCHITECTURE | {"tie_word_embeddings": tied})
    inner = sum(p.numel() for name, p in model.named_parameters() if p.ndim == 2 and "layers" in name)
    # Per layer two products of the whole row, forward once and backward twice; the lookup of embeddings is free.
    attention = 2 * 3 * 2 * 2 * 16 * 32
    # The model's own angles (a product with ones) and nothing else may be on top.
    assert found == pytest.approx(6 * (inner + 300 * 32) + attention, rel=0.005)


def test_what_activation_checkpointing_repeats_does_not_count() -> None:
    assert counted(ARCHITECTURE, again=True)[0] == counted(ARCHITECTURE)[0]


def test_places_that_do_not_count_spare_the_head() -> None:
    assert counted(ARCHITECTURE)[0] - counted(ARCHITECTURE, learnt=8)[0] == 6 * 300 * 32 // 2
