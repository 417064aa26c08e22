"""Training throughput on one GPU: a 0.5B Llama in bfloat16, beside the Trainer of transformers and TRL with Liger.

Same model, tokens, batch and optimiser; each side in a process of its own, rounds alternate; figures are medians of
tokens per second of wall time. MFU is against the chip's dense peak and against the best bfloat16 product measured.

    python benchmarks/train_gpu.py [--trl-python PATH] >> benchmarks/results/train_gpu.jsonl

TRL wants its own environment (`pip install -c constraints.txt trl liger-kernel`). `--device cpu --size tiny` tries the
script itself where there is no GPU; its figures say nothing.
"""

import argparse
import json
import sys
import tempfile
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import torch
from train import VOCABULARY, compare, matmul_peak, processor, write_stream
from train_peers import Task

CHIP = 989e12
"""Dense bfloat16 peak of H100 and H200 (SXM), FLOP/s, as NVIDIA states it."""
HALF_BILLION = {
    "model_type": "llama",
    "hidden_size": 1536,
    "intermediate_size": 4096,
    "num_hidden_layers": 16,
    "num_attention_heads": 12,
    "num_key_value_heads": 12,
    "tie_word_embeddings": True,
}
TINY = HALF_BILLION | {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
}
SIZES = {
    "0.5b": Task("", HALF_BILLION, 32_768, length=2048, batch=16, warm=10, steps=30, threads=8, compile="on"),
    "tiny": Task("", TINY, VOCABULARY, length=32, batch=2, warm=1, steps=2, threads=1),
}


def measured_peak() -> float:
    """FLOP/s of the best of several bfloat16 products on the GPU."""
    a, best = torch.randn(8192, 8192, device="cuda", dtype=torch.bfloat16), float("inf")
    for _ in range(20):
        torch.cuda.synchronize()
        started = time.perf_counter()
        torch.mm(a, a)
        torch.cuda.synchronize()
        best = min(best, time.perf_counter() - started)
    return 2 * 8192**3 / best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--size", choices=SIZES, default="0.5b")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--trl-python", help="interpreter of an environment with TRL and Liger")
    args = parser.parse_args()
    if args.device == "cuda" and not torch.cuda.is_available():
        sys.exit("not run: torch sees no GPU here; this benchmark wants one H100 or H200 and torch built for CUDA")
    sides = {"ours": sys.executable, "hf": sys.executable}
    if args.trl_python:
        sides["trl"] = args.trl_python
    with tempfile.TemporaryDirectory() as folder:
        task = replace(SIZES[args.size], folder=folder, device=args.device)
        write_stream(Path(folder), task)
        on_gpu = args.device == "cuda"
        found = compare(task, sides, args.rounds, "wall", measured_peak if on_gpu else matmul_peak)
    for side in sides:
        found[side]["mfu_of_chip"] = round(found[side]["tokens_per_s"] * found["flops_per_token"] / CHIP, 3)
    if "trl" not in sides:
        found["trl"] = "not run"
    about = {"benchmark": "train_gpu", "size": args.size, "unit": "tokens per second", "rounds": args.rounds}
    when = {"date": datetime.now(UTC).date().isoformat(), "command": f"train_gpu.py --size {args.size}"}
    hardware = {"device": torch.cuda.get_device_name() if on_gpu else processor()}
    print(json.dumps(about | when | found | hardware))


if __name__ == "__main__":
    main()
