"""What a run is called and what it leaves: the key of its checkpoints, the model directory, the log."""

import json
import shutil
from importlib.metadata import version
from pathlib import Path
from typing import Any

from slipway.errors import UserError
from slipway.files import combined, digests, sha256_bytes
from slipway.settings import Train


def run_key(settings: Train, seed: int, tokens_digest: str) -> str:
    """A name for everything a step depends on: settings, seed, tokens, this code and the libraries under it."""
    here = Path(__file__).parent
    facts = {
        "settings": settings.model_dump(mode="json"),
        "seed": seed,
        "tokens": tokens_digest,
        "code": combined({name: sha for name, sha in digests(here, here).items() if name.endswith(".py")}),
        "libraries": {name: version(name) for name in ("numpy", "safetensors", "torch", "transformers")},
    }
    return sha256_bytes(json.dumps(facts, sort_keys=True).encode())[:16]


def write_model(model: Any, directory: Path) -> None:
    """Write a Hugging Face directory, whole or not at all.

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
        model.save_pretrained(temporary)
        for file in temporary.iterdir():
            file.chmod(0o644)  # safetensors makes files that only the owner can read
        shutil.rmtree(directory, ignore_errors=True)
        temporary.rename(directory)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(temporary, ignore_errors=True)
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"{directory}: the model could not be written: {reason}; free some disk space") from error


def to_jsonl(lines: list[dict[str, Any]]) -> str:
    """JSON lines with sorted keys."""
    return "".join(json.dumps(line, sort_keys=True, allow_nan=False) + "\n" for line in lines)
