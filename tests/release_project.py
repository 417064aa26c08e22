"""A project that has come as far as a release: recipe, reports and a bundle of small files, all consistent."""

import copy
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
from ruamel.yaml import YAML

from slipway.files import sha256_bytes, write_atomic
from slipway.recipe import load
from slipway.records import AttemptRecord, StageRecord
from slipway.release.bundle import manifest
from slipway.release.bundle.provenance import recipe_json
from tests import data_records

ROOT = Path(__file__).parents[1]
PAGE = (
    b'<!doctype html><meta charset=utf-8><meta http-equiv="Content-Security-Policy" '
    b"content=\"default-src 'none'; style-src 'unsafe-inline'\"><title>t</title><p>x"
)


def weights(seed: int = 0) -> bytes:
    """A small, real safetensors file."""
    from safetensors.numpy import save

    return save({"w": np.random.default_rng(seed).normal(size=(64, 64)).astype(np.float32)})


def measure(value, n=100):
    return {"value": value, "low": value - 0.05, "high": value + 0.05, "n": n, "method": "Wilson"}


def values(**release) -> dict:
    """The default recipe with a short gate."""
    found = copy.deepcopy(YAML(typ="safe").load((ROOT / "params.yaml").read_text("utf-8")))
    found["name"] = "tiny"
    gate = [
        {"report": "validate", "value": "passed", "relation": "equals", "bound": 1, "reason": "contract"},
        {
            "report": "evaluate", "value": "bits_per_byte.model.high", "relation": "below",
            "bound": "bits_per_byte.gzip.value", "reason": "better than gzip",
        },
    ]  # fmt: skip
    found["release"] |= {"gate": gate} | release
    return found


def results(digest: str) -> dict[str, dict]:
    choice = {"accuracy": measure(0.4), "chance": 0.25, "definition": "one of four"}
    return {
        **data_records.results(),
        "train": data_records.train(digest, parameters=1, steps=2),
        "evaluate": {
            "weights_sha256": digest, "test_sha256": "23" * 32, "test_documents": 1, "test_bytes": 100,
            "bits_per_byte": {"model": measure(1.9), "gzip": measure(2.1)}, "bits_per_byte_by_source": {},
            "choices": {"continuation": choice}, "samples": [],
        },
        "safety": {
            "weights_sha256": digest,
            "probes": {
                "toxicity": {"name": "toxicity", "status": "not run", "reason": "no set", "measures": {}, "details": {}}
            },
        },
    }  # fmt: skip


def report(root: Path, stage: str, result: dict) -> Path:
    """Write one stage's report."""
    splits = ("train", "validation", "test")
    outputs = {f"data/clean/{split}-00000.parquet": "45" * 32 for split in splits} if stage == "prepare" else {}
    record = StageRecord(stage=stage, slipway="0.1.0", settings={}, inputs={}, outputs=outputs, result=result)
    write_atomic(root / "reports" / f"{stage}.json", record.to_json())
    return root / "reports" / f"{stage}.json"


def bundle(root: Path, seed: int = 0, card: str = "# Tiny\n") -> str:
    """(Re)make reports and bundle; returns the bundle digest."""
    tensors = weights(seed)
    files = {"model.safetensors": tensors, "config.json": b"{}\n", "README.md": card.encode(), "report.html": PAGE}
    files["recipe.json"] = recipe_json(load(root / "params.yaml")).encode()
    files["inputs.lock"] = (root / "inputs.lock").read_bytes()
    for stage, result in results(sha256_bytes(tensors)).items():
        files[f"records/{stage}.json"] = report(root, stage, result).read_bytes()
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
    from slipway.release.keys import generate

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
