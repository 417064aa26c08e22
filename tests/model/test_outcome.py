"""What is written of a finished model: weights and configuration say the same."""

import json

import pytest
import torch
from safetensors import safe_open

from slipway.model.build import configure
from slipway.model.outcome import write_model
from slipway.scan.verdict import scan


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_configuration_names_what_the_weights_are_stored_in(tmp_path, dtype):
    from transformers import AutoModelForCausalLM

    shape = {"model_type": "llama", "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1}
    model = AutoModelForCausalLM.from_config(configure(shape | {"num_attention_heads": 2}, 300, 64))
    write_model(model, tmp_path / "model", None, dtype)
    with safe_open(tmp_path / "model" / "model.safetensors", "pt") as weights:
        assert {weights.get_tensor(name).dtype for name in weights.keys()} == {dtype}  # noqa: SIM118
    stated = json.loads((tmp_path / "model" / "config.json").read_text())["dtype"]
    assert stated == str(dtype).removeprefix("torch.")
    assert scan(tmp_path / "model", 1 << 30).passed
