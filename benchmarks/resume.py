"""How long a killed run needs until its first new step: the default recipe's model, a process of its own each time.

Counted from the call of `train`, when everything is imported, to the end of the first step after the checkpoint:
reading and checking the checkpoint, the trial write of the preflight, counting operations, measuring the peak.

    python benchmarks/resume.py [--rounds 5] >> benchmarks/results/resume.jsonl
"""

import argparse
import datetime as dt
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]
CHILD = """
import json, sys, time
from pathlib import Path
from transformers import LlamaForCausalLM  # with it everything that a run needs is imported
from slipway.model.told import Places, Told
from slipway.model.train import train
from slipway.settings import Train

class Enough(Exception):
    pass

root, stop, values = Path(sys.argv[1]), int(sys.argv[2]), json.loads(sys.argv[3])

def progress(done, total, note):
    if done >= stop:
        raise Enough

began = time.perf_counter()
try:
    train(Train(**values), 17, inputs_digest="benchmark", told=Told(progress=progress), places=Places(
        root / "tokens", root / "base", root / "teacher", root / "work", root / "ledger", root / "out", root / "log"))
except Enough:
    print(time.perf_counter() - began)
"""


def write_tokens(directory: Path, vocabulary: int) -> None:
    """Random tokens; the time of a step does not depend on them."""
    directory.mkdir()
    splits = {}
    for split in ("train", "validation"):
        name, count = f"{split}-00000", 400_000
        np.random.default_rng(1).integers(1, vocabulary, count).astype("<u2").tofile(directory / f"{name}.bin")
        np.save(directory / f"{name}.offsets.npy", np.arange(0, count, 200))
        facts = {"tokens": count, "learnt": count, "learnt_bytes": 3 * count, "pairs": 0, "rows": 0}
        splits[split] = facts | {"shards": [facts | {"file": f"{name}.bin", "masked": False}]}
    index = {"dtype": "uint16", "vocabulary": vocabulary, "separator": 0, "stops": [0], "packing": "stream"}
    (directory / "index.json").write_text(json.dumps(index | {"row_tokens": None, "splits": splits}))


def seconds(root: Path, stop: int, values: str) -> float:
    """Seconds until `stop` steps are done."""
    command = [sys.executable, "-c", CHILD, str(root), str(stop), values]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    return float(done.stdout.split()[-1])


def main() -> None:
    from slipway.recipe import load

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    recipe = load(ROOT / "params.yaml")
    settings = recipe.train.model_copy(update={"checkpoint_every": 10})
    values = json.dumps(settings.model_dump(mode="json") | {"keep": {"last": 2, "every": None}})
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_tokens(root / "tokens", recipe.tokenize.vocabulary or 3072)
        # Beyond a checkpoint, then killed; each round goes on from the same one, which no step replaces.
        seconds(root, 15, values)
        found = [seconds(root, 11, values) for _ in range(rounds)]
    print(
        json.dumps(
            {
                "benchmark": "resume",
                "date": dt.datetime.now(dt.UTC).date().isoformat(),
                "command": "python benchmarks/resume.py",
                "seconds": {"median": round(statistics.median(found), 2), "all": [round(s, 2) for s in found]},
                "cpus": os.cpu_count(),
                "processor": platform.processor() or platform.machine(),
                "torch": version("torch"),
            }
        )
    )


if __name__ == "__main__":
    main()
