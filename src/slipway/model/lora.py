"""Low-rank adapters through peft: attached before training, merged and proven equal after it."""

from typing import Any

import torch
from torch import nn

from slipway.errors import Refusal, UserError
from slipway.settings import Lora

TOLERANCE = 1e-3
"""Largest difference of a logit between adapters and merged weights, relative to the largest logit."""
PROOF = 2048
"""Places at which they are compared, at most: logits of a large vocabulary fill memory."""


def attach(model: Any, adapter: Lora, seed: int) -> Any:
    """The peft model around `model`; its adapters begin as zero updates, from the seed.

    Raises:
        UserError: if no layer has a name that the recipe gives, or peft has no adapter for it.
    """
    from peft import LoraConfig, get_peft_model

    _check_names(model, adapter)
    config = LoraConfig(
        r=adapter.rank,
        lora_alpha=adapter.alpha,  # type: ignore[arg-type]
        lora_dropout=adapter.dropout,
        target_modules=adapter.targets if isinstance(adapter.targets, str) else list(adapter.targets),
        exclude_modules=_read_past(model) if isinstance(adapter.targets, str) else None,
        task_type="CAUSAL_LM",
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            return get_peft_model(model, config)
        except (ValueError, TypeError) as error:
            raise UserError(
                f"train.adapter.targets: peft has no adapters for {adapter.targets!r} in this model: "
                f"{str(error).splitlines()[0][:300]}"
            ) from None


def _check_names(model: Any, adapter: Lora) -> None:
    """That each target is a layer: peft passes over those that are not, if only one of them is."""
    if isinstance(adapter.targets, str):
        return
    from transformers.pytorch_utils import Conv1D

    modules = dict(model.named_modules())
    linear = sorted({n.rpartition(".")[2] for n, m in modules.items() if isinstance(m, nn.Linear | Conv1D)})
    for target in adapter.targets:
        if not any(name == target or name.endswith(f".{target}") for name in modules):
            raise UserError(
                f"train.adapter.targets: `{target}` matches no layer of this model; its linear layers are called "
                f"{', '.join(linear)}"
            )


def _read_past(model: Any) -> list[str] | None:
    """Layers whose weight a state-space mixer reads by itself, past any adapter on them; None if there are none."""
    found = [f"{name}.out_proj" for name, module in model.named_modules() if hasattr(module, "conv1d")]
    return found or None


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
    rows = rows[: max(1, PROOF // rows.shape[1]), :PROOF]
    wrapped.eval()
    with torch.no_grad():
        before = wrapped(input_ids=rows, use_cache=False).logits.float()
        model = wrapped.merge_and_unload()
        after = model(input_ids=rows, use_cache=False).logits.float()
    error = float((before - after).abs().max())
    if not error <= TOLERANCE * float(before.abs().max()):  # NaN is not proven either
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
