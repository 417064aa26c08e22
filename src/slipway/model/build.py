"""A model from the recipe: any causal language model of transformers, initialised from the seed.

The recipe's `architecture` holds the arguments of the transformers configuration class that
`model_type` names. Vocabulary, positions and special tokens follow from tokenizer and sequence
length and are set here. No code comes from outside the installed transformers.
"""

import dataclasses
import difflib
from typing import Any

import torch

from slipway.errors import UserError

SEPARATOR = 0
"""Id of <|endoftext|>: beginning, end and separator of documents."""

OURS = {
    "vocab_size": "tokenize.vocabulary",
    "max_position_embeddings": "train.sequence_length",
    "bos_token_id": "the tokenizer",
    "eos_token_id": "the tokenizer",
    "pad_token_id": "the tokenizer",
    "dtype": "the processor (float32 on a CPU)",
    "transformers_version": "the installation",
    "architectures": "`model_type`",
}
"""Keys that follow from elsewhere, with the place that decides them."""


def _near(word: str, known: set[str]) -> str:
    close = difflib.get_close_matches(word, known, n=1)
    return f"did you mean `{close[0]}`?" if close else f"known here: {', '.join(sorted(known))}"


def _config_class(model_type: Any) -> Any:
    from transformers import CONFIG_MAPPING

    # The mapping of names; the mapping of classes would import every model there is.
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    known = {name for name in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES if name in CONFIG_MAPPING}
    if model_type in known:
        return CONFIG_MAPPING[model_type]
    if not isinstance(model_type, str):
        raise UserError("train.architecture.model_type: missing; name a causal language model, e.g. `llama`")
    close = difflib.get_close_matches(model_type, known, n=1)
    hint = f"did you mean `{close[0]}`?" if close else f"transformers knows {len(known)}, e.g. llama, qwen3, mixtral"
    raise UserError(f"train.architecture.model_type: `{model_type}` is no causal language model; {hint}")


def configure(architecture: dict[str, Any], vocabulary: int, sequence_length: int) -> Any:
    """The transformers configuration that `architecture` describes.

    Raises:
        UserError: naming the key that is unknown, set elsewhere or of the wrong type.
    """
    values = dict(architecture)
    config_class = _config_class(values.pop("model_type", None))
    names = {field.name for field in dataclasses.fields(config_class)} | set(config_class.attribute_map)
    for key in values:
        if key in OURS:
            raise UserError(f"train.architecture.{key}: follows from {OURS[key]}; remove it")
        if key not in names:
            hint = _near(key, names - set(OURS))
            raise UserError(f"train.architecture.{key}: unknown to {config_class.__name__}; {hint}")
    from huggingface_hub.errors import StrictDataclassError

    try:
        return config_class(
            **values,
            vocab_size=vocabulary,
            max_position_embeddings=sequence_length,
            bos_token_id=SEPARATOR,
            eos_token_id=SEPARATOR,
            pad_token_id=SEPARATOR,
        )
    except (TypeError, ValueError, StrictDataclassError) as error:
        lines = str(error).strip().splitlines()
        raise UserError(f"train.architecture: {config_class.__name__} refuses it: {' '.join(lines)}") from None


def build(
    architecture: dict[str, Any],
    vocabulary: int,
    sequence_length: int,
    seed: int,
    special: dict[str, Any] | None = None,
) -> Any:
    """A new float32 model; equal arguments give equal parameters, bit for bit.

    Args:
        architecture: the recipe's.
        vocabulary: tokens.
        sequence_length: positions.
        seed: of the parameters.
        special: ids that begin, end and fill a text, where the tokenizer says other than `SEPARATOR`.

    Raises:
        UserError: as `configure`, and if transformers cannot build the model from the configuration.
    """
    from transformers import AutoModelForCausalLM

    config = configure(architecture, vocabulary, sequence_length)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
        except (TypeError, ValueError, KeyError, RuntimeError, ImportError, AssertionError) as error:
            raise UserError(f"train.architecture: transformers cannot build it: {error}") from error
    model.config.use_cache = False
    model.config.update(special or {})
    return model
