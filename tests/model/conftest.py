"""Tokens of a small language, and settings that train on them within a second."""

import json
from pathlib import Path

import numpy as np
import pytest

from slipway.model.told import Places
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


def places(root: Path, tokens: Path) -> Places:
    """Where a run in `root` reads and writes."""
    return Places(
        tokens=tokens,
        base=root / "base",
        teacher=root / "teacher",
        work=root / "work",
        ledger=root / "ledger",
        model_out=root / "trained",
        log_out=root / "log.jsonl",
    )


def write_index(directory: Path, splits: dict[str, list[dict]], **facts: object) -> None:
    """`index.json` for files that are there, with what the reader needs of it."""
    found = {}
    for split, files in splits.items():
        whole = [{"pairs": 0, "rows": 0, "masked": False, "learnt": file["tokens"], **file} for file in files]
        whole = [{"learnt_bytes": 3 * file["learnt"], **file} for file in whole]
        sums = {name: sum(file[name] for file in whole) for name in ("tokens", "learnt", "learnt_bytes", "pairs")}
        found[split] = sums | {"shards": whole}
    index = {
        "dtype": "uint16",
        "vocabulary": 300,
        "separator": 0,
        "stops": [0],
        "packing": "stream",
        "row_tokens": None,
        **facts,
    }
    (directory / "index.json").write_text(json.dumps(index | {"splits": found}))


def write_tokens(directory: Path, train: int = 3000, validation: int = 600, vocabulary: int = 300) -> Path:
    """Tokens in which the next one mostly follows from the last one."""
    directory.mkdir(parents=True, exist_ok=True)
    for number, (split, count) in enumerate({"train": train, "validation": validation}.items()):
        noise = np.random.default_rng(number).integers(0, vocabulary, count)
        stream = np.where(noise % 4 == 0, noise, (np.arange(count) * 7) % 50)
        stream.astype("<u2").tofile(directory / f"{split}-00000.bin")
        np.save(directory / f"{split}-00000.offsets.npy", np.arange(0, count, 50))
    splits = {"train": train, "validation": validation}
    files = {split: [{"file": f"{split}-00000.bin", "tokens": count}] for split, count in splits.items()}
    write_index(directory, files, vocabulary=vocabulary)
    return directory


@pytest.fixture(scope="session")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tokens(tmp_path_factory.mktemp("tokens"))
