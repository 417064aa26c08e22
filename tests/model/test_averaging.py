"""The moving average is the one that is defined, and it is what is validated and released."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from slipway.model.averaging import Average
from tests.model.conftest import StopError, go, outcome, settings


def test_it_follows_its_formula() -> None:
    weight = nn.Parameter(torch.zeros(3))
    average, expected = Average({"w": weight}, 0.9), torch.zeros(3)
    for step in range(1, 200):
        with torch.no_grad():
            weight.add_(torch.tensor([1.0, -2.0, 0.5]) / step)
        average.update(step)
        decay = min(0.9, step / (step + 10))
        expected = decay * expected + (1 - decay) * weight.detach()
    torch.testing.assert_close(average.tensors["w"], expected)
    assert not average.tensors["w"].requires_grad


def test_it_is_applied_for_a_while_or_for_good() -> None:
    weight = nn.Parameter(torch.ones(2))
    average = Average({"w": weight}, 0.5)
    with torch.no_grad():
        weight.fill_(3.0)
    with average.applied():
        assert weight.tolist() == [1.0, 1.0]
    assert weight.tolist() == [3.0, 3.0]
    average.install()
    assert weight.tolist() == [1.0, 1.0]
    assert average.tensors["w"].data_ptr() != weight.data_ptr()


def test_the_average_is_validated_and_released_and_resumed(tokens: Path, tmp_path: Path) -> None:
    recipe = settings(steps=12, average=0.8)
    report = go(tokens, tmp_path / "a", recipe)
    assert report.averaged
    (best,) = (tmp_path / "a" / "work").glob(f"*/step-{report.best_step:06d}")
    kept = load_file(best / "model.safetensors")
    released = load_file(tmp_path / "a" / "trained" / "model.safetensors")
    assert released
    for name, tensor in released.items():
        assert torch.equal(tensor, kept[f"average.{name}"])
    assert any(not torch.equal(tensor, kept[f"model.{name}"]) for name, tensor in released.items())
    plain = go(tokens, tmp_path / "plain", settings(steps=12))
    assert plain.validation_loss != report.validation_loss
    assert plain.train_loss == report.train_loss  # it changes no step
    with pytest.raises(StopError):
        go(tokens, tmp_path / "b", recipe, stop_at=7)
    assert go(tokens, tmp_path / "b", recipe) == report
    assert outcome(tmp_path / "b") == outcome(tmp_path / "a")
