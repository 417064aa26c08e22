"""Direct preference optimisation against a second model that is held beside the first."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional

from slipway.model.base import load_base
from slipway.model.data import IGNORED
from slipway.model.device import choose as choose_device
from slipway.model.forward import Forward
from slipway.model.objectives import choose
from slipway.model.pairs import PairBatch
from tests.model.conftest import StopError, go, outcome, settings


def recipe(**objective: object) -> Any:
    values = {"optimizer": "adamw", "steps": 12, "learning_rate": 0.003}
    return settings(start="base", architecture=None, objective={"kind": "dpo"} | objective, **values)


def likelihoods(model: Any, batch: PairBatch) -> torch.Tensor:
    """log p of every answer, row by row, written plainly."""
    found = []
    for row, labels in zip(batch.rows, batch.labels, strict=True):
        chances = model(input_ids=row[None, :-1], use_cache=False).logits[0].log_softmax(-1)
        found.append(sum(chances[place, label] for place, label in enumerate(labels.tolist()) if label != IGNORED))
    return torch.stack(found).view(-1, 2)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_loss_and_gradient_equal_those_of_a_reference_with_two_models(
    choices: Path, base: Path, smoothing: float
) -> None:
    settings_ = recipe(beta=0.3, label_smoothing=smoothing)
    objective = choose(settings_, 7, choices, Path())
    policy, reference = load_base(base, "base").train(), load_base(base, "base").eval()
    forward = Forward(policy)
    objective.begin(forward, choose_device(settings_).place)
    assert policy.training
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.02)
    for batch in (objective.train.batch(3, 4), objective.held_out.sample(4)):
        policy.train(batch.numbers.tolist() == objective.train.batch(3, 4).numbers.tolist())
        found = objective.loss(forward, batch, batch.units)
        found.value.backward()
        gradients = [parameter.grad.clone() for parameter in policy.parameters()]
        policy.zero_grad()
        ours = likelihoods(policy, batch)
        with torch.no_grad():
            theirs = likelihoods(reference, batch)
        won = 0.3 * ((ours - theirs)[:, 0] - (ours - theirs)[:, 1])
        plain = (1 - smoothing) * -functional.logsigmoid(won) + smoothing * -functional.logsigmoid(-won)
        plain.mean().backward()
        assert found.value.item() == pytest.approx(plain.mean().item(), rel=1e-4)
        assert found.value.item() != pytest.approx(math.log(2), abs=1e-3)
        assert found.sums["preferred"].item() == (won > 0).sum().item()
        assert found.sums["margin"].item() == pytest.approx(won.sum().item(), rel=1e-3)
        for parameter, gradient in zip(policy.parameters(), gradients, strict=True):
            torch.testing.assert_close(gradient, parameter.grad, rtol=1e-3, atol=1e-6)
        policy.zero_grad()


def test_it_begins_at_log_2_and_prefers_what_was_chosen(choices: Path, base: Path, tmp_path: Path) -> None:
    import json

    report = go(choices, tmp_path / "a", recipe(), other=base)
    lines = [json.loads(line) for line in (tmp_path / "a" / "log.jsonl").read_text().splitlines()]
    assert lines[0]["loss"] == pytest.approx(math.log(2), abs=1e-6)
    assert lines[-1]["loss"] < 0.6
    assert {"validation_preferred", "validation_margin"} <= lines[-1].keys()
    assert 0 <= lines[-1]["validation_preferred"] <= 1
    assert report.validation_bits_per_byte is None
    with pytest.raises(StopError):
        go(choices, tmp_path / "b", recipe(), stop_at=7, other=base)
    assert go(choices, tmp_path / "b", recipe(), other=base) == report
    assert outcome(tmp_path / "b") == outcome(tmp_path / "a")


def test_with_adapters_the_reference_is_the_bare_base(choices: Path, base: Path, tmp_path: Path) -> None:
    import json

    values = recipe().model_dump() | {"adapter": {"rank": 4}, "learning_rate": 0.02}
    report = go(choices, tmp_path, type(recipe())(**values), other=base)
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert lines[0]["loss"] == pytest.approx(math.log(2), abs=1e-6)
    assert lines[-1]["loss"] < 0.69
    assert report.merge_error < 1e-4
