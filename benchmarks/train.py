"""Training throughput: Slipway's step beside a bare Hugging Face loop, tokens per CPU-second.

Same model, rows, optimiser, threads and process; rounds alternate, so that a neighbour's load meets both. CPU time is
what is counted, which a busy machine changes little. The model, batch and sequence are those of the recipe,
the tokens are random (the time of a step does not depend on them).

    python benchmarks/train.py [--threads 1] [--rounds 5] [--steps 8] >> benchmarks/results/train.jsonl
"""

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import torch

from slipway.model.build import build
from slipway.model.data import Tokens
from slipway.model.loss import make_loss
from slipway.model.optim import Optimisers
from slipway.recipe import load
from slipway.settings import Train

Step = Callable[[int], None]


def write_tokens(directory: Path, vocabulary: int) -> None:
    splits = {}
    for split in ("train", "validation"):
        name = f"{split}-00000.bin"
        np.random.default_rng(1).integers(1, vocabulary, 200_000).astype("<u2").tofile(directory / name)
        counts = {"tokens": 200_000, "learnt": 200_000, "learnt_bytes": 600_000, "pairs": 0, "rows": 0}
        splits[split] = counts | {"shards": [counts | {"file": name, "masked": False}]}
    index = {"dtype": "uint16", "vocabulary": vocabulary, "separator": 0, "packing": "stream", "splits": splits}
    (directory / "index.json").write_text(json.dumps(index))


def ours(settings: Train, tokens: Path, vocabulary: int) -> Step:
    model = build(settings.architecture, vocabulary, settings.sequence_length, 0).train()
    data, loss, optimisers = (
        Tokens(tokens, "train", settings.sequence_length, 0),
        make_loss(model),
        Optimisers(model, settings),
    )

    def step(number: int) -> None:
        value = loss(*data.batch(number, settings.batch_size))
        value.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), settings.clip)
        optimisers.step(number)
        value.item()

    return step


def bare(settings: Train, tokens: Path, vocabulary: int) -> Step:
    """What a careful user writes: memory map, the model's own loss, torch's optimisers as they come."""
    model = build(settings.architecture, vocabulary, settings.sequence_length, 0).train()
    stream, rng = np.memmap(tokens / "train-00000.bin", "<u2", mode="r"), np.random.default_rng(0)
    size, length = settings.batch_size, settings.sequence_length
    matrices = [p for n, p in model.named_parameters() if p.ndim == 2 and "embed" not in n and "lm_head" not in n]
    chosen = {id(p) for p in matrices} if settings.optimizer == "muon" else set()
    rest = [p for p in model.parameters() if id(p) not in chosen]
    optimisers: list[torch.optim.Optimizer] = [torch.optim.AdamW(rest, lr=settings.learning_rate)]
    if chosen:
        optimisers.append(torch.optim.Muon(matrices, lr=settings.matrix_learning_rate))

    def step(_number: int) -> None:
        starts = rng.integers(0, len(stream) - length, size)
        rows = torch.from_numpy(np.stack([stream[s : s + length] for s in starts]).astype(np.int64))
        value = model(input_ids=rows, labels=rows, use_cache=False).loss
        value.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), settings.clip)
        for optimiser in optimisers:
            optimiser.step()
            optimiser.zero_grad()
        value.item()

    return step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=8, help="steps per round and side")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    recipe = load(Path(__file__).parents[1] / "params.yaml")
    result: dict[str, object] = {}
    for optimizer in ("adamw", "muon"):
        settings = recipe.train.model_copy(update={"optimizer": optimizer})
        with tempfile.TemporaryDirectory() as folder:
            write_tokens(Path(folder), recipe.tokenize.vocabulary)
            sides = {side.__name__: side(settings, Path(folder), recipe.tokenize.vocabulary) for side in (ours, bare)}
            speeds: dict[str, list[float]] = {name: [] for name in sides}
            for turn in range(args.rounds + 1):
                for name, step in sides.items():
                    started = time.process_time()
                    for number in range(1, args.steps + 1):
                        step(turn * args.steps + number)
                    tokens = args.steps * settings.batch_size * settings.sequence_length
                    if turn:  # the first round warms up
                        speeds[name].append(tokens / (time.process_time() - started))
        medians = {name: round(statistics.median(values)) for name, values in speeds.items()}
        result[optimizer] = medians | {"ratio": round(medians["ours"] / medians["bare"], 2)}
    machine = {"processor": platform.machine(), "cpus": os.cpu_count(), "torch": version("torch")}
    print(
        json.dumps(
            {"benchmark": "train", "unit": "tokens per CPU-second", "threads": args.threads, **result, **machine}
        )
    )


if __name__ == "__main__":
    main()
