"""GGUF in a bundle: what our exporter makes passes; what differs from the model beside it in anything is refused."""

import json
import os
import struct
import subprocess
import sys
from math import prod

import numpy as np
import pytest

from slipway.gguf import layout
from slipway.gguf.layout import ARRAY, BOOL, FLOAT32, INT32, STRING, UINT32, Entry, Plan, Tensor
from slipway.gguf.plan import describe
from slipway.model.gguf import export, read
from slipway.scan import gguf_values
from slipway.scan.verdict import scan
from tests.tiny_gguf import directory, edit

LIMIT = 1 << 24
NAME = "model-x.gguf"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A model with a chat template, and its files in each type."""
    model = directory(tmp_path_factory.mktemp("scan") / "m", tied=False, talks=True)
    for kind in layout.TYPES:
        export(model, model.parent / f"{kind}.gguf", kind)
    return model


@pytest.fixture
def bundle(made, tmp_path):
    """A copy of the model that a test may change."""
    for path in made.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


def original(made, kind="f32"):
    return (made.parent / f"{kind}.gguf").read_bytes()


def rules(bundle, content=None):
    if content is not None:
        (bundle / NAME).write_bytes(content)
    report = scan(bundle, LIMIT)
    found = [finding for finding in report.findings if finding.rule.startswith("gguf.")]
    assert report.passed == (not report.findings)
    assert all(finding.path == NAME and finding.remedy for finding in found)
    assert all((finding.path + finding.reason).isprintable() for finding in found)
    return [finding.rule.removeprefix("gguf.") for finding in found]


def test_what_the_exporter_makes_passes(made, bundle):
    for kind in layout.TYPES:
        (bundle / f"model-{kind}.gguf").write_bytes(original(made, kind))
    report = scan(bundle, LIMIT)
    assert report.passed, report.findings


@pytest.mark.parametrize("kind", ["mistral", "qwen2", "qwen3"])
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_other_architectures_and_formats_pass(tmp_path, kind, dtype):
    model = directory(tmp_path / "m", kind, dtype=dtype)
    for type_ in layout.TYPES:
        export(model, model / f"model-{type_}.gguf", type_)
    report = scan(model, LIMIT)
    assert report.passed, report.findings


def test_shards_are_compared_too(made, tmp_path):
    import torch
    from transformers import AutoModelForCausalLM

    model = directory(tmp_path / "m", tied=False, talks=True)
    AutoModelForCausalLM.from_pretrained(made, dtype=torch.float32).save_pretrained(model, max_shard_size="60KB")
    (model / "model.safetensors").unlink()
    assert rules(model, original(made, "q8_0")) == []
    index = model / "model.safetensors.index.json"
    edit(index, weight_map={"model.norm.weight": "../secret.safetensors"})
    assert rules(model) == ["alone"]


def swapped(plan, one, other):
    """A plan whose tensors of these names have exchanged their sources."""
    moved = {one.source: other.source, other.source: one.source}
    return plan._replace(tensors=[t._replace(source=moved.get(t.source, t.source)) for t in plan.tensors])


def written(made, plan, kind="f32", numbers=None):
    """A file of another plan, with the right numbers, or those of `numbers` for a tensor."""
    from safetensors.numpy import load_file

    weights = load_file(made / "model.safetensors")
    content = layout.header(plan)
    for tensor in plan.tensors:
        rows = weights.get(tensor.source, np.ones(tensor.shape, "<f4"))
        rows = layout.regrouped(rows, tensor.heads) if tensor.heads else rows
        raw = gguf_values.converted(np.ascontiguousarray(rows).reshape(-1).view("u1"), "F32", tensor.type).tobytes()
        raw = (numbers or {}).get(tensor.name, raw)
        content += raw.ljust(layout.padded(len(raw)), b"\0")
    return content


def plan_of(made, kind="f32"):
    return describe(read(made), kind)


def with_entry(plan, key, **changes):
    return plan._replace(entries=[e._replace(**changes) if e.key == key else e for e in plan.entries])


def test_the_writer_of_these_tests_writes_what_the_exporter_does(made):
    for kind in layout.TYPES:
        assert written(made, plan_of(made, kind)) == original(made, kind)


EVIL = "{% for m in messages %}{{ m.content }}{% endfor %}{{ 'Visit evil.example' }}"
CASES = {
    "another template": ("template", lambda p: with_entry(p, "tokenizer.chat_template", value=EVIL)),
    "no template": (
        "template",
        lambda p: p._replace(entries=[e for e in p.entries if e.key != "tokenizer.chat_template"]),
    ),
    "a second template": (
        "key",
        lambda p: p._replace(entries=[*p.entries, Entry("tokenizer.chat_template.tool_use", STRING, EVIL)]),
    ),
    "an extra key": ("key", lambda p: p._replace(entries=[*p.entries, Entry("general.url", STRING, "x")])),
    "a part of a split file": ("key", lambda p: p._replace(entries=[*p.entries, Entry("split.count", UINT32, 3)])),
    "an extra key, nested": (
        "key",
        lambda p: p._replace(entries=[*p.entries, Entry("x", ARRAY, [1, 2], INT32)]),
    ),
    "an alignment": (
        "alignment",
        lambda p: p._replace(entries=[*p.entries, Entry("general.alignment", UINT32, 0)]),
    ),
    "a key less": ("key", lambda p: p._replace(entries=[e for e in p.entries if not e.key.endswith("head_count_kv")])),
    "a key twice": ("duplicate", lambda p: p._replace(entries=[*p.entries, p.entries[5]])),
    "another order": ("header", lambda p: p._replace(entries=[p.entries[0], *p.entries[:0:-1]])),
    "another epsilon": (
        "architecture",
        lambda p: with_entry(p, "llama.attention.layer_norm_rms_epsilon", value=0.1),
    ),
    "another context": ("architecture", lambda p: with_entry(p, "llama.context_length", value=1 << 20)),
    "another context, wider": (
        "architecture",
        lambda p: with_entry(p, "llama.context_length", kind=FLOAT32, value=64.0),
    ),
    "another architecture": ("architecture", lambda p: with_entry(p, "general.architecture", value="qwen2")),
    "another pre-tokenizer": ("tokenizer", lambda p: with_entry(p, "tokenizer.ggml.pre", value="default")),
    "a beginning": ("tokenizer", lambda p: with_entry(p, "tokenizer.ggml.add_bos_token", value=True)),
    "another end": ("tokenizer", lambda p: with_entry(p, "tokenizer.ggml.eos_token_id", value=7)),
    "another type of file": ("foreign", lambda p: with_entry(p, "general.file_type", value=15)),
    "no type of file": ("foreign", lambda p: p._replace(entries=[e for e in p.entries if "file_type" not in e.key])),
    "a tensor more": (
        "tensor",
        lambda p: p._replace(tensors=[*p.tensors, Tensor("rope_freqs.weight", "x", (16,), "f32")]),
    ),
    "a tensor less": ("tensor", lambda p: p._replace(tensors=p.tensors[:-1])),
    "a tensor twice": ("duplicate", lambda p: p._replace(tensors=[*p.tensors, p.tensors[0]])),
    "tensors in another order": ("header", lambda p: p._replace(tensors=p.tensors[::-1])),
    "another shape": (
        "tensor",
        lambda p: p._replace(tensors=[t._replace(shape=t.shape[::-1]) for t in p.tensors]),
    ),
    "another type of tensor": (
        "tensor",
        lambda p: p._replace(tensors=[p.tensors[0]._replace(type="f16"), *p.tensors[1:]]),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_header_that_says_other_than_the_model_is_refused(made, bundle, case):
    rule, change = CASES[case]
    assert rules(bundle, written(made, change(plan_of(made)))) == [rule]


def test_one_token_or_merge_or_type_is_told(made, bundle):
    plan = plan_of(made)
    for key, number, value in (("tokens", 9, "evil"), ("merges", 3, "a b"), ("token_type", 0, 1)):
        entry = next(e for e in plan.entries if e.key == f"tokenizer.ggml.{key}")
        listed = [*entry.value]
        listed[number] = value
        changed = with_entry(plan, entry.key, value=listed)
        assert rules(bundle, written(made, changed)) == ["tokenizer"]


def by_name(plan, name):
    return next(tensor for tensor in plan.tensors if tensor.name == name)


def test_tensors_that_changed_places_are_refused(made, bundle):
    plan = plan_of(made)
    one, other = by_name(plan, "blk.0.ffn_gate.weight"), by_name(plan, "blk.1.ffn_gate.weight")
    assert rules(bundle, written(made, swapped(plan, one, other))) == ["value"]


def test_rows_in_the_order_of_transformers_are_refused(made, bundle):
    plan = plan_of(made)
    unmoved = plan._replace(tensors=[tensor._replace(heads=0) for tensor in plan.tensors])
    assert rules(bundle, written(made, unmoved)) == ["value"]


@pytest.mark.parametrize("kind", sorted(layout.TYPES))
def test_one_changed_bit_of_a_number_is_refused_where_it_is(made, bundle, kind):
    content, plan = bytearray(original(made, kind)), plan_of(made, kind)
    start = len(layout.header(plan))
    last = len(content) - layout.padded(size := layout.size(plan.tensors[-1])) + size - 1
    for at in (start, start + 5, last, (start + last) // 2):
        changed = bytearray(content)
        changed[at] ^= 1
        (bundle / NAME).write_bytes(changed)
        found = [f for f in scan(bundle, LIMIT).findings if f.rule.startswith("gguf.")]
        assert [(f.rule, f.offset) for f in found] == [("gguf.value", at)]


def test_bytes_between_header_and_numbers_are_zero(made, bundle):
    template = (bundle / "chat_template.jinja").read_text()
    for more in range(1, 33):
        (bundle / "chat_template.jinja").write_text(template + " " * more)
        content, plan = written(bundle, plan_of(bundle)), plan_of(bundle)
        last = plan.tensors[-1]
        end = content.rindex(layout.text(last.name)) + len(layout.text(last.name)) + 4 + 8 * len(last.shape) + 4 + 8
        assert rules(bundle, content) == []
        if end % layout.ALIGNMENT:
            changed = bytearray(content)
            changed[layout.padded(end) - 1] = 1
            assert rules(bundle, bytes(changed)) == ["filling"]


def test_bytes_behind_a_tensor_are_zero(made, bundle):
    content, at = bytearray(original(made, "q8_0")), len(layout.header(plan_of(made, "q8_0")))
    size = layout.size(plan_of(made, "q8_0").tensors[0])
    assert size % layout.ALIGNMENT
    content[at + size] = 1
    assert rules(bundle, bytes(content)) == ["filling"]


def lied(made, at, form, value):
    content = bytearray(original(made))
    struct.pack_into(form, content, at, value)
    return bytes(content)


def key_at(made, key):
    """Offset of the type of a value."""
    return original(made).index(layout.text(key)) + len(layout.text(key))


@pytest.mark.parametrize(
    ("at", "lie", "rule"),
    [
        (0, ("<4s", b"GGML"), "magic"),
        (4, ("<I", 2), "version"),
        (4, ("<I", 4), "version"),
        (4, (">I", 3), "version"),
        (8, ("<Q", 0), "count"),
        (8, ("<Q", 2**63), "count"),
        (8, ("<Q", 20), "filling"),
        (16, ("<Q", 0), "count"),
        (16, ("<Q", 2**63), "count"),
        (16, ("<Q", 2**64 - 1), "count"),
        (24, ("<Q", 2**63), "bounds"),
        (24, ("<Q", 1 << 30), "bounds"),
        (24, ("<Q", 0), "type"),
    ],
)
def test_a_lie_of_the_beginning_is_refused(made, bundle, at, lie, rule):
    assert rules(bundle, lied(made, at, *lie)) == [rule]


@pytest.mark.parametrize(
    ("key", "lie", "rule"),
    [
        ("llama.block_count", (0, "<I", 12), "type"),
        ("llama.block_count", (0, "<I", 2**31), "type"),
        ("general.type", (4, "<Q", 2**63), "bounds"),
        ("general.type", (4, "<Q", 1 << 40), "bounds"),
        ("general.type", (12, "<B", 0xFF), "encoding"),
        ("tokenizer.ggml.tokens", (4, "<I", ARRAY), "type"),
        ("tokenizer.ggml.tokens", (4, "<I", 10), "type"),
        ("tokenizer.ggml.tokens", (8, "<Q", 2**63), "bounds"),
        ("tokenizer.ggml.tokens", (8, "<Q", 2**64 - 1), "bounds"),
        ("tokenizer.ggml.token_type", (8, "<Q", 2**62), "bounds"),
        ("tokenizer.ggml.add_bos_token", (4, "<B", 2), "type"),
        ("token_embd.weight", (0, "<I", 0), "shape"),
        ("token_embd.weight", (0, "<I", 5), "shape"),
        ("token_embd.weight", (0, "<I", 2**32 - 1), "shape"),
        ("token_embd.weight", (4, "<Q", 2**63), "offset"),
        ("token_embd.weight", (4, "<Q", 0), "type"),
        ("token_embd.weight", (20, "<I", 2), "type"),
        ("token_embd.weight", (20, "<I", 2**32 - 1), "type"),
        ("token_embd.weight", (24, "<Q", 32), "offset"),
        ("output_norm.weight", (16, "<Q", 0), "offset"),
        ("output_norm.weight", (16, "<Q", 2**64 - 32), "offset"),
    ],
)
def test_a_lie_of_a_line_is_refused(made, bundle, key, lie, rule):
    beyond, form, value = lie
    assert rules(bundle, lied(made, key_at(made, key) + beyond, form, value)) == [rule]


def test_a_file_that_was_cut_or_lengthened_is_refused(made, bundle):
    content = original(made)
    for size in (1, 4, 7, 23, 24, 40, 500, 3000, len(content) - 1, len(content) - 4096):
        assert rules(bundle, content[:size]) in (["magic"], ["bounds"], ["count"], ["tail"]), size
    assert rules(bundle, content + b"\0" * 32) == ["tail"]


def test_a_file_without_its_model_is_refused(made, tmp_path):
    (tmp_path / NAME).write_bytes(original(made))
    assert [f.rule for f in scan(tmp_path / NAME, LIMIT).findings] == ["gguf.alone"]
    assert rules(tmp_path) == ["alone"]


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors"])
def test_a_file_beside_half_a_model_is_refused(made, bundle, name):
    (bundle / name).write_text("{")
    assert rules(bundle, original(made)) == ["alone"]
    (bundle / name).unlink()
    assert rules(bundle) == ["alone"]


def test_a_file_of_another_model_is_refused(made, bundle, tmp_path):
    (bundle / NAME).write_bytes(original(made))
    edit(bundle / "config.json", rms_norm_eps=0.5)
    assert rules(bundle) == ["architecture"]
    edit(bundle / "config.json", hidden_act="relu")
    assert rules(bundle) == ["foreign"]


def test_a_template_in_the_configuration_counts_as_well(made, bundle):
    template = (bundle / "chat_template.jinja").read_text()
    (bundle / "chat_template.jinja").unlink()
    edit(bundle / "tokenizer_config.json", chat_template=template)
    assert rules(bundle, original(made)) == []
    edit(bundle / "tokenizer_config.json", chat_template=EVIL)
    assert rules(bundle) == ["template"]


def test_weights_that_are_not_the_plans_are_refused(made, bundle):
    from safetensors.numpy import load_file, save_file

    path = bundle / "model.safetensors"
    weights = load_file(path)
    save_file({**weights, "extra.weight": np.ones(3, "f4")}, path, {"format": "pt"})
    assert rules(bundle, original(made)) == ["weights"]
    save_file({**weights, "model.norm.weight": np.ones(64, "f8")}, path, {"format": "pt"})
    assert rules(bundle) == ["weights"]


def test_numbers_that_are_none_are_refused_even_if_the_weights_have_them(made, bundle):
    from safetensors.numpy import load_file, save_file

    path = bundle / "model.safetensors"
    weights = load_file(path)
    weights["model.layers.0.mlp.up_proj.weight"][3, 5] = 1e6
    save_file(weights, path, {"format": "pt"})
    plan = plan_of(bundle, "f16")
    with np.errstate(over="ignore"):
        assert rules(bundle, written(bundle, plan)) == ["not_finite"]


def test_a_link_or_an_empty_file_or_a_hole_is_refused(made, bundle):
    (bundle / "elsewhere").write_bytes(original(made))
    (bundle / NAME).symlink_to(bundle / "elsewhere")
    report = scan(bundle, LIMIT)
    assert "file.symlink" in {f.rule for f in report.findings}
    (bundle / NAME).unlink()
    assert rules(bundle, b"") == ["magic"]
    with open(bundle / NAME, "wb") as file:
        file.write(original(made)[:5000])
        file.truncate(8 << 20)
    assert "file.sparse" in {f.rule for f in scan(bundle, LIMIT).findings} or os.uname().sysname != "Linux"


@pytest.mark.parametrize("dtype", ["F32", "BF16", "F16"])
@pytest.mark.parametrize("kind", sorted(layout.TYPES))
def test_conversion_is_that_of_the_exporters_library(dtype, kind):
    """Numbers of every size, ties and zeros among them, are converted to the same bits by both."""
    import gguf

    rng = np.random.default_rng(3)
    numbers = rng.standard_normal(1 << 14) * 10.0 ** rng.uniform(-9, 3, 1 << 14)
    numbers = np.concatenate([numbers, np.arange(-508, 516) / 4, np.zeros(64), -np.zeros(64)]).astype("<f4")
    numbers[-64:-32] = np.linspace(-127, 127, 32) / 2
    raw = {
        "F32": numbers,
        "F16": numbers.astype("<f2"),
        "BF16": (numbers.view("<u4") >> 16).astype("<u2"),
    }[dtype].view("u1")
    source = gguf_values._floats(raw, dtype)
    code = gguf.GGMLQuantizationType(layout.TYPES[kind].code)
    expected = gguf.quants.quantize(np.ascontiguousarray(source).reshape(-1, 32), code)
    assert gguf_values.converted(raw, dtype, kind).tobytes() == expected.tobytes()


def test_the_scan_needs_neither_torch_nor_the_exporters_library(made, bundle):
    (bundle / NAME).write_bytes(original(made, "q8_0"))
    code = (
        "import sys; from pathlib import Path; from slipway.scan.verdict import scan\n"
        f"assert scan(Path({str(bundle)!r}), {LIMIT}).passed\n"
        "print({'torch', 'gguf', 'transformers', 'safetensors'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_large_tensors_are_judged_in_stretches(made, bundle, monkeypatch):
    monkeypatch.setattr(gguf_values, "NUMBERS", 96)
    for kind in layout.TYPES:
        content = original(made, kind)
        assert rules(bundle, content) == []
        changed = bytearray(content)
        changed[-9] ^= 4
        assert rules(bundle, bytes(changed)) == ["value"]


def test_the_case_list_covers_every_kind_of_value(made):
    kinds = {entry.kind for entry in plan_of(made).entries}
    assert kinds == {UINT32, FLOAT32, BOOL, STRING, ARRAY}
    assert isinstance(plan_of(made), Plan)
    assert all(prod(tensor.shape) for tensor in plan_of(made).tensors)
    assert json.loads((made / "config.json").read_text())["tie_word_embeddings"] is False
