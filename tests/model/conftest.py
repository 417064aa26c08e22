"""Tokens of a small language, and settings that train on them within a second."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from slipway.files import sha256_bytes, sha256_file
from slipway.model.told import Places, Told
from slipway.model.train import train
from slipway.records import TrainReport
from slipway.settings import Train

TOKENIZER = '{"version": "1.0"}'
"""Stands for the tokenizer that the tokens were made with; training compares its digest and never reads it."""

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
        # Some processors compute in bfloat16, where sums in another order differ by more than these tests allow.
        "precision": "float32",
    }
    return Train(**(values | changes))


def places(root: Path, tokens: Path, other: Path | None = None) -> Places:
    """Where a run in `root` reads and writes; `other` is base and teacher."""
    return Places(
        tokens=tokens,
        base=other or root / "base",
        teacher=other or root / "teacher",
        work=root / "work",
        ledger=root / "ledger",
        model_out=root / "trained",
        log_out=root / "log.jsonl",
    )


class StopError(Exception):
    """Stands for the end of the process."""


def go(
    tokens: Path,
    root: Path,
    recipe: Train,
    stop_at: int | None = None,
    *,
    other: Path | None = None,
    say: Any = None,
    **extra: Any,
) -> TrainReport:
    """Train in `root`; stop after step `stop_at`."""

    def progress(done: int, _total: int, _note: str) -> None:
        if done == stop_at:
            raise StopError

    told = Told(progress=progress, **({"say": say} if say else {}))
    report = train(recipe, 7, places=places(root, tokens, other), inputs_digest="t", told=told, **extra)
    assert report is not None
    return report


def outcome(root: Path) -> dict[str, str]:
    """Digests of what a run leaves."""
    files = [*(root / "trained").iterdir(), root / "log.jsonl"]
    return {path.name: sha256_file(path) for path in files}


def write_base(directory: Path, architecture: dict[str, Any] = ARCHITECTURE, vocabulary: int = 300) -> Path:
    """A model to start from, with the tokenizer of the tokens."""
    from slipway.model.build import build

    build(architecture, vocabulary, 16, seed=3).save_pretrained(directory)
    (directory / "tokenizer.json").write_text(TOKENIZER)
    return directory


def write_documents(
    directory: Path,
    splits: dict[str, list[tuple[list[int], list[int]]]],
    *,
    pairs: bool = False,
    row_tokens: int | None = None,
    **facts: object,
) -> Path:
    """Documents, each (tokens with their last separator, what counts), in the files that the tokenizer stage writes."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    directory.mkdir(parents=True, exist_ok=True)
    found = {}
    for split, documents in splits.items():
        stem, offsets, stream, mask = directory / f"{split}-00000", [], [], []
        for tokens, counts in documents:
            if row_tokens and len(stream) % row_tokens + len(tokens) > row_tokens:
                filling = -len(stream) % row_tokens
                stream, mask = stream + [0] * filling, mask + [0] * filling
            offsets.append(len(stream))
            stream, mask = stream + tokens, mask + counts
        filling = -len(stream) % row_tokens if row_tokens else 0
        np.array(stream + [0] * filling, "<u2").tofile(f"{stem}.bin")
        np.array(mask + [0] * filling, np.uint8).tofile(f"{stem}.mask.bin")
        np.save(f"{stem}.offsets.npy", np.array(offsets, np.int64))
        pq.write_table(
            pa.table({"id": [f"{split}/{n // 2 if pairs else n}" for n in range(len(documents))]}),
            f"{stem}.ids.parquet",
        )
        if row_tokens:
            np.save(f"{stem}.pieces.npy", np.arange(len(documents)))
        if pairs:
            np.save(f"{stem}.pairs.npy", np.arange(len(documents)).reshape(-1, 2))
        found[split] = [
            {
                "file": f"{stem.name}.bin",
                "tokens": sum(len(tokens) for tokens, _ in documents),
                "learnt": sum(sum(counts) for _, counts in documents),
                "masked": True,
                "pairs": len(documents) // 2 if pairs else 0,
                "rows": len(stream + [0] * filling) // row_tokens if row_tokens else 0,
            }
        ]
    packing = {"packing": "whole", "row_tokens": row_tokens} if row_tokens else {}
    write_index(directory, found, **packing, **facts)
    return directory


def conversations(count: int, seed: int, *, answers: int = 1) -> list[tuple[list[int], list[int]]]:
    """Documents of a question, which does not count, an answer and a separator; `answers` documents each question."""
    random = np.random.default_rng(seed)

    def words() -> list[int]:
        return random.integers(1, 300, random.integers(2, 9)).tolist()

    found = []
    for _ in range(count):
        question = words()
        replies = [words() for _ in range(answers)]
        found += [([*question, *reply, 0], [0] * len(question) + [1] * (len(reply) + 1)) for reply in replies]
    return found


def preferences(count: int, seed: int) -> list[tuple[list[int], list[int]]]:
    """Documents in pairs: the same question with a chosen and a rejected answer."""
    return conversations(count, seed, answers=2)


@pytest.fixture(scope="session")
def chats(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tokens of conversations, of which only the answers count."""
    splits = {"train": conversations(60, 1), "validation": conversations(20, 2)}
    return write_documents(tmp_path_factory.mktemp("chats"), splits)


@pytest.fixture(scope="session")
def choices(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tokens of preference pairs."""
    splits = {"train": preferences(20, 1), "validation": preferences(6, 2)}
    return write_documents(tmp_path_factory.mktemp("choices"), splits, pairs=True)


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_base(tmp_path_factory.mktemp("base") / "base")


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
        "tokenizer_sha256": sha256_bytes(TOKENIZER.encode()),
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
