"""Tokens of a small language, and settings that train on them within a second."""

import json
from pathlib import Path

import numpy as np
import pytest

from slipway.settings import Train

ARCHITECTURE = {
    "model_type": "llama",
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "tie_word_embeddings": True,
}


def settings(**changes: object) -> Train:
    values = {
        "architecture": ARCHITECTURE,
        "sequence_length": 16,
        "batch_size": 4,
        "steps": 24,
        "optimizer": "muon",
        "learning_rate": 0.01,
        "validate_every": 6,
        "patience": 10,
        "checkpoint_every": 4,
        "threads": 1,
    }
    return Train(**(values | changes))


def write_tokens(directory: Path, train: int = 3000, validation: int = 600, vocabulary: int = 300) -> Path:
    """Tokens in which the next one mostly follows from the last one."""
    directory.mkdir(parents=True, exist_ok=True)
    splits = {}
    for number, (split, count) in enumerate({"train": train, "validation": validation}.items()):
        noise = np.random.default_rng(number).integers(0, vocabulary, count)
        stream = np.where(noise % 4 == 0, noise, (np.arange(count) * 7) % 50)
        stream.astype("<u2").tofile(directory / f"{split}.bin")
        splits[split] = {"tokens": count, "documents": 1, "bytes": 3 * count}
    index = {"dtype": "uint16", "vocabulary": vocabulary, "splits": splits}
    (directory / "index.json").write_text(json.dumps(index))
    return directory


@pytest.fixture(scope="session")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tokens(tmp_path_factory.mktemp("tokens"))
