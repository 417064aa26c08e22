"""Small held-out splits, recipes and tokenizers with a template, for tests of tasks and reports."""

import copy
import json
from pathlib import Path

import pyarrow as pa

from slipway.chat import CONTROL, TEMPLATE
from slipway.data.tokens import bpe
from slipway.evaluation.documents import Document
from slipway.evaluation.scoring import Scorer
from slipway.evaluation.tasks.task import Material
from slipway.settings import Choice, Evaluate
from slipway.shards import shard_path, write_shard
from tests.evaluation.conftest import sentences

SETTINGS = Evaluate(
    stride=32,
    continuation=Choice(items=8, prompt_tokens=20, answer_tokens=8),
    signature=Choice(items=8, prompt_tokens=20, answer_tokens=12),
    files=(),
    bootstrap=200,
)


SCHEMA = ("id", "text", "source", "group", "licence", "signature", "label", "shape", "turns", "family")
"""Columns of a clean split."""


def material(test, train=("some text",), settings=SETTINGS, **other) -> Material:
    """What tasks are made of, with the digests that a build would find."""
    facts = {"seed": 17, "test_sha256": "7e" * 32, "tokenizer_sha256": "70" * 32} | other
    return Material(list(test), list(train), settings, **facts)


def document(index: int, text: str, family: str | None = None, header: str | None = None) -> Document:
    return Document(f"d{index:03}", text, "made/up", family or f"f{index}", header)


def talk(number: int, turns, shape: str = "chat", family: str | None = None) -> Document:
    """A conversation, two of each family unless told otherwise."""
    text = "\n\n".join(content for _, content in turns)
    return Document(
        f"d{number:03}", text, f"made/{'ab'[number % 2]}", family or f"f{number // 2}", None, shape, json.dumps(turns)
    )


def talks(count: int) -> list[Document]:
    said = zip(sentences(count, 1, 4), sentences(count, 2, 6), strict=True)
    return [talk(n, [["user", one], ["assistant", other]]) for n, (one, other) in enumerate(said)]


def described(count: int, signed: bool = True) -> list[Document]:
    """Documents with (or without) signature, each of a family of its own, of two sources."""
    bodies = sentences(count, 5, 24)
    made = []
    for i, body in enumerate(bodies):
        header = f"def f{i}(axis)" if signed else None
        text = f"{header}\n{body}" if header else body
        made.append(Document(f"d{i:03}", text, f"made/{'ab'[i % 2]}", f"f{i}", header))
    return made


def template_directory(place: Path) -> Path:
    """A tokenizer with the shipped template, as the stage `tokenize` writes it."""
    bpe.save(bpe.train([*sentences(200, 0), "user assistant"], 400, CONTROL), place, TEMPLATE)
    return place


def grown(model, words, noise: float = 0.0) -> Scorer:
    """The tiny model with room for the words of a tokenizer, and its weights moved by `noise`."""
    import torch

    other = copy.deepcopy(model)
    torch.manual_seed(1)
    other.resize_token_embeddings(len(words))
    with torch.no_grad():
        for weights in other.parameters():
            weights.add_(noise * torch.randn_like(weights))
    return Scorer(other, words, context=64)


def split(directory, made: list[dict], name: str = "test", per_shard: int = 5):
    """`made` as a sharded table; returns its directory."""
    directory.mkdir(exist_ok=True)
    for number, start in enumerate(range(0, max(len(made), 1), per_shard)):
        part = made[start : start + per_shard]
        columns = {column: pa.array([row.get(column) for row in part], pa.string()) for column in SCHEMA}
        write_shard(shard_path(directory, name, number), pa.table(columns))
    return directory
