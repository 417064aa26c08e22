"""A base that does not fit is told before step 1, and nothing is written but the message."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from slipway.errors import Refusal, UserError
from slipway.model import device
from slipway.model.base import load_base, read_config
from tests.model.conftest import ARCHITECTURE, go, settings, write_base


def configured(**values: Any) -> Callable[[Path], None]:
    """Change config.json."""

    def change(base: Path) -> None:
        path = base / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | values))

    return change


def without_a_weight(base: Path) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(base / "model.safetensors")
    del weights["model.layers.1.mlp.up_proj.weight"]
    save_file(weights, base / "model.safetensors", metadata={"format": "pt"})


def with_a_cut_file(base: Path) -> None:
    path = base / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def as_pickle(base: Path) -> None:
    weights = torch.nn.Linear(2, 2).state_dict()
    torch.save(weights, base / "pytorch_model.bin")
    (base / "model.safetensors").unlink()


LORA = {"start": "base", "architecture": None, "adapter": {"rank": 4}}
FAULTS: dict[str, tuple[Callable[[Path], Any], dict[str, Any], str]] = {
    "auto_map": (configured(auto_map={"AutoModel": "x.Y"}), {}, r"`auto_map` asks for code.*Take a model whose"),
    "nested": (configured(a={"b": [{"auto_map": "x"}]}), {}, r"`a\.b\.0\.auto_map` asks for code"),
    "pickle": (as_pickle, {}, r"holds no \.safetensors file.*pickles that can run code.*Take a revision"),
    "no config": (lambda b: (b / "config.json").unlink(), {}, r"holds no config\.json"),
    "broken config": (lambda b: (b / "config.json").write_text("{"), {}, r"config\.json is no JSON"),
    "list": (lambda b: (b / "config.json").write_text("[]"), {}, r"config\.json holds no settings"),
    "unknown": (configured(model_type="no-such"), {}, r"acquire\.base: transformers cannot load .*no-such"),
    "no decoder": (configured(model_type="vit"), {}, r"acquire\.base: transformers cannot load"),
    "wrong type": (configured(hidden_size="x"), {}, r"acquire\.base: transformers cannot load"),
    "adapter": (
        lambda b: (b / "adapter_config.json").write_text("{}"),
        {},
        r"those of an adapter.*merge it into its base",
    ),
    "quantised": (configured(quantization_config={"quant_method": "fp8"}), {}, r"`quantization_config`.*quantised"),
    "tokenizer": (
        lambda b: (b / "tokenizer.json").write_text("{}"),
        {},
        r"sha256 44136fa.*was tokenised with 4e304.*other words",
    ),
    "no tokenizer": (lambda b: (b / "tokenizer.json").unlink(), {}, r"holds no tokenizer\.json, so nothing shows"),
    "vocabulary": (configured(vocab_size=299), {}, r"vocabulary has 299 tokens, and the data was tokenised with 300"),
    "positions": (lambda _: None, {"sequence_length": 17}, r"has 16 positions, and train\.sequence_length is 17"),
    "cut file": (with_a_cut_file, {}, r"acquire\.base: transformers cannot load"),
    "shape": (configured(intermediate_size=65), {}, r"acquire\.base: (transformers cannot load|.*mismatched keys)"),
    "targets": (
        lambda _: None,
        {"adapter": {"rank": 4, "targets": ("q_proj", "c_attn")}},
        r"targets: `c_attn` matches no layer.*down_proj, gate_proj, k_proj",
    ),
    "not linear": (lambda _: None, {"adapter": {"targets": ("mlp",)}}, r"peft has no adapters for \('mlp',\)"),
    "8 GPUs": (lambda _: None, {"devices": {"count": 8}}, r"train\.devices asks for 8 GPUs, and this machine has"),
    "bits": (lambda _: None, LORA | {"base_bits": 4}, r"base_bits: 4: bitsandbytes is not installed here"),
    "no pairs": (lambda _: None, {"objective": {"kind": "dpo"}}, r"holds no preference pairs"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_told_before_the_first_step(tokens: Path, tmp_path: Path, fault: str) -> None:
    harm, changes, message = FAULTS[fault]
    if fault == "8 GPUs" and torch.cuda.device_count() >= 8:
        pytest.skip("this machine has 8")
    if fault == "bits":
        from importlib.util import find_spec

        if find_spec("bitsandbytes"):
            pytest.skip("bitsandbytes is installed")
    harm(write_base(tmp_path / "base"))
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(UserError, match=message):
        go(tokens, tmp_path, settings(**({"start": "base", "architecture": None} | changes)))
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_a_missing_weight_is_refused_and_not_made_up(tokens: Path, tmp_path: Path) -> None:
    without_a_weight(write_base(tmp_path / "base"))
    with pytest.raises(Refusal, match=r"missing keys model\.layers\.1\.mlp\.up_proj\.weight; these .* be random"):
        go(tokens, tmp_path, settings(start="base", architecture=None))


def test_a_precision_that_is_not_there_is_told(tokens: Path, tmp_path: Path) -> None:
    if device.has_bfloat16("cpu"):
        pytest.skip("this processor has it")
    with pytest.raises(UserError, match=r"precision is bfloat16, and this cpu does not compute in it; set it to auto"):
        go(tokens, tmp_path, settings(precision="bfloat16", devices={"kind": "cpu"}))
    assert not list(tmp_path.iterdir())


def test_a_sound_base_is_loaded_whole_in_float32(tmp_path: Path) -> None:
    base = write_base(tmp_path / "base", ARCHITECTURE | {"tie_word_embeddings": False})
    from safetensors.torch import load_file, save_file

    half = {name: tensor.bfloat16() for name, tensor in load_file(base / "model.safetensors").items()}
    save_file(half, base / "model.safetensors", metadata={"format": "pt"})
    configured(dtype="bfloat16")(base)
    assert read_config(base, "acquire.base")["dtype"] == "bfloat16"
    model = load_base(base, "acquire.base")
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    assert not model.config.use_cache
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, half[name].float())
