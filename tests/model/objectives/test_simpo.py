"""Preference optimisation without a reference equals its formula, written plainly."""

from pathlib import Path

import pytest
import torch
from torch.nn import functional

from slipway.model.build import build
from slipway.model.data import IGNORED
from slipway.model.forward import Forward
from slipway.model.objectives import choose
from tests.model.conftest import ARCHITECTURE, go, settings
from tests.model.objectives.test_dpo import likelihoods


@pytest.mark.parametrize(("beta", "margin"), [(2.0, 1.0), (0.5, 0.0)])
def test_loss_and_gradient_equal_the_formula(choices: Path, beta: float, margin: float) -> None:
    recipe = settings(objective={"kind": "simpo", "beta": beta, "margin": margin})
    objective = choose(recipe, 7, choices, Path())
    model = build(ARCHITECTURE, 300, 16, seed=1)
    objective.begin(Forward(model), torch.device("cpu"))
    batch = objective.train.batch(2, 5)
    found = objective.loss(Forward(model), batch, batch.units)
    found.value.backward()
    gradients = [parameter.grad.clone() for parameter in model.parameters()]
    model.zero_grad()
    lengths = (batch.labels != IGNORED).sum(1).view(-1, 2)
    mean = likelihoods(model, batch) / lengths
    won = beta * (mean[:, 0] - mean[:, 1]) - margin
    plain = torch.log1p(torch.exp(-won)).mean()
    plain.backward()
    assert found.value.item() == pytest.approx(plain.item(), rel=1e-5)
    assert found.value.item() == pytest.approx(-functional.logsigmoid(won).mean().item(), rel=1e-5)
    assert found.sums["preferred"].item() == (mean[:, 0] > mean[:, 1]).sum().item()
    for parameter, gradient in zip(model.parameters(), gradients, strict=True):
        torch.testing.assert_close(gradient, parameter.grad, rtol=1e-3, atol=1e-7)


def test_it_learns_from_a_base(choices: Path, base: Path, tmp_path: Path) -> None:
    objective = {"kind": "simpo", "margin": 0.5}
    recipe = settings(start="base", architecture=None, objective=objective, steps=20, validate_every=5, patience=20)
    report = go(choices, tmp_path, recipe, other=base)
    assert report.objective == "simpo"
    assert report.train_loss < 0.97  # it began at log(1 + exp(0.5)), 0.974
    assert report.validation_bits_per_byte is None
