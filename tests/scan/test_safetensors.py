"""Structure of safetensors against the index, and numbers and shapes judged only where the structure holds."""

import json

import pytest

from slipway.scan.verdict import scan
from tests.scan.corpus.weights import INDEX, ST, packed

LIMIT = 1 << 24
ONE = ("F32", (1,), b"\0\0\x80\x3f")
NAN = ("F32", (1,), b"\0\0\xc0\x7f")


def rules(path):
    return [finding.rule for finding in scan(path, LIMIT).findings]


def test_shards_that_hold_what_the_index_says_pass(tmp_path):
    names = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    for name, tensor in zip(names, "ab", strict=True):
        (tmp_path / name).write_bytes(packed({tensor: ONE}))
    (tmp_path / INDEX).write_text(
        json.dumps({"metadata": {"total_size": 8}, "weight_map": dict(zip("ab", names, strict=True))})
    )
    assert rules(tmp_path) == []
    (tmp_path / INDEX).write_text(json.dumps({"weight_map": dict(zip("ba", names, strict=True))}))
    assert rules(tmp_path) == ["index.tensor", "index.tensor"]


def test_numbers_are_not_judged_where_the_structure_does_not_hold(tmp_path):
    (tmp_path / ST).write_bytes(packed({"a": NAN}) + b"tail")
    assert rules(tmp_path) == ["safetensors.tail"]


@pytest.mark.parametrize("dtype", ["F4", "F6_E2M3", "F8_E8M0", "U64"])
def test_formats_without_numbers_that_are_none_pass(tmp_path, dtype):
    bits = {"F4": 4, "F6_E2M3": 6, "F8_E8M0": 8, "U64": 64}[dtype]
    (tmp_path / ST).write_bytes(packed({"a": (dtype, (8, 2), b"\1" * (2 * bits))}))
    assert rules(tmp_path) == []


def test_every_format_of_the_library_is_known():
    from safetensors.torch import _TYPES

    from slipway.scan.safetensors import BITS

    assert set(_TYPES) <= set(BITS)
    assert {name: BITS[name] for name in _TYPES} == {name: 8 * _TYPES[name].itemsize for name in _TYPES}
