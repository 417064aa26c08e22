"""Reports of the stages up to `train` of a made-up build, plain values, consistent with each other and the recipe."""

import json
from collections.abc import Callable
from pathlib import Path

RUN_KEY = "0123456789abcdef"
"""Of the run in the report of `train`."""


def source(name: str, licence: str | None, documents: int, characters: int) -> dict:
    return {
        "source": name, "kind": "pydocs", "location": "package index", "version": "1.0", "licence": licence,
        "licence_evidence": "License-Expression" if licence else "nothing stated",
        "files": 7, "digest": "ab" * 32, "documents": documents, "characters": characters,
    }  # fmt: skip


def expectation(
    name: str, status: str, observed: str, bound: str, *, failing: int = 0, column: str | None = None
) -> dict:
    ids = [f"d{i}" for i in range(min(failing, 20))]
    return {
        "name": name, "column": column, "status": status, "observed": observed, "bound": bound,
        "failing_ids": ids, "failing": failing,
    }  # fmt: skip


def acquire() -> dict:
    return {
        "sources": [source("pydocs/numpy", "BSD-3-Clause", 900, 90000), source("pydocs/odd", None, 100, 9000)],
        "documents": 1000, "characters": 99000, "shards": 2, "shapes": {"text": 1000},
        "skipped": {"no docstring": 12}, "base": None,
        "tasks": [{
            "name": "quiz", "location": "tasks/quiz.jsonl", "licence": "CC0-1.0", "digest": "78" * 32, "items": 40,
        }],
    }  # fmt: skip


def validate() -> dict:
    return {
        "passed": True, "documents": 1000, "statistics": {"mean_characters": 99.0},
        "expectations": [
            expectation("ids are unique", "met", "0 repeated", "0", column="id"),
            expectation("text drifts little", "not run", "the recipe names no baseline", "0.2"),
        ],
        "length_histogram": [[16, 20], [32, 400], [64, 500], [128, 80]],
        "characters_by_source": {"pydocs/numpy": 90000, "pydocs/odd": 9000},
        "documents_by_licence": {"BSD-3-Clause": 900, "none": 100},
        "characters_by_language": {"en": 60000, "unknown": 3000},
        "language_method": "py3langid 0.3 on the first 500 characters of every document of 80 characters or more",
        "documents_by_label": {}, "baseline_sha256": None, "drift": {},
    }  # fmt: skip


def prepare() -> dict:
    return {
        "documents_in": 1000, "splits": {"train": 700, "validation": 40, "test": 60},
        "split_characters": {"train": 70000, "validation": 4000, "test": 6000},
        "rejects": {
            "no licence": 100, "exact duplicate": 60, "near duplicate": 25, "too similar to a held-out document": 10,
            "holds an item": 5,
        },
        "rejects_by_step": {
            "licence": 100, "length": 0, "text": 0, "quality": 0, "personal data": 0, "exact duplicates": 60,
            "near duplicates": 25, "split": 10, "decontamination": 5,
        },
        "redactions": {"email": 3}, "licences": {"BSD-3-Clause": 800}, "licences_refused": {"pydocs/odd": 100},
        "obligations": [{
            "licence": "BSD-3-Clause", "category": "Permissive", "asks": ["attribution", "notice"],
            "sources": ["pydocs/numpy"], "documents": 800,
        }],
        "release_licence": "Apache-2.0",
        "documents_by_source": {"pydocs/numpy": 800}, "characters_by_source": {"pydocs/numpy": 80000},
        "shapes": {"text": 800}, "families": 650,
        "similarity": {
            "duplicate_jaccard": 0.8, "family_jaccard": 0.5, "bands": 32, "rows": 4, "found_share": 0.87,
            "candidate_pairs": 5000, "similar_pairs": 400,
        },
        "contamination": {
            "words": 13, "coverage": 0.5, "items": {"quiz": 38, "test": 60}, "too_short": {"quiz": 2},
            "documents_rejected": 5,
            "hits": [{"item": "quiz/7", "document": "pydocs/numpy/a.py#f", "coverage": 0.9, "how": "words"}],
            "residual": {"quiz": 0.01, "test": 0.045},
        },
        "canaries": 21,
    }  # fmt: skip


def tokenize() -> dict:
    return {
        "origin": "trained", "vocabulary": 300, "dtype": "uint16", "shards": {"train": 1, "validation": 1},
        "tokens": {"train": 30000, "validation": 2000}, "documents": {"train": 721, "validation": 40},
        "bytes": {"train": 70500, "validation": 4000}, "learnt": {"train": 30000, "validation": 2000},
        "packing": "stream", "padding": {"train": 0.0, "validation": 0.0}, "tokenizer_sha256": "cd" * 32,
        "chat_template_sha256": None,
    }  # fmt: skip


def train(weights: str, **changes: object) -> dict:
    return {
        "objective": "pretrain", "start": "scratch", "adapter": None, "merge_error": None, "parameters": 12345,
        "trained_parameters": 12345, "steps": 20, "best_step": 20, "tokens_seen": 40960, "tokens_learnt": 40900,
        "stopped_early": False, "train_loss": 3.25, "validation_loss": 3.35, "gap": 0.1,
        "validation_bits_per_byte": 1.99, "averaged": False, "dtype": "float32", "device": "cpu AVX2", "world_size": 1,
        "threads": 1, "compiled": "no: it does not pay on a processor", "flops_per_token": 100, "flops": 6400,
        "flops_method": "6 N per token", "checkpoints": [[10, "ef" * 32], [20, "01" * 32]], "run_key": RUN_KEY,
        "weights_sha256": weights,
    } | changes  # fmt: skip


def results() -> dict[str, dict]:
    """Stage -> result."""
    return {"acquire": acquire(), "validate": validate(), "prepare": prepare(), "tokenize": tokenize()}


def edit(project: Path, stage: str, change: Callable[[dict], object]) -> None:
    """Change the result in a stage's report."""
    path = project / f"reports/{stage}.json"
    record = json.loads(path.read_text("utf-8"))
    change(record["result"])
    path.write_text(json.dumps(record), "utf-8")
