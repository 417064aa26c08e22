"""A project that has come as far as a release: recipe, reports and a bundle of small files, all consistent."""

import copy
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
from ruamel.yaml import YAML

from slipway import items
from slipway.files import sha256_bytes, sha256_file, write_atomic
from slipway.items import Item
from slipway.recipe import load
from slipway.records import AttemptRecord, StageRecord
from slipway.release.bundle import manifest
from slipway.release.bundle.provenance import recipe_json
from tests import data_records, evaluation_records

ROOT = Path(__file__).parents[1]
PAGE = (
    b'<!doctype html><meta charset=utf-8><meta http-equiv="Content-Security-Policy" '
    b"content=\"default-src 'none'; style-src 'none'\"><title>t</title><p>x"
)


def weights(seed: int = 0) -> bytes:
    """A small, real safetensors file."""
    from safetensors.numpy import save

    return save({"w": np.random.default_rng(seed).normal(size=(64, 64)).astype(np.float32)})


GATE = {
    "checks": [
        {"report": "validate", "value": "passed", "relation": "equals", "bound": 1, "reason": "contract"},
        {
            "report": "evaluate", "value": "tasks.bits_per_byte.measure.high", "relation": "below",
            "bound": "tasks.bits_per_byte.references.gzip.value", "reason": "better than gzip",
        },
    ],
    "comparisons": [
        {"task": "bits_per_byte", "against": "champion", "margin": 0.02, "reason": "no worse than the one before"},
    ],
}  # fmt: skip
"""A short policy that the models made here meet."""


def values(**release) -> dict:
    """The default recipe with a short gate; `release` changes its section of that name."""
    found = copy.deepcopy(YAML(typ="safe").load((ROOT / "params.yaml").read_text("utf-8")))
    found["name"] = "tiny"
    found["release"] |= {"gate": copy.deepcopy(GATE)} | release
    return found


def results(digest: str, rows: list[Item] | None = None) -> dict[str, dict]:
    """Stage -> result, about weights of this digest and items of `evaluation_records.items`."""
    return {
        **data_records.results(),
        "train": data_records.train(digest, parameters=1, steps=2),
        "evaluate": evaluation_records.evaluate(digest, rows or evaluation_records.items()),
        "safety": evaluation_records.safety(digest),
    }


def report(root: Path, stage: str, result: dict) -> Path:
    """Write one stage's report."""
    splits = ("train", "validation", "test")
    outputs = {f"data/clean/{split}-00000.parquet": "45" * 32 for split in splits} if stage == "prepare" else {}
    table = root / "reports" / items.NAME
    if stage == "evaluate" and table.exists():
        outputs[f"reports/{items.NAME}"] = sha256_file(table)
    record = StageRecord(stage=stage, slipway="0.1.0", settings={}, inputs={}, outputs=outputs, result=result)
    write_atomic(root / "reports" / f"{stage}.json", record.to_json())
    return root / "reports" / f"{stage}.json"


def bundle(root: Path, seed: int = 0, card: str = "# Tiny\n", rows: list[Item] | None = None) -> str:
    """(Re)make reports and bundle; returns the bundle digest.

    `rows` is what the model made of every item (`evaluation_records.items`); without, every model made here is as
    good as any other.
    """
    tensors, rows = weights(seed), rows or evaluation_records.items()
    items.write(rows, root / "reports" / items.NAME)
    files = {"model.safetensors": tensors, "config.json": b"{}\n", "README.md": card.encode(), "report.html": PAGE}
    files["recipe.json"] = recipe_json(load(root / "params.yaml")).encode()
    files["inputs.lock"] = (root / "inputs.lock").read_bytes()
    for stage, result in results(sha256_bytes(tensors), rows).items():
        files[f"records/{stage}.json"] = report(root, stage, result).read_bytes()
    files[f"records/{items.NAME}"] = (root / "reports" / items.NAME).read_bytes()
    for name, data in files.items():
        write_atomic(root / "bundle" / name, data)
    digest = manifest.write(root / "bundle", "tiny")
    report(root, "bundle", {"bundle_digest": digest, "files": len(files), "bytes": 1})
    report(root, "scan", {"bundle_digest": digest, "files_scanned": len(files) + 1, "passed": True, "findings": []})
    return digest


def ledger(root: Path) -> None:
    """Two attempts at the run, the first failed, and one at another; an hour each."""
    facts = {
        "recipe": "tiny", "began": "2026-01-01T00:00:00+00:00", "host": "elsewhere", "pid": 1, "started": 1.0,
        "device": "cpu AVX2", "devices": 1, "seconds": 3600.0, "tokens": 64, "flops": 6400, "peak_flops": 10.0,
        "energy_joules": None, "energy_method": "unknown: no RAPL counter in /sys/class/powercap", "step": 2,
    }  # fmt: skip
    keys = {"a": (data_records.RUN_KEY, "failed"), "b": (data_records.RUN_KEY, "finished"), "c": ("0" * 16, "killed")}
    for name, (key, outcome) in keys.items():
        attempt = AttemptRecord(**facts, key=key, outcome=outcome)
        write_atomic(root / ".slipway" / "ledger" / f"{name}.json", attempt.to_json())


def make(root: Path, **release) -> Path:
    """A whole project at `root`; `release` changes that section of the recipe."""
    root.mkdir(parents=True, exist_ok=True)
    (root / "params.yaml").write_text(json.dumps(values(**release)))
    (root / "dvc.yaml").write_text("stages: {}\n")
    (root / "inputs.lock").write_text("{}\n")
    bundle(root)
    (root / "reports" / "train_log.jsonl").write_text(
        '{"step": 1, "tokens": 32, "loss": 5.0, "learning_rate": 0.1, "grad_norm": 1.0, "validation_loss": null}\n'
        '{"step": 2, "tokens": 64, "loss": 4.0, "learning_rate": 0.1, "grad_norm": 1.0, "validation_loss": 3.1}\n'
    )
    return root


def key_pair(path: Path) -> Path:
    """A private key at `path`, its public half beside it."""
    from slipway.release.signing.keys import generate

    return generate(path)


def flip(path: Path) -> None:
    """Flip one bit of the last byte, in a copy of the file, so that hard links elsewhere keep theirs."""
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.unlink()  # a hard link elsewhere keeps the old bytes
    path.write_bytes(data)


def start(code: str, cwd: Path, env: dict[str, str]) -> subprocess.Popen:
    """Python code in a process of its own that finds this checkout's flows."""
    return subprocess.Popen(
        [sys.executable, "-c", code], cwd=cwd, env=env | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
