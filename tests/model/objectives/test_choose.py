"""What holds for every objective: the loss is a sum over units, so that parts of a batch add up to it."""

from pathlib import Path
from typing import Any

import pytest
import torch

from slipway.model.build import build
from slipway.model.forward import Forward
from slipway.model.objectives import choose
from slipway.settings import Train
from tests.model.conftest import ARCHITECTURE, go, settings

KINDS: dict[str, dict[str, Any]] = {
    "pretrain": {"kind": "pretrain"},
    "apart": {"kind": "pretrain", "document_mask": True},
    "sft": {"kind": "sft"},
    "dpo": {"kind": "dpo"},
    "simpo": {"kind": "simpo"},
    "distill": {"kind": "distill"},
}


@pytest.fixture
def data(request: pytest.FixtureRequest, kind: str) -> Path:
    """Tokens that the objective learns from."""
    name = "choices" if kind in ("dpo", "simpo") else "chats" if kind == "sft" else "tokens"
    found: Path = request.getfixturevalue(name)
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_parts_of_a_batch_add_up_to_its_loss_and_gradient(data: Path, base: Path, kind: str) -> None:
    recipe = settings(objective=KINDS[kind])
    objective = choose(recipe, 7, data, base)
    model = build(ARCHITECTURE, 300, 16, seed=1)
    forward = Forward(model.train())
    objective.begin(forward, torch.device("cpu"))
    assert objective.unit == ("pair" if kind in ("dpo", "simpo") else "token")
    batch = objective.train.batch(3, 6)
    results = []
    for size in (6, 4, 1):
        model.zero_grad()
        parts = batch.split(size)
        assert sum(part.units for part in parts) == batch.units
        assert sum(part.learnt for part in parts) == batch.learnt
        total = 0.0
        for part in parts:
            value = objective.loss(forward, part, batch.units).value
            value.backward()
            total += value.item()
        results.append((total, [parameter.grad.clone() for parameter in model.parameters()]))
    for total, gradients in results[1:]:
        assert total == pytest.approx(results[0][0], rel=1e-5)
        for one, other in zip(gradients, results[0][1], strict=True):
            torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_small_steps_through_memory_give_the_same_run(data: Path, base: Path, tmp_path: Path, kind: str) -> None:
    def run(name: str, **changes: Any) -> Any:
        first = {"start": "base", "architecture": None} if kind in ("dpo", "simpo") else {}
        recipe: Train = settings(
            objective=KINDS[kind], steps=4, validate_every=4, optimizer="adamw", **first, **changes
        )
        return go(data, tmp_path / name, recipe, other=base)

    whole, parts = run("whole"), run("parts", micro_batch_size=1)
    assert parts.validation_loss == pytest.approx(whole.validation_loss, rel=1e-4)
    assert parts.train_loss == pytest.approx(whole.train_loss, rel=1e-4)
    assert parts.tokens_learnt == whole.tokens_learnt
