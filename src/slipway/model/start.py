"""The model that training starts with: new weights, or a checked base, with or without adapters."""

from pathlib import Path
from typing import Any, NamedTuple

import torch

from slipway.errors import UserError
from slipway.model import lora
from slipway.model.base import check_base, load_base
from slipway.model.build import build
from slipway.model.data import read_index, special
from slipway.model.device import Device
from slipway.settings import Train


class Start(NamedTuple):
    """A model ready to train."""

    model: Any
    """Of transformers; with adapters in its layers if there are any."""
    adapters: Any
    """The peft model around it, or None."""


def prepare(settings: Train, seed: int, tokens: Path, base: Path, device: Device) -> Start:
    """Build or load the model on its device.

    Raises:
        UserError: for an architecture that cannot be built, or a base that does not fit recipe and data.
    """
    index = read_index(tokens)
    ends = special(index)
    adapters = None
    if settings.start == "scratch":
        model = build(settings.architecture or {}, index["vocabulary"], settings.sequence_length, seed, ends)
    else:
        check_base(base, tokens, settings.sequence_length, "acquire.base")
        model = load_base(base, "acquire.base", settings.base_bits)
        model.config.update(ends)
        if settings.adapter:
            adapters = lora.attach(model, settings.adapter, seed)
    if not settings.base_bits:
        model.to(device.place)
    if settings.activation_checkpointing:
        try:
            model.activation_checkpointing_enable({"use_reentrant": False})
        except ValueError as error:
            raise UserError(f"train.activation_checkpointing: {error}; set it to false") from None
        if adapters is not None:
            model.enable_input_require_grads()  # or nothing would flow through frozen embeddings
    return Start(model.train(), adapters)


def finished(start: Start, settings: Train, base: Path, rows: torch.Tensor) -> tuple[Any, float | None]:
    """The model to release, adapters merged; and by how much merging changed a logit at most.

    Raises:
        Refusal: if merged weights are not what was trained.
    """
    if start.adapters is None:
        return start.model, None
    fresh = load_base(base, "acquire.base") if settings.base_bits else None
    if settings.activation_checkpointing:
        start.model.disable_input_require_grads()
    return lora.merge(start.adapters, rows, fresh_base=fresh)
