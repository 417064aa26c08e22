"""Loading a finished model: safetensors from a local directory, and no code but that of transformers."""

import json
from pathlib import Path
from typing import Any

from slipway.errors import UserError
from slipway.files import sha256_file, weights_of


def _refuse_foreign(directory: Path) -> None:
    config = directory / "config.json"
    if not config.is_file():
        raise UserError(f"{directory}: no config.json, so this is no model directory; run `slipway build`")
    if "auto_map" in json.loads(config.read_text("utf-8")):
        raise UserError(f"{config}: `auto_map` asks for code that comes with the model; Slipway runs none")
    if not any(directory.glob("*.safetensors")):
        raise UserError(f"{directory}: no safetensors; weights in other formats are not loaded, for they can run code")


def weights_digest(directory: Path) -> str:
    """sha256 of the weights' one file; of several, one over all their digests, for an index holds no content."""
    return weights_of({path.name: sha256_file(path) for path in directory.glob("model*.safetensors*")})


def load(directory: str | Path, tokenizer: str | Path | None = None) -> tuple[Any, Any]:
    """The model, in float32 and evaluation mode, and its tokenizer.

    Args:
        directory: Hugging Face directory with config.json and safetensors.
        tokenizer: directory of the tokenizer, if it is another one.

    Raises:
        UserError: if the directory is no model, or would need code or pickles to load.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging

    directory = Path(directory)
    _refuse_foreign(directory)
    logging.disable_progress_bar()
    model = AutoModelForCausalLM.from_pretrained(
        directory, dtype=torch.float32, use_safetensors=True, trust_remote_code=False, local_files_only=True
    )
    words = AutoTokenizer.from_pretrained(tokenizer or directory, trust_remote_code=False, local_files_only=True)
    return model.eval(), words
