"""Item table and reports of `evaluate` and `safety` of a made-up model: real statistics over made-up items."""

import numpy as np

from slipway.items import Item
from slipway.records import Measure
from slipway.statistics import ratio

RESAMPLES = 200
BYTES = 100.0
"""UTF-8 bytes of each document."""
IDENTITY = {
    "harness": "slipway 0.1.0", "task": "01" * 32, "prompt": "02" * 32, "few_shot": "none", "decoding": "likelihood",
    "tokenizer": "03" * 32, "chat_template": "none", "data": "23" * 32,
}  # fmt: skip


def items(
    *, bits: float = 1.9, right: float = 0.4, documents: int = 60, model: str = "model", noise: int = 0
) -> list[Item]:
    """Rows of `bits_per_byte` (mean `bits`) and `continuation` (share `right`), two items to a family.

    Items are alike from model to model but for `bits` and `right`, and for `noise`, the seed of what a model adds by
    chance (0: nothing), so the paired difference of two tables is known.
    """
    each = np.random.default_rng(3)
    hard = each.normal(0, 0.1, documents)
    hard -= hard.mean()
    luck = np.random.default_rng(noise).normal(0, 0.01, documents) if noise else np.zeros(documents)
    # Right answers lie evenly among the questions, so two shares differ in as few questions as possible.
    answered = np.floor(np.arange(1, documents + 1) * right + 1e-9) - np.floor(np.arange(documents) * right + 1e-9)
    rows = []
    for index in range(documents):
        same = {"model": model, "family": f"family-{index // 2}", "prompt_sha256": f"{index:064x}"}
        value = float(BYTES * (bits + hard[index] + luck[index]))
        rows.append(Item(task="bits_per_byte", item=f"document-{index}", value=value, weight=BYTES, **same))
    for index in range(documents):
        same = {"model": model, "family": f"family-{index // 2}", "prompt_sha256": f"{index + documents:064x}"}
        scores = (-1.0, -2.0, -3.0, -4.0) if answered[index] else (-2.0, -1.0, -3.0, -4.0)
        picked = int(np.argmax(scores))
        rows.append(
            Item(
                task="continuation", item=f"question-{index}", value=float(picked == 0), weight=1.0, scores=scores,
                right=0, picked=picked, **same,
            )
        )  # fmt: skip
    return rows


def figure(rows: list[Item], task: str, model: str = "model") -> dict:
    """The task's measure as the table gives it."""
    some = [row for row in rows if (row.task, row.model) == (task, model)]
    return ratio(
        np.array([row.value for row in some]), np.array([row.weight for row in some]), [row.family for row in some],
        RESAMPLES, 17,
    ).model_dump()  # fmt: skip


def reference(value: float, n: int = 60) -> dict:
    return Measure(value=value, low=None, high=None, n=n, method="no interval: computed once").model_dump()


def evaluate(weights: str, rows: list[Item]) -> dict:
    """The report of `evaluate` about weights of this digest, with figures from `rows`."""
    return {
        "weights_sha256": weights, "test_sha256": "23" * 32, "test_documents": 60, "test_bytes": int(60 * BYTES),
        "tasks": {
            "bits_per_byte": {
                "measure": figure(rows, "bits_per_byte"), "unit": "bits per byte", "better": "lower",
                "definition": "bits per UTF-8 byte of held-out text", "identity": IDENTITY,
                "references": {"gzip": reference(2.1)},
            },
            "continuation": {
                "measure": figure(rows, "continuation"), "unit": "share right", "better": "higher",
                "definition": "one of four", "identity": IDENTITY | {"task": "04" * 32},
                "references": {"chance": reference(0.25)},
            },
        },
        "samples": [],
    }  # fmt: skip


def safety(weights: str) -> dict:
    """A battery that measured one thing and could not measure another."""
    exposure = {"value": 1.5, "low": 0.2, "high": 2.9, "n": 3, "method": "Student t over canaries"}
    probes = {
        "canary_exposure": {"status": "run", "reason": "", "measures": {"exposure_1": exposure}},
        "toxicity": {"status": "not run", "reason": "no generations were drawn", "measures": {}},
    }
    return {
        "weights_sha256": weights,
        "probes": {name: {"name": name, "details": {}, **probe} for name, probe in probes.items()},
    }
