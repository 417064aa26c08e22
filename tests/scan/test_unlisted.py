"""Weights of architectures that no table lists: what the libraries make passes, what does not fit its settings not."""

import json

import pytest

from slipway.scan.verdict import scan
from tests.scan import architectures

LIMIT = 1 << 30
SOME = (
    "afmoe", "aya_vision", "blip-2", "bloom", "clap", "cohere2", "deepseek_v3", "dinov2_with_registers", "encodec",
    "falcon", "gemma3", "gpt_neox", "internvl", "mamba", "mllama", "modernbert", "moshi", "musicgen", "opt", "phi",
    "qwen2_5_vl", "qwen3_next", "sam", "siglip2", "t5gemma", "vit", "whisper", "xlm", "xlnet", "xlstm",
)  # fmt: skip
"""Types that differ most in names and settings; `benchmarks/scan.py` tries all of them."""


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    root = tmp_path_factory.mktemp("models")
    return {kind: root / kind for kind in SOME if architectures.write(kind, root / kind)}


@pytest.mark.timeout(300)
def test_what_the_library_makes_is_not_refused(models):
    assert len(models) >= 20
    found = {kind: [(one.rule, one.reason) for one in scan(path, LIMIT).findings] for kind, path in models.items()}
    assert not {kind: findings for kind, findings in found.items() if findings}


@pytest.mark.timeout(120)
@pytest.mark.parametrize("wrong", [("vocab_size", 5000), ("hidden_size", 4096), ("num_hidden_layers", 40)])
@pytest.mark.parametrize("kind", ["phi", "gpt_neox", "opt", "cohere2"])
def test_other_settings_do_not_fit(models, tmp_path, kind, wrong):
    key, value = wrong
    rule = "layers" if key == "num_hidden_layers" else "shape"
    config = json.loads((models[kind] / "config.json").read_text())
    assert key in config
    config |= {key: value} | ({"ffn_dim": 4096, "word_embed_proj_dim": 4096} if kind == "opt" else {})
    config |= {"layer_types": None} if rule == "layers" else {}
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "model.safetensors").write_bytes((models[kind] / "model.safetensors").read_bytes())
    assert f"weights.{rule}" in {finding.rule for finding in scan(tmp_path, LIMIT).findings}
