"""Training throughput on a processor: Slipway beside a bare loop, the Trainer of transformers, and TRL's SFTTrainer.

Same model, tokens, batch, optimiser and threads. Rounds alternate between the sides, each in a process of its own,
so that a neighbour's load meets all of them and peak memory is each side's. Figures are medians over rounds of tokens
per CPU-second of the training steps (imports and the first steps are not counted), which a busy machine changes little.
MFU is against the best float32 matrix product of the same rounds; operations are counted on the model by torch.

    python benchmarks/train.py [--cases 3.3M-1 ...] [--trl-python PATH] >> benchmarks/results/train.jsonl

TRL wants its own environment (`pip install -c constraints.txt trl`); without its interpreter it is `not run`.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import torch
from train_peers import Task

VOCABULARY = 8192


def _llama(width: int, inner: int, layers: int) -> dict[str, Any]:
    heads = {"num_attention_heads": width // 64, "num_key_value_heads": width // 64}
    sizes = {"hidden_size": width, "intermediate_size": inner, "num_hidden_layers": layers}
    return {"model_type": "llama", **sizes, **heads, "tie_word_embeddings": True}


SMALL = Task("", _llama(192, 512, 4), VOCABULARY, length=256, batch=8, warm=3, steps=10, threads=1)
LARGE = Task("", _llama(512, 1344, 7), VOCABULARY, length=512, batch=2, warm=2, steps=4, threads=1)
CASES: dict[str, tuple[Task, tuple[str, ...]]] = {
    "3.3M-1": (SMALL, ("ours", "bare", "hf", "trl")),
    "3.3M-2": (replace(SMALL, threads=2), ("ours", "bare", "hf", "trl")),
    "26M-1": (LARGE, ("ours", "bare", "hf")),
    "26M-2": (replace(LARGE, threads=2), ("ours", "hf")),
    "mixed-1": (replace(SMALL, mixed=True), ("ours", "hf")),
    "compile-1": (replace(SMALL, compile="on"), ("ours", "ours:off")),
}


def write_index(folder: Path, packing: str, learnt: int, **files: Any) -> None:
    """`index.json` and the same tokens as training and validation split."""
    total = (folder / "train-00000.bin").stat().st_size // 2
    splits = {}
    for split in ("train", "validation"):
        counts = {"tokens": total, "learnt": learnt, "learnt_bytes": 3 * learnt, "pairs": 0}
        splits[split] = counts | {"shards": [counts | {"file": f"{split}-00000.bin", **files}]}
    row = {"packing": packing, "row_tokens": files.get("row_tokens"), "splits": splits}
    index = {"dtype": "uint16", "vocabulary": VOCABULARY, "separator": 0, "stops": [0], **row}
    (folder / "index.json").write_text(json.dumps(index))
    for name in ("bin", "mask.bin", "offsets.npy"):
        if (folder / f"train-00000.{name}").exists():
            (folder / f"validation-00000.{name}").write_bytes((folder / f"train-00000.{name}").read_bytes())


def write_stream(folder: Path, task: Task) -> None:
    """Random tokens: the time of a step does not depend on them."""
    count = task.batch * task.length * (task.warm + task.steps + 2)
    np.random.default_rng(1).integers(1, VOCABULARY, count).astype("<u2").tofile(folder / "train-00000.bin")
    write_index(folder, "stream", count, rows=0, masked=False)


def write_documents(folder: Path, task: Task) -> None:
    """Documents of lognormal length (median 80 tokens) up to the row, best fit into rows as long as they are given."""
    rng, rows = np.random.default_rng(1), task.batch * (task.warm + task.steps + 2)
    lengths = np.clip(rng.lognormal(np.log(80), 0.7, 4 * rows), 8, task.length).astype(int)
    bins: list[list[int]] = []
    for length in sorted(lengths.tolist(), reverse=True):
        fits = [row for row in bins if sum(row) + length <= task.length]
        max(fits, key=sum).append(length) if fits else bins.append([length])
    tokens, mask = np.zeros((len(bins), task.length), "<u2"), np.zeros((len(bins), task.length), np.uint8)
    spans = []
    for number, row in enumerate(bins):
        ends = np.cumsum(row)
        tokens[number, : ends[-1]], mask[number, : ends[-1]] = rng.integers(1, VOCABULARY, ends[-1]), 1
        tokens[number, ends - 1] = 0  # a separator ends each
        spans += [
            (number * task.length + int(end) - size, number * task.length + int(end))
            for end, size in zip(ends, row, strict=True)
        ]
    tokens.tofile(folder / "train-00000.bin")
    mask.tofile(folder / "train-00000.mask.bin")
    begins = [first for first, _ in spans] + [
        n * task.length + sum(row) for n, row in enumerate(bins) if sum(row) < task.length
    ]
    np.save(folder / "train-00000.offsets.npy", np.array(sorted(begins), np.int64))
    rng.shuffle(spans)
    (folder / "documents.json").write_text(json.dumps([[int(a), int(b)] for a, b in spans]))
    write_index(folder, "whole", int(mask.sum()), rows=len(bins), masked=True, row_tokens=task.length)


def run_side(side: str, task: Task, python: str) -> dict[str, Any]:
    name, _, compiling = side.partition(":")
    given = json.dumps(asdict(replace(task, compile=compiling or task.compile)))
    command = [python, str(Path(__file__).with_name("train_peers.py")), "--side", name, given]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{side} failed:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])  # type: ignore[no-any-return]


def matmul_peak() -> float:
    """FLOP per CPU-second of the best of several float32 products."""
    a, best = torch.randn(1024, 1024), float("inf")
    for _ in range(12):
        started = time.process_time()
        torch.mm(a, a)
        best = min(best, time.process_time() - started)
    return 2 * 1024**3 / best


def compare(
    task: Task, sides: dict[str, str], rounds: int, clock: str = "cpu", measure: Callable[[], float] = matmul_peak
) -> dict[str, Any]:
    """Medians over rounds of each side, and of the ratios to the others within a round.

    Args:
        task: what all do.
        sides: name to interpreter.
        rounds: how often.
        clock: `cpu` or `wall`.
        measure: FLOP/s of the best matrix product, on the same clock.
    """
    torch.set_num_threads(task.threads)
    peaks, found = [], {side: [] for side in sides}  # type: ignore[var-annotated]
    for turn in range(rounds):
        peaks.append(measure())
        for side, python in sides.items() if turn % 2 == 0 else reversed(sides.items()):
            found[side].append(run_side(side, task, python))
    peak, flops = statistics.median(peaks), found["ours"][0]["flops_per_token"]
    result: dict[str, Any] = {"matmul_gflops": round(peak / 1e9, 1), "flops_per_token": flops}
    for side, runs in found.items():
        speeds = sorted(run["useful"] / run[clock] for run in runs)
        speed, places = statistics.median(speeds), statistics.median(run["places"] / run[clock] for run in runs)
        result[side] = {
            "tokens_per_s": round(speed, 1),
            "spread": [round(speeds[0], 1), round(speeds[-1], 1)],
            "wall_tokens_per_s": round(statistics.median(run["useful"] / run["wall"] for run in runs), 1),
            "mfu": round(places * flops / peak, 3),
            "rss_mib": round(statistics.median(run["rss"] for run in runs)),
            "fill": round(sum(run["useful"] for run in runs) / sum(run["places"] for run in runs), 3),
        }
        result[side] |= {key: runs[0][key] for key in ("swapped", "trl", "loss") if key in runs[0]}
    for side in list(sides)[1:]:
        # Of the two runs of a round, which met about the same neighbours.
        rounds_of_both = zip(found["ours"], found[side], strict=True)
        ratios = [(one["useful"] / one[clock]) / (other["useful"] / other[clock]) for one, other in rounds_of_both]
        result[f"ours/{side}"] = round(statistics.median(ratios), 3)
        result[f"ours/{side} by round"] = [round(ratio, 2) for ratio in ratios]
        result[f"rss ours/{side}"] = round(result["ours"]["rss_mib"] / result[side]["rss_mib"], 3)
    return result | {"torch": found["ours"][0]["torch"], "transformers": found["ours"][0]["transformers"]}


def processor() -> str:
    """The processor's name as the system gives it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.processor()}, {torch.backends.cpu.get_cpu_capability()}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--trl-python", help="interpreter of an environment with TRL")
    args = parser.parse_args()
    for case in args.cases:
        task, names = CASES[case]
        sides = {name: sys.executable for name in names if name != "trl"}
        if "trl" in names and args.trl_python:
            sides["trl"] = args.trl_python
        with tempfile.TemporaryDirectory() as folder:
            task = replace(task, folder=folder)
            (write_documents if task.mixed else write_stream)(Path(folder), task)
            found = compare(task, sides, args.rounds)
        if "trl" in names and not args.trl_python:
            found["trl"] = "not run"
        if task.mixed:
            found["reach"] = round(0.97 / found["hf"]["fill"], 3)
        machine = {"processor": processor(), "cpus": os.cpu_count(), "threads": task.threads}
        about = {"benchmark": "train", "case": case, "unit": "useful tokens per CPU-second", "rounds": args.rounds}
        when = {"date": datetime.now(UTC).date().isoformat(), "command": f"train.py --cases {case}"}
        print(json.dumps(about | when | found | machine), flush=True)


if __name__ == "__main__":
    main()
