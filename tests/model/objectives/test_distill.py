"""Distillation equals torch's own divergence on full logits, whatever the teacher's vocabulary."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional

from slipway.errors import UserError
from slipway.model.base import load_base
from slipway.model.build import build
from slipway.model.data import IGNORED
from slipway.model.forward import Forward
from slipway.model.objectives import choose
from tests.model.conftest import ARCHITECTURE, go, settings, write_base

LARGER = ARCHITECTURE | {"hidden_size": 64, "num_hidden_layers": 3}
PHI = {
    "model_type": "phi",
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
}
"""Its head has a bias, so that the model computes its logits itself."""


def sharpened(directory: Path, architecture: dict[str, Any], vocabulary: int) -> Path:
    """A teacher that is sure of something."""
    from safetensors.torch import load_file, save_file

    write_base(directory, architecture, vocabulary)
    path = directory / "model.safetensors"
    weights = {name: tensor * (8 if "embed" in name else 1) for name, tensor in load_file(path).items()}
    save_file(weights, path, metadata={"format": "pt"})
    return directory


@pytest.mark.parametrize(
    ("student", "teacher", "vocabulary", "ours"),
    [
        (ARCHITECTURE, LARGER, 300, 300),
        (ARCHITECTURE, LARGER, 320, 300),
        (ARCHITECTURE, LARGER, 300, 320),
        (PHI, PHI, 320, 300),
    ],
)
@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_loss_and_gradient_equal_those_on_full_logits(  # noqa: PLR0917
    chats: Path, tmp_path: Path, student: dict, teacher: dict, vocabulary: int, ours: int, temperature: float
) -> None:
    sharpened(tmp_path / "teacher", teacher, vocabulary)
    recipe = settings(objective={"kind": "distill", "temperature": temperature, "weight": 0.7})
    objective = choose(recipe, 7, chats, tmp_path / "teacher")
    model = build(student, ours, 16, seed=1)
    forward = Forward(model)
    objective.begin(forward, torch.device("cpu"))
    batch = objective.train.batch(1, 4)
    counts = (batch.labels != IGNORED).flatten()
    found = objective.loss(forward, batch, batch.units)
    found.value.backward()
    gradients = [parameter.grad.clone() for parameter in model.parameters()]
    model.zero_grad()
    master = load_base(tmp_path / "teacher", "teacher").eval()
    logits = model(input_ids=batch.rows[:, :-1], use_cache=False).logits.flatten(0, 1)[counts]
    with torch.no_grad():
        theirs = master(input_ids=batch.rows[:, :-1], use_cache=False).logits.flatten(0, 1)[counts]
    both = [functional.log_softmax(x[:, :300] / temperature, 1) for x in (logits, theirs)]
    divergence = functional.kl_div(*both, reduction="batchmean", log_target=True) * temperature**2
    plain = 0.7 * divergence + 0.3 * functional.cross_entropy(logits, batch.labels.flatten()[counts])
    plain.backward()
    assert divergence.item() > 0.005
    assert found.value.item() == pytest.approx(plain.item(), rel=1e-4)
    assert found.sums["divergence"].item() == pytest.approx(divergence.item() * batch.units, rel=1e-4)
    for parameter, gradient in zip(model.parameters(), gradients, strict=True):
        torch.testing.assert_close(gradient, parameter.grad, rtol=2e-3, atol=1e-6)


def test_a_student_comes_close_to_its_teacher(tokens: Path, tmp_path: Path) -> None:
    import json

    sharpened(tmp_path / "teacher", LARGER, 320)
    before = (tmp_path / "teacher" / "model.safetensors").read_bytes()
    recipe = settings(objective={"kind": "distill", "weight": 1.0}, steps=40, validate_every=10)
    report = go(tokens, tmp_path, recipe)
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    divergences = [line["validation_divergence"] for line in lines if line["validation_loss"] is not None]
    assert divergences[-1] < divergences[0]
    assert report.validation_loss == pytest.approx(min(divergences), rel=1e-6)
    assert report.validation_bits_per_byte is None  # a divergence is no length of text
    assert (tmp_path / "teacher" / "model.safetensors").read_bytes() == before


def test_a_teacher_with_another_tokenizer_or_head_is_told(tokens: Path, tmp_path: Path) -> None:
    recipe = settings(objective={"kind": "distill"})
    write_base(tmp_path / "teacher")
    (tmp_path / "teacher" / "tokenizer.json").write_text("{}")
    with pytest.raises(UserError, match=r"acquire\.teacher: its tokenizer\.json has sha256"):
        go(tokens, tmp_path, recipe)
    write_base(tmp_path / "teacher", PHI)
    with pytest.raises(UserError, match=r"acquire\.teacher: its output head and the student's are of different kinds"):
        go(tokens, tmp_path, recipe)
    assert [path.name for path in tmp_path.iterdir()] == ["teacher"]
