"""Weights against config.json: shapes, kinds of numbers and the count of layers that the configuration promises.

Weights that do not fit are filled up at random, or fail, on the machine of whoever loads them. Judged is only what is
certain: families whose tensors have a known role, keys that the configuration states itself, and weights that are not
quantised. What holds of every architecture is judged by `slipway.scan.unlisted`.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from slipway.records import Finding
from slipway.scan import structure, unlisted
from slipway.scan.subject import Subject
from slipway.scan.values import Tensor

WHOLE = "model.safetensors"
CONFIG_LIMIT = 1 << 20
"""Bytes of a config.json that is read for this; the JSON checker judges the file itself."""
SHOWN = 20
WIDTH = {"F64": 64, "F32": 32, "BF16": 16, "F16": 16}
"""Bits of the formats that a configuration's dtype can name."""
NAMED = {"float64": "F64", "float32": "F32", "bfloat16": "BF16", "float16": "F16"}
REMEDY = "save model and configuration together again (save_pretrained), so that they describe one model"


class Family(NamedTuple):
    """What is certain about the models of one `model_type`."""

    roles: Mapping[str, tuple[str, ...]]
    """Name of a tensor, without prefix and with `N` for a layer's number -> keys (or products of keys) of its sides."""
    layers: Mapping[str, str]
    """Where layers are counted -> the key that says how many there are."""


_Roles = dict[str, tuple[str, ...]]
_EMBEDDINGS: _Roles = {
    "embed_tokens.weight": ("vocab_size", "hidden_size"),
    "lm_head.weight": ("vocab_size", "hidden_size"),
}
_NORMS: _Roles = {"norm.weight": ("hidden_size",), "layers.N.input_layernorm.weight": ("hidden_size",)}
_DENSE: _Roles = {
    "layers.N.mlp.gate_proj.weight": ("intermediate_size", "hidden_size"),
    "layers.N.mlp.up_proj.weight": ("intermediate_size", "hidden_size"),
    "layers.N.mlp.down_proj.weight": ("hidden_size", "intermediate_size"),
}
_HEADS: _Roles = {
    "layers.N.self_attn.q_proj.weight": ("num_attention_heads*head_dim", "hidden_size"),
    "layers.N.self_attn.k_proj.weight": ("num_key_value_heads*head_dim", "hidden_size"),
    "layers.N.self_attn.v_proj.weight": ("num_key_value_heads*head_dim", "hidden_size"),
    "layers.N.self_attn.o_proj.weight": ("hidden_size", "num_attention_heads*head_dim"),
}
_COUNT = {"layers": "num_hidden_layers"}
_LLAMA = Family(_EMBEDDINGS | _NORMS | _DENSE | _HEADS, _COUNT)
_SPARSE = Family(_EMBEDDINGS | _NORMS | _HEADS, _COUNT)
_BERT = Family(
    {
        "embeddings.word_embeddings.weight": ("vocab_size", "hidden_size"),
        "embeddings.position_embeddings.weight": ("max_position_embeddings", "hidden_size"),
        "embeddings.token_type_embeddings.weight": ("type_vocab_size", "hidden_size"),
        "encoder.layer.N.attention.self.query.weight": ("hidden_size", "hidden_size"),
        "encoder.layer.N.intermediate.dense.weight": ("intermediate_size", "hidden_size"),
    },
    {"encoder.layer": "num_hidden_layers"},
)
_GPT2 = Family(
    {
        "wte.weight": ("vocab_size", "n_embd"),
        "wpe.weight": ("n_positions", "n_embd"),
        "h.N.ln_1.weight": ("n_embd",),
        "h.N.attn.c_proj.weight": ("n_embd", "n_embd"),
    },
    {"h": "n_layer"},
)
_T5 = Family(
    {
        "shared.weight": ("vocab_size", "d_model"),
        "encoder.block.N.layer.0.SelfAttention.q.weight": ("num_heads*d_kv", "d_model"),
    },
    {"encoder.block": "num_layers", "decoder.block": "num_decoder_layers"},
)
FAMILIES: Mapping[str, Family] = {
    **dict.fromkeys(("llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2", "olmo", "olmo2", "granite"), _LLAMA),
    **dict.fromkeys(("mixtral", "qwen2_moe", "qwen3_moe", "olmoe"), _SPARSE),
    **dict.fromkeys(("bert", "roberta", "xlm-roberta", "camembert"), _BERT),
    "gpt2": _GPT2,
    **dict.fromkeys(("t5", "mt5"), _T5),
}
_TABLE = re.compile(r"^(embed_tokens|embeddings\.word_embeddings|wte|shared)\.weight$")
_PREFIX = re.compile(r"^(?:model\.|transformer\.|bert\.|roberta\.)")


def _config(subject: Subject) -> dict[str, Any]:
    """config.json beside the weights; empty if there is none that can be used."""
    name = str(PurePosixPath(subject.name).with_name("config.json"))
    path = subject.path.with_name("config.json")
    if name not in subject.siblings or not path.is_file() or path.is_symlink():
        return {}
    value, findings = structure.parse(Subject(path, name, path.stat().st_size, subject.siblings), "json", CONFIG_LIMIT)
    return value if isinstance(value, dict) and not findings else {}


def _side(config: Mapping[str, Any], expression: str) -> int | None:
    """A side's length; None if the configuration does not state it."""
    product = 1
    for key in expression.split("*"):
        value = config.get(key)
        if type(value) is not int:
            return None
        product *= value
    return product


def _judge_shape(tensor: Tensor, role: str, family: Family, config: Mapping[str, Any]) -> str | None:
    keys = family.roles.get(role)
    sides = tuple(_side(config, key) for key in keys) if keys else ()
    if not keys or None in sides or sides == tensor.shape:
        return None
    promised = ", ".join(f"{key} {side}" for key, side in zip(keys, sides, strict=True))
    return f"tensor {tensor.name!r} has the shape {list(tensor.shape)}, but config.json says {promised}"


def _judge_layers(seen: Mapping[str, set[int]], config: Mapping[str, Any], family: Family, *, whole: bool) -> list[str]:
    """Layers beyond the promised ones, and in weights of one file, layers that are missing."""
    faults = []
    for place, key in family.layers.items():
        promised = config.get(key)
        found = seen.get(place, set())
        if type(promised) is not int or not found:
            continue
        if max(found) >= promised:
            faults.append(f"holds layer {max(found)} of `{place}`, but config.json says {key} {promised}")
        elif whole and len(found) < promised:
            faults.append(f"holds {len(found)} layers of `{place}`, but config.json says {key} {promised}")
    return faults


def _judge_dtype(tensor: Tensor, promised: str | None) -> str | None:
    """Narrower than promised, or no floating-point numbers at all: the configuration would have to say so."""
    if tensor.dtype not in WIDTH:
        return f"tensor {tensor.name!r} holds {tensor.dtype}, and config.json says nothing of a quantisation"
    if promised and WIDTH[tensor.dtype] < WIDTH[promised]:
        return f"tensor {tensor.name!r} holds {tensor.dtype}, fewer bits than the {promised} that config.json promises"
    return None


def _faults(config: Mapping[str, Any], tensors: Iterable[Tensor], *, whole: bool) -> Iterator[tuple[str, str]]:
    """(rule, reason) for all that contradicts the configuration."""
    family = FAMILIES.get(str(config.get("model_type")))
    if family is None:
        yield from unlisted.judge(config, tensors, whole=whole)
        return
    stated = config.get("dtype", config.get("torch_dtype"))
    promised = NAMED.get(stated.removeprefix("torch.")) if isinstance(stated, str) else None
    seen: dict[str, set[int]] = {}
    known: set[str] = set()
    for tensor in tensors:
        role = _PREFIX.sub("", tensor.name)
        for place in family.layers:
            if found := re.match(rf"{re.escape(place)}\.(\d{{1,6}})\.", role):
                seen.setdefault(place, set()).add(int(found[1]))
                role = f"{place}.N.{role[found.end() :]}"
                break
        known.add(role)
        if reason := _judge_shape(tensor, role, family, config):
            yield "shape", reason
        elif role in family.roles and (reason := _judge_dtype(tensor, promised)):
            yield "dtype", reason
    if whole and seen and not any(role in family.roles for role in known if _TABLE.search(role)):
        yield "shape", "holds layers, but no table of words, so whoever loads it gets one at random"
    for reason in _judge_layers(seen, config, family, whole=whole):
        yield "layers", reason


def check(subject: Subject, tensors: Iterable[Tensor]) -> Iterator[Finding]:
    """Findings `weights.shape`, `weights.dtype` and `weights.layers`, at most `SHOWN` of a file.

    Args:
        subject: a safetensors file whose structure holds.
        tensors: what its header lists.
    """
    if not PurePosixPath(subject.name).name.startswith("model"):
        return  # an adapter's or another part's weights: the configuration does not describe them
    config = _config(subject)
    if not config or config.get("quantization_config"):
        return
    whole = PurePosixPath(subject.name).name == WHOLE
    for number, (rule, reason) in enumerate(_faults(config, tensors, whole=whole)):
        if number == SHOWN:
            return
        yield subject.finding(f"weights.{rule}", reason, REMEDY)
