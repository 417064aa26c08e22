"""Low-rank adapters through peft: attached before training, merged and proven equal after it."""

from typing import Any

import torch
from torch import nn

from slipway.errors import Refusal, UserError
from slipway.settings import Lora

TOLERANCE = 1e-3
"""Largest difference of a logit between adapters and merged weights, relative to the largest logit."""


def attach(model: Any, adapter: Lora, seed: int) -> Any:
    """The peft model around `model`; its adapters begin as zero updates, from the seed.

    Raises:
        UserError: if no layer has a name that the recipe gives.
    """
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(
        r=adapter.rank,
        lora_alpha=adapter.alpha,  # type: ignore[arg-type]
        lora_dropout=adapter.dropout,
        target_modules=adapter.targets if isinstance(adapter.targets, str) else list(adapter.targets),
        task_type="CAUSAL_LM",
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            return get_peft_model(model, config)
        except ValueError as error:
            names = sorted({name.rpartition(".")[2] for name, m in model.named_modules() if isinstance(m, nn.Linear)})
            raise UserError(
                f"train.adapter.targets: {adapter.targets!r} matches no layer of this model; its linear layers are "
                f"called {', '.join(names)} ({str(error).splitlines()[0][:120]})"
            ) from None


def describe(adapter: Lora) -> str:
    """The adapter in words."""
    targets = adapter.targets if isinstance(adapter.targets, str) else ", ".join(adapter.targets)
    return f"LoRA rank {adapter.rank}, alpha {adapter.alpha:g}, on {targets}"


def merge(wrapped: Any, rows: torch.Tensor, *, fresh_base: Any = None) -> tuple[Any, float]:
    """Merge the adapters into the weights and prove it: the model, and the largest difference of a logit.

    Args:
        wrapped: the peft model.
        rows: int64, shape (rows, length): what both are compared on.
        fresh_base: for a base held in few bits: the same base in float32, which the adapters are moved to first.

    Raises:
        Refusal: if merged weights and adapters differ by more than `TOLERANCE` of the largest logit.
    """
    if fresh_base is not None:
        wrapped = _moved(wrapped, fresh_base)
    wrapped.eval()
    with torch.no_grad():
        before = wrapped(input_ids=rows, use_cache=False).logits.float()
        model = wrapped.merge_and_unload()
        after = model(input_ids=rows, use_cache=False).logits.float()
    error = float((before - after).abs().max())
    if error > TOLERANCE * float(before.abs().max()):
        raise Refusal(
            f"merging the adapters changes a logit by {error:.3g}, more than {TOLERANCE:g} of the largest; the merged "
            "weights are not what was trained. Lower train.adapter.alpha or the learning rate"
        )
    return model, error


def _moved(wrapped: Any, base: Any) -> Any:
    from peft import get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict

    moved = get_peft_model(base, wrapped.peft_config["default"])
    set_peft_model_state_dict(moved, get_peft_model_state_dict(wrapped))
    return moved.to(next(wrapped.parameters()).device)
