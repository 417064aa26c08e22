"""Weights that training may start or learn from: checked against recipe and data before anything is loaded."""

import json
from pathlib import Path
from typing import Any

from slipway.errors import Refusal, UserError
from slipway.files import sha256_file
from slipway.model.data import read_index

CODE_KEYS = ("auto_map", "custom_generate", "custom_pipelines", "trust_remote_code")


def _asks_for_code(value: Any, path: str = "") -> str | None:
    """Dotted name of the first key, at any depth, that names code outside of transformers."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in pairs:
        here = f"{path}.{key}" if path else str(key)
        if key in CODE_KEYS and inner:
            return here
        if found := _asks_for_code(inner, here):
            return found
    return None


def read_config(directory: Path, what: str) -> dict[str, Any]:
    """`config.json` of a model directory that runs no code and holds safetensors.

    Raises:
        UserError: naming what it lacks, or asks for.
    """
    path = directory / "config.json"
    if not path.is_file():
        raise UserError(f"{what}: {directory} holds no config.json, so it is no model of transformers")
    try:
        config = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise UserError(f"{what}: {path} is no JSON: {error}; take a whole copy of the model") from None
    if not isinstance(config, dict):
        raise UserError(f"{what}: {path} holds no settings of a model; take a whole copy of it")
    if asked := _asks_for_code(config):
        raise UserError(
            f"{what}: {path}: `{asked}` asks for code that comes with the model; Slipway runs none. Take a model whose "
            "architecture is part of transformers"
        )
    if not any(directory.glob("*.safetensors")):
        raise UserError(
            f"{what}: {directory} holds no .safetensors file; weights in other formats (pytorch_model.bin) are pickles "
            "that can run code, and are not loaded. Take a revision with safetensors"
        )
    if (directory / "adapter_config.json").is_file():
        raise UserError(
            f"{what}: {directory} holds adapter_config.json, so its weights are those of an adapter, and the base "
            "that it needs is not verified; merge it into its base first, and take the result"
        )
    if config.get("quantization_config"):
        raise UserError(
            f"{what}: {path}: `quantization_config` says that the weights are quantised, and training starts from full "
            "ones; take the model they were made of (train.base_bits holds it in few bits while adapters are trained)"
        )
    return config


def _limit(config: dict[str, Any]) -> int | None:
    names = ("max_position_embeddings", "n_positions", "max_seq_len")
    found = [config[name] for name in names if isinstance(config.get(name), int)]
    return found[0] if found else None


def check_base(directory: Path, tokens: Path, sequence_length: int, what: str) -> None:
    """That a model can read the packed tokens, in rows of this length.

    Args:
        directory: of the model.
        tokens: `data/tokens`.
        sequence_length: tokens of a row.
        what: key of the recipe, for messages.

    Raises:
        UserError: for another tokenizer or none, too small a vocabulary or too few positions, and as `read_config`.
    """
    config, index = read_config(directory, what), read_index(tokens)
    own = directory / "tokenizer.json"
    if not own.is_file():
        raise UserError(
            f"{what}: {directory} holds no tokenizer.json, so nothing shows that its ids mean what those of the data "
            "do; take a copy of the model with its tokenizer"
        )
    if (found := sha256_file(own)) != index["tokenizer_sha256"]:
        raise UserError(
            f"{what}: its tokenizer.json has sha256 {found}, but the data was tokenised with "
            f"{index['tokenizer_sha256']}; ids would mean other words. Set tokenize.origin to base, with this model as "
            "acquire.base"
        )
    vocabulary = config.get("vocab_size", 0)
    if vocabulary < index["vocabulary"]:
        raise UserError(
            f"{what}: its vocabulary has {vocabulary} tokens, and the data was tokenised with {index['vocabulary']}; "
            "take the tokenizer of this model (tokenize.origin: base)"
        )
    limit = _limit(config)
    if limit is not None and limit < sequence_length:
        raise UserError(
            f"{what}: it has {limit} positions, and train.sequence_length is {sequence_length}; lower it to {limit}"
        )


def load_base(directory: Path, what: str, bits: int | None = None) -> Any:
    """The model of a checked directory, in float32, every weight from its files.

    Args:
        directory: of the model.
        what: key of the recipe, for messages.
        bits: 4 or 8 to hold the linear layers in so many (bitsandbytes).

    Raises:
        Refusal: if a weight is missing: transformers would fill it with random numbers.
        UserError: if transformers cannot build the model, or bits cannot be had here.
    """
    import torch
    from huggingface_hub.errors import StrictDataclassError
    from safetensors import SafetensorError
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    logging.disable_progress_bar()
    more = {"quantization_config": _quantised(bits)} if bits else {}
    loader: Any = AutoModelForCausalLM
    try:
        model, found = loader.from_pretrained(
            directory,
            dtype=torch.float32,
            use_safetensors=True,
            trust_remote_code=False,
            local_files_only=True,
            output_loading_info=True,
            **more,
        )
    except (
        OSError,
        ValueError,
        TypeError,
        KeyError,
        RuntimeError,
        ImportError,
        SafetensorError,
        StrictDataclassError,
    ) as error:
        raise UserError(f"{what}: transformers cannot load {directory}: {error}") from error
    for kind in ("missing_keys", "mismatched_keys"):
        if wrong := sorted(str(key) for key in found[kind]):
            raise Refusal(
                f"{what}: {directory}: {kind.replace('_', ' ')} {', '.join(wrong[:3])}; these weights would be random. "
                "The directory is incomplete or belongs to another configuration"
            )
    model.config.use_cache = False
    return model


def _quantised(bits: int) -> Any:
    from importlib.util import find_spec

    import torch
    from transformers import BitsAndBytesConfig

    if find_spec("bitsandbytes") is None:
        raise UserError(
            f"train.base_bits: {bits}: bitsandbytes is not installed here; install it (pip install bitsandbytes), on a "
            "platform that it supports, or remove train.base_bits"
        )
    if bits == 8:
        return BitsAndBytesConfig(load_in_8bit=True)
    compute = torch.bfloat16 if torch.cuda.is_available() else torch.float32
    return BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=compute)
