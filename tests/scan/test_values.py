"""NaN and infinity wherever they stand and in every format, zeros, and weights against their configuration."""

import json

import pytest
import torch
from safetensors.torch import save_file

from slipway.scan import values
from slipway.scan.verdict import scan

LIMIT = 1 << 26
ST = "model.safetensors"
FORMATS = (
    torch.float64,
    torch.float32,
    torch.bfloat16,
    torch.float16,
    torch.float8_e5m2,
    torch.float8_e4m3fn,
    torch.float8_e5m2fnuz,
    torch.float8_e4m3fnuz,
    torch.complex64,
)


def findings(directory, **tensors):
    save_file(tensors, directory / ST, metadata={"format": "pt"})
    return scan(directory, LIMIT).findings


@pytest.mark.parametrize("dtype", FORMATS, ids=str)
def test_every_value_of_a_format_is_judged_as_torch_judges_it(tmp_path, dtype):
    """All values of the 8- and 16-bit formats, and the borders of the others."""
    bits = torch.finfo(dtype).bits if dtype.is_floating_point else 64
    if bits <= 16:
        raw = torch.arange(1 << bits).to(torch.uint8 if bits == 8 else torch.uint16).view(dtype)
    else:
        info = torch.finfo(dtype)
        raw = torch.tensor([0.0, -0.0, info.max, info.min, info.tiny, torch.inf, -torch.inf, torch.nan], dtype=dtype)
    number = raw.to(torch.complex64 if dtype.is_complex else torch.float64).isfinite()
    good = raw.view(torch.uint8).view(-1, raw.element_size())[number].reshape(-1).view(dtype)
    assert findings(tmp_path, w=good) == ()
    for place in (~number).nonzero().flatten().tolist()[:64]:
        found = findings(tmp_path, first=torch.ones(3), w=torch.cat([good, raw[place : place + 1], good]))
        assert [f.rule for f in found] == ["weights.not_finite"], place


@pytest.mark.parametrize("place", [0, 1, values.BLOCK // 4 - 1, values.BLOCK // 4, 3 * values.BLOCK // 4 + 7, -1])
@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
def test_wherever_it_stands_it_is_found_and_its_place_said(tmp_path, place, value):
    tensor = torch.randn(values.BLOCK)
    tensor[place] = value
    (found,) = findings(tmp_path, w=tensor)
    place %= len(tensor)
    assert f"number {place}" in found.reason
    start = 8 + int.from_bytes((tmp_path / ST).read_bytes()[:8], "little")
    assert found.offset == start + 4 * place


def test_a_matrix_of_zeros_is_refused_and_a_vector_is_not(tmp_path):
    assert [f.rule for f in findings(tmp_path, w=torch.zeros(3, 2))] == ["weights.all_zero"]
    assert [f.rule for f in findings(tmp_path, w=-torch.zeros(3, 2, dtype=torch.bfloat16))] == ["weights.all_zero"]
    almost = torch.zeros(1024, 1024)
    almost[-1, -1] = torch.finfo(torch.float32).tiny
    assert (
        findings(
            tmp_path, w=almost, b=torch.zeros(5), s=torch.zeros(1, 5, 1), n=torch.zeros(0, 4), i=torch.zeros(3, 3).int()
        )
        == ()
    )
    assert (
        findings(
            tmp_path,
            **{
                "q.lora_A.weight": torch.ones(2, 4),
                "q.lora_B.weight": torch.zeros(4, 2),
                "a.relative_position_bias_table": torch.zeros(4, 2),
            },
        )
        == ()
    )


def test_a_file_of_zeros_is_refused_whatever_its_shapes(tmp_path):
    assert [f.rule for f in findings(tmp_path, b=torch.zeros(5), s=torch.zeros(1, 5))] == ["weights.all_zero"]
    assert findings(tmp_path, b=torch.zeros(5), s=torch.ones(1)) == ()
    assert findings(tmp_path, s=torch.zeros(())) == ()
    save_file({"b": torch.zeros(5)}, tmp_path / "model-00001-of-00002.safetensors")
    assert scan(tmp_path / "model-00001-of-00002.safetensors", LIMIT).passed


def test_a_tensor_that_begins_at_an_odd_byte(tmp_path):
    from tests.scan.corpus.weights import packed

    good, bad = (torch.tensor(numbers).numpy().tobytes() for numbers in ([1.0, 2.0], [1.0, torch.nan]))
    for raw, rules in ((good, []), (bad, ["weights.not_finite"])):
        (tmp_path / ST).write_bytes(packed({"a": ("U8", (3,), b"abc"), "b": ("F32", (2,), raw)}))
        assert [f.rule for f in scan(tmp_path, LIMIT).findings] == rules


def test_many_faults_are_not_all_told(tmp_path):
    assert len(findings(tmp_path, **{f"w{i}": torch.tensor([torch.nan]) for i in range(100)})) == values.SHOWN


def test_a_file_that_becomes_shorter_is_not_judged(tmp_path):
    from slipway.scan.subject import Subject

    (tmp_path / ST).write_bytes(b"\1" * 100)
    tensor = values.Tensor("w", "F32", (50,), 0, 200)
    with pytest.raises(OSError, match="became shorter"):
        list(values.check(Subject(tmp_path / ST, ST, 200), [tensor]))


CONFIG = {"model_type": "llama", "vocab_size": 12, "hidden_size": 4, "num_hidden_layers": 2, "dtype": "float32"}


def weights(layers=2, rows=12, dtype=torch.float32):
    found = {"model.embed_tokens.weight": torch.ones(rows, 4, dtype=dtype), "lm_head.weight": torch.ones(12, 4)}
    return found | {f"model.layers.{i}.input_layernorm.weight": torch.ones(4) for i in range(layers)}


@pytest.mark.parametrize(
    ("config", "tensors", "expected"),
    [
        (CONFIG, weights(), []),
        (CONFIG, weights(rows=13), ["weights.shape"]),
        (CONFIG, weights(layers=3), ["weights.layers"]),
        (CONFIG, weights(layers=1), ["weights.layers"]),
        (CONFIG, weights(dtype=torch.float16), ["weights.dtype"]),
        (CONFIG | {"dtype": "bfloat16"}, weights(), []),
        (CONFIG | {"dtype": "float16"}, weights(dtype=torch.float8_e4m3fn), ["weights.dtype"]),
        (CONFIG | {"quantization_config": {"bits": 8}}, weights(rows=3, dtype=torch.float16), []),
        (CONFIG | {"model_type": "nobody_knows"}, weights(rows=13, layers=9), ["weights.layers"]),
        (CONFIG | {"model_type": "nobody_knows"}, weights(rows=99), ["weights.shape"]),
        ({"model_type": "llama"}, weights(rows=13, layers=9), []),
        (CONFIG | {"vocab_size": "12"}, weights(rows=13), []),
    ],
)
def test_weights_against_their_configuration(tmp_path, config, tensors, expected):
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert [f.rule for f in findings(tmp_path, **tensors)] == expected
