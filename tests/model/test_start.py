"""Where training starts: any architecture by its configuration, or a base whose loss it goes on from."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional

from slipway.errors import UserError
from slipway.model.data import Tokens, read_index, special
from slipway.model.device import choose
from slipway.model.start import finished, prepare
from tests.model.conftest import ARCHITECTURE, StopError, go, outcome, settings, write_base

SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 2}
ROUTED = {"output_router_logits": True, "router_aux_loss_coef": 0.02, "num_experts_per_tok": 2}
FAMILIES: dict[str, dict[str, Any]] = {
    "qwen3": {"model_type": "qwen3", "intermediate_size": 64, "head_dim": 16, **SMALL},
    "mixtral": {"model_type": "mixtral", "intermediate_size": 32, "num_local_experts": 4, **SMALL, **ROUTED},
    "qwen3_moe": {"model_type": "qwen3_moe", "moe_intermediate_size": 32, "num_experts": 4, **SMALL, **ROUTED},
    "nemotron_h": {
        "model_type": "nemotron_h",
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "layers_block_type": ["mamba", "attention", "moe"],
        "mamba_num_heads": 4,
        "mamba_head_dim": 16,
        "ssm_state_size": 8,
        "n_groups": 2,
        "n_routed_experts": 4,
        "num_experts_per_tok": 2,
        "moe_intermediate_size": 16,
        "moe_shared_expert_intermediate_size": 16,
        "chunk_size": 16,
    },
    "mamba2": {
        "model_type": "mamba2",
        "hidden_size": 32,
        "num_heads": 4,
        "head_dim": 16,
        "state_size": 8,
        "n_groups": 2,
        "num_hidden_layers": 2,
        "chunk_size": 16,
    },
}


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_learns_and_resumes_exactly(tokens: Path, tmp_path: Path, family: str) -> None:
    recipe = settings(architecture=FAMILIES[family], steps=8, validate_every=4, checkpoint_every=3, warmup_share=0.0)
    expected = go(tokens, tmp_path / "a", recipe)
    assert expected.best_step == 8
    with pytest.raises(StopError):
        go(tokens, tmp_path / "b", recipe, stop_at=5)
    assert go(tokens, tmp_path / "b", recipe) == expected
    assert outcome(tmp_path / "b") == outcome(tmp_path / "a")

    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(tmp_path / "a" / "trained", local_files_only=True).eval()
    rows = Tokens(tokens, "validation", 16, 7).sample(10**6).rows
    with torch.inference_mode():
        logits = model(input_ids=rows[:, :-1], use_cache=False).logits
    loss = functional.cross_entropy(logits.flatten(0, 1), rows[:, 1:].flatten())
    assert loss.item() == pytest.approx(expected.validation_loss, rel=1e-4)


@pytest.mark.parametrize("family", ["nemotron_h", "mamba2"])
def test_documents_cannot_be_kept_apart_in_a_state(tokens: Path, tmp_path: Path, family: str) -> None:
    recipe = settings(architecture=FAMILIES[family], objective={"kind": "pretrain", "document_mask": True})
    with pytest.raises(UserError, match=rf"document_mask: `{family}` reads across the borders.*set document_mask to"):
        go(tokens, tmp_path, recipe)
    assert not list(tmp_path.iterdir())


def _loss(directory: Path, tokens: Path) -> float:
    """Of plain transformers on the held-out rows."""
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(directory, local_files_only=True, dtype=torch.float32).eval()
    rows = Tokens(tokens, "validation", 16, 7).sample(10**6).rows
    with torch.inference_mode():
        logits = model(input_ids=rows[:, :-1], use_cache=False).logits
    return functional.cross_entropy(logits.flatten(0, 1), rows[:, 1:].flatten()).item()


def test_continued_pretraining_starts_at_the_loss_of_its_base_and_goes_below(tokens: Path, tmp_path: Path) -> None:
    first = go(tokens, tmp_path / "first", settings())
    base = tmp_path / "first" / "trained"
    (base / "tokenizer.json").write_text('{"version": "1.0"}')
    still = settings(start="base", architecture=None, optimizer="adamw", learning_rate=1e-12, steps=2, validate_every=2)
    report = go(tokens, tmp_path / "still", still, other=base)
    assert report.start == "base"
    assert report.validation_loss == pytest.approx(first.validation_loss, rel=1e-6)
    assert report.validation_loss == pytest.approx(_loss(base, tokens), rel=1e-5)
    more = go(tokens, tmp_path / "more", settings(start="base", architecture=None), other=base)
    assert more.validation_loss < first.validation_loss


def test_a_base_of_another_architecture_and_a_larger_vocabulary_is_trained_whole(tokens: Path, tmp_path: Path) -> None:
    base = write_base(tmp_path / "base", FAMILIES["qwen3"], vocabulary=320)
    report = go(tokens, tmp_path, settings(start="base", architecture=None, steps=4, validate_every=4))
    assert report.trained_parameters == report.parameters > 320 * 32
    assert report.validation_loss < _loss(base, tokens)


def test_ends_of_the_tokenizer_are_those_of_the_model(tokens: Path, tmp_path: Path) -> None:
    write_base(tmp_path / "base", ARCHITECTURE)
    recipe = settings(start="base", architecture=None)
    start = prepare(recipe, 7, tokens, tmp_path / "base", choose(recipe))
    assert start.model.config.eos_token_id == special(read_index(tokens))["eos_token_id"]
    assert finished(start, recipe, tmp_path / "base", torch.zeros(1, 4, dtype=torch.long)) == (start.model, None)


@pytest.mark.parametrize("family", [None, "mixtral", "nemotron_h"])
def test_activation_checkpointing_changes_no_gradient(tokens: Path, family: str | None) -> None:
    gradients = []
    batch = Tokens(tokens, "train", 16, 7).batch(1, 4)
    for again in (False, True):
        architecture = FAMILIES[family] if family else ARCHITECTURE | {"attention_dropout": 0.2}
        recipe = settings(architecture=architecture, activation_checkpointing=again)
        model = prepare(recipe, 7, tokens, Path(), choose(recipe)).model
        assert model.is_activation_checkpointing is again
        torch.manual_seed(1)
        logits = model(input_ids=batch.rows[:, :-1], use_cache=False).logits
        functional.cross_entropy(logits.flatten(0, 1), batch.labels.flatten()).backward()
        gradients.append([parameter.grad for parameter in model.parameters()])
    assert all(torch.equal(one, other) for one, other in zip(*gradients, strict=True))
