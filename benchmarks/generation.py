"""Generation with mixed prompt and output lengths: `generate` of transformers on static batches beside ours.

Same model, prompts, tokens to write and threads; greedy. The peer pads each batch of 16 at the left, sorted by prompt
length, and writes as long as its longest text needs; what is beyond a text's own length is thrown away. Ours keeps the
batch full: a text that has ended gives its line to one that waits. Tokens per CPU-second count the tokens asked for.
Each side runs in a process of its own, in turn, so that a neighbour's load meets both.

    python benchmarks/generation.py [--prompts 64] [--rounds 5] >> benchmarks/results/generation.jsonl
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from evaluation import CONTEXT, processor, write

BATCH = 16


def work(folder: Path, prompts: int) -> tuple[list[list[int]], list[int]]:
    """Prompts of 20 to 150 tokens, and how many tokens to write: 4 to 96, few of them long."""
    import numpy as np
    from transformers import AutoTokenizer

    rng, tokenizer = np.random.default_rng(3), AutoTokenizer.from_pretrained(folder / "model")
    text = " ".join(json.loads(line)["stem"] for line in (folder / "questions.jsonl").read_text().splitlines())
    tokens = tokenizer(text)["input_ids"]
    starts, sizes = rng.integers(len(tokens) - 150, size=prompts), rng.integers(20, 151, prompts)
    limits = np.clip(rng.lognormal(np.log(24), 0.8, prompts), 4, 96).astype(int)
    return [tokens[start : start + size] for start, size in zip(starts, sizes, strict=True)], limits.tolist()


def theirs(model: Any, prompts: list[list[int]], limits: list[int]) -> list[list[int]]:
    """Static batches of prompts of about equal length."""
    import torch

    results: list[list[int]] = [[] for _ in prompts]
    order = sorted(range(len(prompts)), key=lambda index: len(prompts[index]))
    for start in range(0, len(order), BATCH):
        members = order[start : start + BATCH]
        width = max(len(prompts[index]) for index in members)
        inputs = torch.tensor([[0] * (width - len(prompts[index])) + prompts[index] for index in members])
        mask = torch.tensor([[0] * (width - len(prompts[index])) + [1] * len(prompts[index]) for index in members])
        most = max(limits[index] for index in members)
        found = model.generate(inputs, attention_mask=mask, max_new_tokens=most, do_sample=False, pad_token_id=0)
        for index, tokens in zip(members, found[:, width:].tolist(), strict=True):
            results[index] = tokens[: limits[index]]
    return results


def side(name: str, folder: Path, prompts: int, threads: int) -> dict[str, Any]:
    """Run one side in this process."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from slipway.evaluation.scoring import Scorer

    torch.set_num_threads(threads)
    model = AutoModelForCausalLM.from_pretrained(folder / "model", dtype=torch.float32).eval()
    # With random weights a text would end anywhere; both sides are to write exactly as much as is asked for.
    model.generation_config.eos_token_id = None
    scorer = Scorer(model, AutoTokenizer.from_pretrained(folder / "model"), CONTEXT)
    scorer.separator = -1
    texts, limits = work(folder, prompts)
    run = (lambda: scorer.generate(texts, limits)) if name == "ours" else (lambda: theirs(model, texts, limits))
    scorer.generate(texts[:2], 2) if name == "ours" else theirs(model, texts[:2], [2, 2])
    before, started = time.process_time(), time.perf_counter()
    found = run()
    cpu, wall = time.process_time() - before, time.perf_counter() - started
    (folder / f"{name}.json").write_text(json.dumps(found))
    return {
        "cpu": cpu,
        "wall": wall,
        "tokens": sum(map(len, found)),
        "asked": sum(limits),
        "rss": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def run_side(name: str, folder: Path, args: argparse.Namespace) -> dict[str, Any]:
    given = ["--side", name, "--folder", str(folder), "--prompts", str(args.prompts), "--threads", str(args.threads)]
    environment = os.environ | {"OMP_NUM_THREADS": str(args.threads)}
    done = subprocess.run(
        [sys.executable, __file__, *given], capture_output=True, text=True, check=False, env=environment
    )
    if done.returncode:
        raise SystemExit(f"{name} failed:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])  # type: ignore[no-any-return]


def compare(folder: Path, args: argparse.Namespace) -> dict[str, Any]:
    found: dict[str, list[dict[str, Any]]] = {"ours": [], "hf": []}
    for turn in range(args.rounds):
        for name in ("ours", "hf") if turn % 2 == 0 else ("hf", "ours"):
            found[name].append(run_side(name, folder, args))
    result: dict[str, Any] = {"tokens": found["ours"][0]["asked"]}
    for name, runs in found.items():
        speeds = sorted(run["tokens"] / run["cpu"] for run in runs)
        result[name] = {
            "tokens_per_cpu_s": round(statistics.median(speeds), 1),
            "spread": [round(speeds[0], 1), round(speeds[-1], 1)],
            "wall_s": round(statistics.median(run["wall"] for run in runs), 1),
            "rss_mib": round(statistics.median(run["rss"] for run in runs)),
            "all tokens written": all(run["tokens"] == run["asked"] for run in runs),
        }
    pairs = zip(found["ours"], found["hf"], strict=True)
    result["ours/hf"] = round(statistics.median(hf["cpu"] / ours["cpu"] for ours, hf in pairs), 2)
    one, other = (json.loads((folder / f"{name}.json").read_text()) for name in ("ours", "hf"))
    result["texts equal"] = round(sum(a == b for a, b in zip(one, other, strict=True)) / len(one), 3)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prompts", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--side", choices=["ours", "hf"], help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.side:
        print(json.dumps(side(args.side, args.folder, args.prompts, args.threads)))
        return
    with tempfile.TemporaryDirectory() as name:
        write(Path(name), 50)
        found = compare(Path(name), args)
    about = {"benchmark": "generation", "case": f"{args.prompts} prompts, mixed lengths", "rounds": args.rounds}
    command = f"generation.py --prompts {args.prompts} --rounds {args.rounds} --threads {args.threads}"
    when = {"date": datetime.now(UTC).date().isoformat(), "command": command}
    machine = {"processor": processor(), "cpus": os.cpu_count(), "threads": args.threads}
    print(json.dumps(about | when | found | machine), flush=True)


if __name__ == "__main__":
    main()
