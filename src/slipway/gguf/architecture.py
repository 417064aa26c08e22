"""config.json to llama.cpp's hyperparameters and tensors, for the architectures that both compute alike.

Every key of the configuration is known here: it is written, it has no effect on what the model computes, or it must
have the one value that llama.cpp assumes. Another key, or another value, ends the export.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from slipway.errors import UserError
from slipway.gguf.layout import FLOAT32, UINT32, Entry, Tensor

MOST_LAYERS = 10_000
MOST = 1 << 22
"""Largest vocabulary, or width."""


class Family(NamedTuple):
    """How llama.cpp treats the models of one `model_type`."""

    name: str
    """Of its architecture there."""
    model_class: str
    heads_regrouped: bool = False
    biases: bool = False
    """Queries, keys and values have one."""
    head_norms: bool = False
    """Queries and keys are normalised by head."""


FAMILIES: Mapping[str, Family] = {
    "llama": Family("llama", "LlamaForCausalLM", heads_regrouped=True),
    "mistral": Family("llama", "MistralForCausalLM", heads_regrouped=True),
    "qwen2": Family("qwen2", "Qwen2ForCausalLM", biases=True),
    "qwen3": Family("qwen3", "Qwen3ForCausalLM", head_norms=True),
}
_WITHOUT_EFFECT = {
    *("attention_dropout", "bos_token_id", "dtype", "eos_token_id", "initializer_range", "max_window_layers"),
    *("model_type", "pad_token_id", "pretraining_tp", "torch_dtype", "transformers_version", "use_cache"),
    *("_name_or_path", "output_attentions", "output_hidden_states", "return_dict", "id2label", "label2id"),
    *("problem_type", "chunk_size_feed_forward", "is_encoder_decoder"),
}
"""Keys that do not change what a loaded model computes; special tokens are taken from the tokenizer."""
_WRITTEN = {
    *("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "head_dim"),
    *("num_key_value_heads", "max_position_embeddings", "rms_norm_eps", "rope_parameters", "tie_word_embeddings"),
}
_ONLY: Mapping[str, Any] = {
    "hidden_act": "silu",
    "attention_bias": False,
    "mlp_bias": False,
    "use_sliding_window": False,
    "sliding_window": None,
    "rope_scaling": None,
}
"""Keys with the one value that can be exported."""


def _refused(key: str, reason: str) -> UserError:
    known = ", ".join(FAMILIES)
    return UserError(
        f"config.json: {key}: {reason}, so no GGUF can be made of this model; leave `bundle.gguf` empty. "
        f"Exported are {known} with plain attention and unscaled positions (docs/gguf.md)"
    )


def family(config: Mapping[str, Any]) -> Family:
    """How to export a configuration.

    Raises:
        UserError: naming the key that llama.cpp would pass over or compute otherwise.
    """
    kind = config.get("model_type")
    if not isinstance(kind, str) or kind not in FAMILIES:
        raise _refused("model_type", f"{str(kind)[:40]!r} is no architecture that can be exported")
    found = FAMILIES[kind]
    if config.get("architectures") not in (None, [found.model_class]):
        raise _refused("architectures", f"is not {found.model_class}")
    for key, value in config.items():
        if key in _ONLY:
            if type(value) is not type(_ONLY[key]) or value != _ONLY[key]:
                raise _refused(key, f"is {str(value)[:40]!r}, and llama.cpp computes with {_ONLY[key]!r}")
        elif key == "layer_types":
            if not isinstance(value, list) or set(map(str, value)) != {"full_attention"}:
                raise _refused(key, "has layers that do not attend to everything")
        elif key not in _WRITTEN | _WITHOUT_EFFECT | {"architectures"}:
            raise _refused(key[:40], "is a setting that the exporter does not know")
    return found


def _whole(config: Mapping[str, Any], key: str, most: int = MOST) -> int:
    value = config.get(key)
    if type(value) is not int or not 0 < value <= most:
        raise _refused(key, f"is {str(value)[:40]!r}, no whole number from 1 to {most}")
    return value


def _number(config: Mapping[str, Any], key: str) -> float:
    value: Any = config.get(key)
    if type(value) not in (int, float) or not 0 < value < 1e30:
        raise _refused(key, f"is {str(value)[:40]!r}, no positive number")
    return float(value)


def _width(config: Mapping[str, Any]) -> int:
    """Numbers of one head; some configurations leave it to be worked out."""
    if config.get("head_dim") is not None:
        return _whole(config, "head_dim")
    hidden, heads = _whole(config, "hidden_size"), _whole(config, "num_attention_heads")
    if hidden % heads:
        raise _refused("num_attention_heads", f"{heads} do not divide hidden_size {hidden}")
    return hidden // heads


def _theta(config: Mapping[str, Any]) -> float:
    found = config.get("rope_parameters")
    if not isinstance(found, dict) or set(found) != {"rope_theta", "rope_type"} or found["rope_type"] != "default":
        raise _refused("rope_parameters", f"is {str(found)[:60]!r}, and only rope_theta of type `default` is exported")
    return _number(found, "rope_theta")


def parameters(config: Mapping[str, Any]) -> list[Entry]:
    """Hyperparameters under llama.cpp's names; raises UserError as `family`, or for a number that cannot be."""
    found = family(config)
    heads, groups = (_whole(config, key) for key in ("num_attention_heads", "num_key_value_heads"))
    width = _width(config)
    if heads % groups or width % 2:
        raise _refused("num_key_value_heads", f"{groups} do not divide {heads} heads, or head_dim {width} is odd")
    if type(config.get("tie_word_embeddings")) is not bool:
        raise _refused("tie_word_embeddings", "is neither true nor false")
    numbers = {
        "vocab_size": _whole(config, "vocab_size"),
        "context_length": _whole(config, "max_position_embeddings", 2**31),
        "embedding_length": _whole(config, "hidden_size"),
        "block_count": _whole(config, "num_hidden_layers", MOST_LAYERS),
        "feed_forward_length": _whole(config, "intermediate_size"),
        "attention.head_count": heads,
        "attention.head_count_kv": groups,
        "attention.key_length": width,
        "attention.value_length": width,
        "rope.dimension_count": width,
    }
    reals = {
        "rope.freq_base": _theta(config),
        "attention.layer_norm_rms_epsilon": _number(config, "rms_norm_eps"),
    }
    return [
        *(Entry(f"{found.name}.{key}", UINT32, value) for key, value in numbers.items()),
        *(Entry(f"{found.name}.{key}", FLOAT32, value) for key, value in reals.items()),
    ]


def tensors(config: Mapping[str, Any], kind: str) -> Iterator[Tensor]:
    """The tensors of a configuration that `parameters` has taken: matrices as `kind`, vectors as f32."""
    found, width, hidden = family(config), _width(config), config["hidden_size"]
    queries, keys = config["num_attention_heads"], config["num_key_value_heads"]
    inner, vocabulary = config["intermediate_size"], config["vocab_size"]
    yield Tensor("token_embd.weight", "model.embed_tokens.weight", (vocabulary, hidden), kind)
    for number in range(config["num_hidden_layers"]):
        there, here = f"blk.{number}", f"model.layers.{number}"
        yield Tensor(f"{there}.attn_norm.weight", f"{here}.input_layernorm.weight", (hidden,), "f32")
        for letter, heads, regrouped in (("q", queries, True), ("k", keys, True), ("v", keys, False)):
            moved = heads if found.heads_regrouped and regrouped else 0
            source = f"{here}.self_attn.{letter}_proj"
            yield Tensor(f"{there}.attn_{letter}.weight", f"{source}.weight", (heads * width, hidden), kind, moved)
            if found.biases:
                yield Tensor(f"{there}.attn_{letter}.bias", f"{source}.bias", (heads * width,), "f32", moved)
            if found.head_norms and regrouped:
                norm = f"{here}.self_attn.{letter}_norm.weight"
                yield Tensor(f"{there}.attn_{letter}_norm.weight", norm, (width,), "f32")
        output = f"{here}.self_attn.o_proj.weight"
        yield Tensor(f"{there}.attn_output.weight", output, (hidden, queries * width), kind)
        yield Tensor(f"{there}.ffn_norm.weight", f"{here}.post_attention_layernorm.weight", (hidden,), "f32")
        for part, shape in (("gate", (inner, hidden)), ("up", (inner, hidden)), ("down", (hidden, inner))):
            yield Tensor(f"{there}.ffn_{part}.weight", f"{here}.mlp.{part}_proj.weight", shape, kind)
    yield Tensor("output_norm.weight", "model.norm.weight", (hidden,), "f32")
    if not config["tie_word_embeddings"]:
        yield Tensor("output.weight", "lm_head.weight", (vocabulary, hidden), kind)
