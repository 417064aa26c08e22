"""What a run is called and what it leaves: the key of its checkpoints, the model directory, the log."""

import json
import shutil
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from slipway.errors import UserError
from slipway.files import combined, digests, sha256_bytes
from slipway.model.device import Device
from slipway.model.parallel import World
from slipway.settings import Train

FREE = {"keep", "devices"}
"""Settings that may change between two attempts at a run."""
LIBRARIES = ("numpy", "peft", "safetensors", "torch", "transformers")
"""What bits depend on beside our own code."""
SHARD_BYTES = 5_000_000_000
"""Largest file of released weights."""


def run_key(settings: Train, seed: int, inputs_digest: str, device: Device) -> str:
    """A name for all that a step depends on: settings, seed, data, precision, this code and the libraries under it."""
    here = Path(__file__).parent
    facts = {
        "settings": settings.model_dump(mode="json", exclude=FREE),
        "seed": seed,
        "inputs": inputs_digest,
        "precision": f"{device.place.type} {device.dtype}",
        "code": combined({name: sha for name, sha in digests(here, here).items() if name.endswith(".py")}),
        "libraries": {name: version(name) for name in LIBRARIES},
    }
    return sha256_bytes(json.dumps(facts, sort_keys=True).encode())[:16]


def gathered(model: Any, world: World) -> dict[str, torch.Tensor] | None:
    """All weights on the first rank's memory, where they are divided among ranks; None where they are not."""
    if world.size == 1:
        return None
    from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict

    options = StateDictOptions(full_state_dict=True, cpu_offload=True)
    found: dict[str, Any] = get_model_state_dict(model, options=options)
    return _untied(model, found)


def _untied(model: Any, weights: dict[str, Any]) -> dict[str, Any]:
    """Each tensor once: a head that is tied to the embedding goes by the embedding's name, as transformers saves it."""
    own = {name for name, _ in model.named_parameters()} | {name for name, _ in model.named_buffers()}
    return {name: tensor for name, tensor in weights.items() if name in own}


def write_model(
    model: Any, directory: Path, weights: dict[str, torch.Tensor] | None = None, dtype: torch.dtype = torch.float32
) -> None:
    """Write a Hugging Face directory, whole or not at all.

    Args:
        model: of transformers.
        directory: to write.
        weights: its parameters, if the model holds only parts of them.
        dtype: that the weights are written in.

    Raises:
        UserError: if the disk refuses.
    """
    from safetensors import SafetensorError
    from transformers import GenerationConfig
    from transformers.utils import logging

    logging.disable_progress_bar()
    temporary = directory.parent / f".{directory.name}.partial"
    shutil.rmtree(temporary, ignore_errors=True)
    model.config.use_cache = True
    special = {name: getattr(model.config, name) for name in ("bos_token_id", "eos_token_id", "pad_token_id")}
    model.generation_config = GenerationConfig(**special)
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        if dtype != torch.float32:
            whole = weights or _untied(model, model.state_dict())
            weights = {name: t.to(dtype) if t.is_floating_point() else t for name, t in whole.items()}
        model.save_pretrained(temporary, state_dict=weights, max_shard_size=SHARD_BYTES)
        _state_dtype(temporary / "config.json", dtype)
        for file in temporary.iterdir():
            file.chmod(0o644)  # safetensors makes files that only the owner can read
        shutil.rmtree(directory, ignore_errors=True)
        temporary.rename(directory)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(temporary, ignore_errors=True)
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"{directory}: the model could not be written: {reason}; free some disk space") from error


def _state_dtype(path: Path, dtype: torch.dtype) -> None:
    """Let the configuration name what the weights are stored in; transformers writes what the model computed in."""
    config = json.loads(path.read_text("utf-8")) | {"dtype": str(dtype).removeprefix("torch.")}
    path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", "utf-8")


def to_jsonl(lines: list[dict[str, Any]]) -> str:
    """JSON lines with sorted keys."""
    return "".join(json.dumps(line, sort_keys=True, allow_nan=False) + "\n" for line in lines)
