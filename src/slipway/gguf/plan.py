"""The model beside a GGUF to all of the file but its numbers.

>>> plan = describe(Model(config, tokenizer, tokenizer_config, None), "q8_0")
>>> header(plan)[:4]
b'GGUF'
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from slipway.errors import UserError
from slipway.gguf import architecture, vocabulary
from slipway.gguf.layout import QUANTIZATION_VERSION, STRING, TYPES, UINT32, Entry, Plan


class Model(NamedTuple):
    """What a GGUF follows from, besides the weights."""

    config: Mapping[str, Any]
    tokenizer: Mapping[str, Any]
    """tokenizer.json."""
    settings: Mapping[str, Any]
    """tokenizer_config.json."""
    template: str | None
    """The default chat template."""


def describe(model: Model, kind: str) -> Plan:
    """Metadata and tensors of the file whose matrices have the type `kind` (see `layout.TYPES`).

    Raises:
        UserError: if llama.cpp would compute or tokenise otherwise than transformers, or rows do not hold whole blocks.
    """
    found = architecture.family(model.config)
    parameters = architecture.parameters(model.config)
    tensors = list(architecture.tensors(model.config, kind))
    for tensor in tensors:
        if len(tensor.shape) > 1 and tensor.shape[-1] % TYPES[kind].block:
            raise UserError(
                f"{tensor.source}: its rows have {tensor.shape[-1]} numbers, and {kind} stores {TYPES[kind].block} at "
                "a time; choose another type in `bundle.gguf`"
            )
    entries = [
        Entry("general.architecture", STRING, found.name),
        Entry("general.type", STRING, "model"),
        Entry("general.file_type", UINT32, TYPES[kind].file_type),
        Entry("general.quantization_version", UINT32, QUANTIZATION_VERSION),
        *parameters,
        *vocabulary.entries(model.tokenizer, model.settings, model.template, model.config["vocab_size"]),
    ]
    return Plan(entries, tensors)
