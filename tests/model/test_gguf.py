"""The exporter: the format's own library and transformers read back what it writes, and compute the same logits."""

import json

import numpy as np
import pytest

from slipway.errors import UserError
from slipway.gguf import layout
from slipway.gguf.plan import describe
from slipway.gguf.vocabulary import PATTERNS
from slipway.model.gguf import export, read
from tests.tiny_gguf import OTHERS, SIZES, directory, edit

KINDS = ("llama", "mistral", "qwen2", "qwen3")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return directory(tmp_path_factory.mktemp("model") / "m", talks=True)


def logits(model):
    import torch

    with torch.no_grad():
        return model(torch.tensor([[5, 9, 300, 7, 7, 12]])).logits[0].float().numpy()


@pytest.mark.parametrize("kind", KINDS)
def test_transformers_computes_the_same_from_the_file(tmp_path, kind):
    import torch
    from transformers import AutoModelForCausalLM

    model = directory(tmp_path / "m", kind, tied=kind == "llama")
    export(model, model / "m.gguf", "f32")
    ours = logits(AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32))
    theirs = logits(AutoModelForCausalLM.from_pretrained(model, gguf_file="m.gguf", dtype=torch.float32))
    assert np.array_equal(ours, theirs)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("tied", [True, False])
def test_names_are_those_of_the_library(made, kind, tied):
    import gguf

    from slipway.model.build import configure

    config = configure(
        {"model_type": kind, "hidden_size": 64, "tie_word_embeddings": tied} | OTHERS[kind], 320, 64
    ).to_dict()
    plan = describe(read(made)._replace(config=config), "f32")
    known = {name: number for number, name in gguf.MODEL_ARCH_NAMES.items()}
    names = gguf.get_tensor_name_map(known[plan.entries[0].value], config["num_hidden_layers"])
    for tensor in plan.tensors:
        assert names.get_name(tensor.source, try_suffixes=(".weight", ".bias")) == tensor.name


@pytest.mark.parametrize("kind", sorted(layout.TYPES))
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_numbers_come_back_as_near_as_the_type_allows(tmp_path, kind, dtype):
    import gguf
    from safetensors.torch import load_file

    model = directory(tmp_path / "m", dtype=dtype)
    export(model, tmp_path / "x.gguf", kind)
    weights = load_file(model / "model.safetensors")
    found = {one.name: one for one in gguf.GGUFReader(tmp_path / "x.gguf").tensors}
    apart = {"f32": 0.0, "f16": 2**-11, "bf16": 2**-8, "q8_0": 0.5 / 127 + 2**-11}[kind]
    for tensor in describe(read(model), kind).tensors:
        expected = weights[tensor.source].float().numpy()
        expected = layout.regrouped(expected, tensor.heads) if tensor.heads else expected
        one = found[tensor.name]
        actual = gguf.quants.dequantize(one.data, one.tensor_type).reshape(expected.shape)
        assert np.abs(actual - expected).max() <= apart * np.abs(expected).max()
        assert one.tensor_type.name == (kind.upper() if len(tensor.shape) > 1 else "F32")


def test_the_header_is_the_described_one_and_the_bytes_are_always_the_same(made, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    export(made, tmp_path / "a.gguf", "q8_0")
    export(made, tmp_path / "elsewhere" / "b.gguf", "q8_0")
    content = (tmp_path / "a.gguf").read_bytes()
    assert content == (tmp_path / "elsewhere" / "b.gguf").read_bytes()
    plan = describe(read(made), "q8_0")
    assert content.startswith(layout.header(plan))
    assert len(content) == len(layout.header(plan)) + sum(layout.padded(layout.size(one)) for one in plan.tensors)


def test_tokens_template_and_numbers_are_read_back(made, tmp_path):
    import gguf

    export(made, tmp_path / "a.gguf", "f16")
    fields = gguf.GGUFReader(tmp_path / "a.gguf").fields
    held = {key: field.contents() for key, field in fields.items()}
    tokenizer = json.loads((made / "tokenizer.json").read_text())
    assert held["tokenizer.ggml.tokens"] == sorted(tokenizer["model"]["vocab"], key=tokenizer["model"]["vocab"].get)
    assert held["tokenizer.ggml.merges"] == [" ".join(pair) for pair in tokenizer["model"]["merges"]]
    assert held["tokenizer.ggml.token_type"][:4] == [3, 3, 3, 1]
    assert held["tokenizer.ggml.pre"] == "gpt-2"
    assert held["tokenizer.ggml.add_bos_token"] is False
    assert held["tokenizer.chat_template"] == (made / "chat_template.jinja").read_text()
    assert held["llama.attention.key_length"] == 32
    assert held["llama.context_length"] == SIZES["max_position_embeddings"]


def test_weights_in_shards_give_the_same_file(made, tmp_path):
    import torch
    from transformers import AutoModelForCausalLM

    shards = directory(tmp_path / "m", talks=True)
    AutoModelForCausalLM.from_pretrained(made, dtype=torch.float32).save_pretrained(shards, max_shard_size="60KB")
    (shards / "model.safetensors").unlink()
    assert len(list(shards.glob("*.safetensors"))) > 1
    for model, name in ((made, "a"), (shards, "b")):
        export(model, tmp_path / name, "f32")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_numbers_without_a_token_are_filled_up(tmp_path):
    model = directory(tmp_path / "m")
    rows = json.loads((model / "config.json").read_text())["vocab_size"]
    tokenizer = json.loads((model / "tokenizer.json").read_text())
    tokenizer["model"]["merges"].pop()
    del tokenizer["model"]["vocab"][max(tokenizer["model"]["vocab"], key=tokenizer["model"]["vocab"].get)]
    (model / "tokenizer.json").write_text(json.dumps(tokenizer))
    entries = {entry.key: entry.value for entry in describe(read(model), "f32").entries}
    assert entries["tokenizer.ggml.tokens"][-1] == f"[PAD{rows - 1}]"
    assert entries["tokenizer.ggml.token_type"][-1] == 5


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"model_type": "gemma2"}, "model_type"),
        ({"architectures": ["LlamaForSequenceClassification"]}, "architectures"),
        ({"hidden_act": "gelu"}, "hidden_act"),
        ({"attention_bias": True}, "attention_bias"),
        ({"attention_bias": 0}, "attention_bias"),
        ({"sliding_window": 4096}, "sliding_window"),
        ({"rope_parameters": {"rope_theta": 1e4, "rope_type": "llama3", "factor": 8.0}}, "rope_parameters"),
        ({"rope_parameters": None}, "rope_parameters"),
        ({"logit_scale": 2.0}, "logit_scale"),
        ({"num_hidden_layers": 2.0}, "num_hidden_layers"),
        ({"num_key_value_heads": 3}, "num_key_value_heads"),
        ({"head_dim": 33}, "num_key_value_heads"),
        ({"rms_norm_eps": 0}, "rms_norm_eps"),
        ({"vocab_size": 2**40}, "vocab_size"),
    ],
)
def test_what_llama_cpp_would_compute_otherwise_is_refused(made, tmp_path, changes, named):
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        (tmp_path / name).write_text((made / name).read_text())
    edit(tmp_path / "config.json", **changes)
    with pytest.raises(UserError, match=named):
        describe(read(tmp_path), "f32")


BYTES = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"normalizer": {"type": "NFC"}}, "normalised"),
        ({"decoder": None}, "byte by byte"),
        ({"pre_tokenizer": None}, "cut into words"),
        ({"pre_tokenizer": {"type": "Whitespace"}}, "cut into words"),
        ({"pre_tokenizer": BYTES | {"add_prefix_space": True}}, "cut into words"),
        ({"pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "Digits"}, BYTES]}}, "cut into words"),
        ({"pre_tokenizer": {"type": "Sequence", "pretokenizers": "x"}}, "list of parts"),
        ({"truncation": {"max_length": 5}}, "cut or filled"),
        ({"post_processor": {"type": "TemplateProcessing", "single": []}}, "added to each text"),
        ({"model": {"type": "WordPiece"}}, "byte-level BPE"),
        ({"added_tokens": [{"id": 0, "content": "<|endoftext|>", "lstrip": True}]}, "white space"),
        ({"added_tokens": [{"id": 5, "content": "<x>"}]}, "taken or beyond"),
        ({"added_tokens": [{"id": 5000, "content": "<x>"}]}, "taken or beyond"),
    ],
)
def test_what_llama_cpp_would_tokenise_otherwise_is_refused(made, tmp_path, changes, named):
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        (tmp_path / name).write_text((made / name).read_text())
    tokenizer = json.loads((tmp_path / "tokenizer.json").read_text())
    (tmp_path / "tokenizer.json").write_text(json.dumps(tokenizer | changes))
    with pytest.raises(UserError, match=named):
        describe(read(tmp_path), "f32")


def test_the_built_in_pattern_has_the_name_of_gpt_2():
    assert PATTERNS[None].name == "gpt-2"
    assert len({cut.name for cut in PATTERNS.values()}) == len(PATTERNS)


@pytest.mark.parametrize(("pattern", "cut"), [one for one in PATTERNS.items() if one[0]])
def test_patterns_of_known_models_are_found_by_their_text(made, pattern, cut):
    split = {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}
    parts = {"type": "Sequence", "pretokenizers": [split, BYTES | {"use_regex": False}]}
    model = read(made)
    merges = model.tokenizer["model"] | {"ignore_merges": cut.whole_words}
    tokenizer = model.tokenizer | {"pre_tokenizer": parts, "model": merges}
    entries = {entry.key: entry.value for entry in describe(model._replace(tokenizer=tokenizer), "f32").entries}
    assert entries["tokenizer.ggml.pre"] == cut.name
    for wrong in (
        {"model": merges | {"ignore_merges": not cut.whole_words}},
        {"pre_tokenizer": parts | {"pretokenizers": [split | {"invert": True}, parts["pretokenizers"][1]]}},
        {"pre_tokenizer": parts | {"pretokenizers": [split | {"behavior": "Removed"}, parts["pretokenizers"][1]]}},
        {"pre_tokenizer": parts | {"pretokenizers": [split | {"pattern": {"Regex": pattern + "|x"}}, BYTES]}},
        {"pre_tokenizer": parts | {"pretokenizers": [split, BYTES]}},
    ):
        with pytest.raises(UserError, match="other tokens of the same text"):
            describe(model._replace(tokenizer=tokenizer | wrong), "f32")


def test_a_token_that_begins_every_text_is_said(made):
    model = read(made)
    text, end = {"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "<|endoftext|>", "type_id": 0}}
    for single, begins in (([end, text], True), ([text], False)):
        processor = {"type": "TemplateProcessing", "single": single}
        tokenizer = model.tokenizer | {"post_processor": processor}
        entries = {entry.key: entry.value for entry in describe(model._replace(tokenizer=tokenizer), "f32").entries}
        assert entries["tokenizer.ggml.add_bos_token"] is begins
    for settings in ({"add_bos_token": True}, {"add_eos_token": True}, {"add_prefix_space": True}):
        with pytest.raises(UserError, match="adds to texts"):
            describe(model._replace(settings=model.settings | settings), "f32")


def changed(model, **tensors):
    """The weights with some tensors replaced; None leaves one out."""
    from safetensors.torch import load_file, save_file

    path = model / "model.safetensors"
    found = {**load_file(path), **{name.replace("__", "."): value for name, value in tensors.items()}}
    save_file({name: value for name, value in found.items() if value is not None}, path, {"format": "pt"})


@pytest.mark.parametrize(
    ("kind", "number", "named"),
    [
        ("f16", 70000.0, "f16 cannot"),
        ("f32", float("nan"), "f32 cannot"),
        ("bf16", float("inf"), "bf16 cannot"),
        ("q8_0", float("nan"), "q8_0 cannot"),
        ("q8_0", 1e-38, "q8_0 cannot"),
    ],
)
def test_numbers_that_a_type_cannot_hold_are_refused(tmp_path, kind, number, named):
    import torch

    model = directory(tmp_path / "m")
    changed(model, model__layers__0__mlp__down_proj__weight=torch.full((64, 96), number))
    with pytest.raises(UserError, match=named):
        export(model, tmp_path / "x.gguf", kind)
    assert not (tmp_path / "x.gguf").exists()


def test_weights_that_are_not_the_configurations_are_refused(tmp_path):
    import torch

    model = directory(tmp_path / "m")
    changed(model, extra__weight=torch.ones(3))
    with pytest.raises(UserError, match=r"extra\.weight is in the weights"):
        export(model, tmp_path / "x.gguf", "f32")
    changed(model, extra__weight=None, model__norm__weight=None)
    with pytest.raises(UserError, match=r"model\.norm\.weight is missing"):
        export(model, tmp_path / "x.gguf", "f32")
    for wrong in (torch.ones(65), torch.ones(64, dtype=torch.float64), torch.ones(64, dtype=torch.int8)):
        changed(model, model__norm__weight=wrong)
        with pytest.raises(UserError, match=r"model\.norm\.weight: is torch\..* but must be float32"):
            export(model, tmp_path / "x.gguf", "f32")
    assert not (tmp_path / "x.gguf").exists()


def test_rows_that_do_not_hold_whole_blocks_are_refused(tmp_path):
    model = directory(tmp_path / "m", intermediate_size=80)
    with pytest.raises(UserError, match="choose another type"):
        export(model, tmp_path / "x.gguf", "q8_0")


def test_files_are_named_by_model_and_type():
    assert layout.file_name("pydocs", "q8_0") == "pydocs-Q8_0.gguf"
