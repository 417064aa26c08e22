"""Adapters: only they are trained and kept, merging them changes no logit, and resuming is exact."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch.nn import functional

from slipway.errors import Refusal, UserError
from slipway.model import lora
from slipway.model.base import load_base
from slipway.model.build import build
from slipway.model.data import Tokens
from slipway.model.start import prepare
from slipway.settings import Lora, Train
from tests.model.conftest import ARCHITECTURE, StopError, go, outcome, settings
from tests.model.test_start import FAMILIES


def recipe(**changes: object) -> Train:
    values = {"start": "base", "architecture": None, "optimizer": "adamw", "learning_rate": 0.02, "steps": 12}
    return settings(**(values | {"adapter": {"rank": 4}} | changes))


@pytest.fixture(scope="module")
def whole(tokens: Path, base: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, object]:
    root = tmp_path_factory.mktemp("lora")
    return root, go(tokens, root, recipe(), other=base)


def test_only_adapters_are_trained_and_in_the_checkpoint(base: Path, whole: tuple[Path, object]) -> None:
    root, report = whole
    (newest,) = root.glob("work/*/step-000012")
    kept = load_file(newest / "model.safetensors")
    assert kept
    assert all(".lora_A." in name or ".lora_B." in name for name in kept)
    assert report.trained_parameters == sum(tensor.numel() for tensor in kept.values())
    assert report.parameters == sum(p.numel() for p in load_base(base, "base").parameters())
    assert report.adapter == "LoRA rank 4, alpha 32, on all-linear"


def test_merged_weights_give_the_logits_of_the_adapters(tokens: Path, base: Path, whole: tuple[Path, object]) -> None:
    from transformers import AutoModelForCausalLM

    root, report = whole
    merged = AutoModelForCausalLM.from_pretrained(root / "trained", local_files_only=True).eval()
    assert not any("lora" in name for name, _ in merged.named_parameters())
    adapted = lora.attach(load_base(base, "base"), Lora(rank=4), 7)
    (best,) = root.glob(f"work/*/step-{report.best_step:06d}")
    values = load_file(best / "model.safetensors")
    names = dict(adapted.get_base_model().named_parameters())
    with torch.no_grad():
        for name, tensor in values.items():
            names[name.removeprefix("model.")].copy_(tensor)
    rows = Tokens(tokens, "validation", 16, 7).sample(10**6).rows[:, :-1]
    with torch.inference_mode():
        one, other = merged(input_ids=rows).logits, adapted.eval()(input_ids=rows).logits
        plain = load_base(base, "base").eval()(input_ids=rows).logits
    torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)
    assert (one - plain).abs().max() > 0.1
    assert 0 <= report.merge_error < 1e-4


def test_resuming_is_exact(tokens: Path, base: Path, tmp_path: Path, whole: tuple[Path, object]) -> None:
    with pytest.raises(StopError):
        go(tokens, tmp_path, recipe(), stop_at=7, other=base)
    assert go(tokens, tmp_path, recipe(), other=base) == whole[1]
    assert outcome(tmp_path) == outcome(whole[0])


@pytest.mark.parametrize(
    "changes",
    [
        {"average": 0.5, "adapter": {"rank": 2, "targets": ("q_proj", "v_proj"), "dropout": 0.1}},
        {"optimizer": "muon"},
    ],
)
def test_adapters_go_with_other_settings(tokens: Path, base: Path, tmp_path: Path, changes: dict) -> None:
    report = go(tokens, tmp_path, recipe(**changes), other=base)
    rows = Tokens(tokens, "validation", 16, 7).sample(10**6).rows
    with torch.inference_mode():
        logits = load_base(base, "base").eval()(input_ids=rows[:, :-1]).logits
    assert report.validation_loss < functional.cross_entropy(logits.flatten(0, 1), rows[:, 1:].flatten()).item()
    assert report.merge_error < 1e-4


def test_activation_checkpointing_changes_no_step(
    tokens: Path, base: Path, tmp_path: Path, whole: tuple[Path, object]
) -> None:
    report = go(tokens, tmp_path, recipe(activation_checkpointing=True), other=base)
    assert report.validation_loss == whole[1].validation_loss


@pytest.mark.parametrize("family", [*FAMILIES, "gpt2"])
def test_all_linear_is_found_in_every_architecture_and_merges(family: str) -> None:
    architecture = FAMILIES.get(family, {"model_type": "gpt2", "n_embd": 32, "n_layer": 1, "n_head": 2})
    wrapped = lora.attach(build(architecture, 300, 16, seed=1), Lora(), 1)
    trained = {name: p for name, p in wrapped.named_parameters() if p.requires_grad}
    assert trained
    assert all("lora_" in name and "lm_head" not in name for name in trained)
    rows = torch.randint(1, 300, (3, 16))
    with torch.no_grad():
        for number, (name, parameter) in enumerate(trained.items()):
            if "lora_B" in name:
                parameter.normal_(0, 0.05, generator=torch.Generator().manual_seed(number))
        before = wrapped.eval()(input_ids=rows, use_cache=False).logits
    model, error = lora.merge(wrapped, rows)
    assert error < 1e-5
    with torch.no_grad():
        torch.testing.assert_close(model(input_ids=rows, use_cache=False).logits, before, rtol=1e-4, atol=1e-5)


def test_adapters_come_from_the_seed_and_change_nothing_at_first(tokens: Path, base: Path) -> None:
    one, other, third = (lora.attach(load_base(base, "base"), Lora(rank=4), seed).eval() for seed in (1, 1, 2))
    rows = Tokens(tokens, "validation", 16, 7).sample(4).rows
    for (name, a), (_, b), (_, c) in zip(*(m.named_parameters() for m in (one, other, third)), strict=True):
        assert torch.equal(a, b)
        assert torch.equal(a, c) is ("lora_A" not in name)
    with torch.no_grad():
        assert torch.equal(one(input_ids=rows).logits, load_base(base, "base").eval()(input_ids=rows).logits)


@pytest.mark.parametrize("targets", [("c_attn",), ("q_proj", "c_attn")])
def test_targets_that_match_nothing_are_told_with_those_there_are(targets: tuple[str, ...]) -> None:
    with pytest.raises(
        UserError, match=r"`c_attn` matches no layer of this model.*down_proj, gate_proj, k_proj, lm_head"
    ):
        lora.attach(build(ARCHITECTURE, 300, 16, seed=1), Lora(targets=targets), 1)


def test_a_merge_that_is_not_a_number_is_no_proof() -> None:
    wrapped = lora.attach(build(ARCHITECTURE, 300, 16, seed=1), Lora(), 1)
    with torch.no_grad():
        next(p for name, p in wrapped.named_parameters() if "lora_B" in name).fill_(float("nan"))
    with pytest.raises(Refusal, match="merging the adapters changes a logit by nan"):
        lora.merge(wrapped, torch.randint(1, 300, (2, 16)))


def test_adapters_move_to_a_fresh_base(tokens: Path, base: Path) -> None:
    """As they do when the base was held in few bits while training."""
    from slipway.model.device import choose

    start = prepare(recipe(), 7, tokens, base, choose(recipe()))
    with torch.no_grad():
        for name, parameter in start.adapters.named_parameters():
            if "lora_B" in name:
                parameter.normal_(0, 0.1)
    rows = Tokens(tokens, "validation", 16, 7).sample(4).rows
    with torch.no_grad():
        expected = start.adapters.eval()(input_ids=rows).logits
    model, error = lora.merge(start.adapters, rows, fresh_base=load_base(base, "base"))
    with torch.no_grad():
        torch.testing.assert_close(model(input_ids=rows).logits, expected, rtol=1e-4, atol=1e-5)
    assert error < 1e-4
