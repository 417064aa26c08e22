"""A model directory as a bundle holds it, small and random, that can be exported as GGUF."""

import json
from pathlib import Path
from typing import Any

from slipway import chat
from slipway.data.tokens import bpe

TEXT = [f"def f{n}(x):\n    return x + {n}  # it's number {n}, and they'll see é\n" for n in range(200)]
SIZES = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
}
OTHERS: dict[str, dict[str, Any]] = {
    "llama": {"head_dim": 32},
    "mistral": {"sliding_window": None},
    "qwen2": {},
    "qwen3": {"head_dim": 128},  # transformers reads no other from a GGUF
}
"""What each architecture needs to be one that can be exported, or to be worth a test."""


def directory(
    root: Path, kind: str = "llama", *, dtype: str = "float32", tied: bool = True, talks: bool = False, **changes: Any
) -> Path:
    """Write config.json, weights and tokenizer to `root`."""
    import torch

    from slipway.model.build import build

    tokenizer = bpe.train(TEXT, 319, chat.CONTROL if talks else ())
    bpe.save(tokenizer, root, chat.TEMPLATE if talks else None)
    architecture = {"model_type": kind, "tie_word_embeddings": tied} | SIZES | OTHERS[kind] | changes
    architecture.pop("max_position_embeddings")
    model = build(architecture, tokenizer.get_vocab_size(), SIZES["max_position_embeddings"], seed=3)
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in model.parameters():
            # Norms and biases of a new model are all one and zero, which would hide an error.
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.05)
    model.to(getattr(torch, dtype)).save_pretrained(root)
    return root


def edit(path: Path, **changes: Any) -> None:
    """Change keys of a JSON file; None removes one."""
    value = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({key: one for key, one in value.items() if one is not None}))
