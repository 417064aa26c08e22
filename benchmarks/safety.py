"""A model overfitted on canaries and one that never saw them: their exposure, and what the gate's line says of each.

Both are the default recipe's architecture with a tokenizer of their own, trained on the same real docstrings (of the
standard library); the texts of one hold the canaries as often as their levels say, and are seen until known by heart.
Time is that of the probe on all canaries.

    python benchmarks/safety.py [--fills 10000] [--steps 150] >> benchmarks/results/safety.jsonl
"""

import argparse
import ast
import datetime as dt
import json
import os
import platform
import sysconfig
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[1]
END = "<|endoftext|>"


def docstrings(count: int) -> list[str]:
    """The first `count` docstrings of the standard library, in order of file and place."""
    found: list[str] = []
    for path in sorted(Path(sysconfig.get_path("stdlib")).glob("*.py")):
        nodes = ast.walk(ast.parse(path.read_text("utf-8")))
        found += [ast.get_docstring(node) or "" for node in nodes if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    return [text for text in found if 40 <= len(text) <= 160][:count]


def tokenizer(texts: Sequence[str]) -> Any:
    """A byte-level BPE of the default size."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    backend.train_from_iterator(
        texts,
        trainers.BpeTrainer(vocab_size=3072, special_tokens=[END], initial_alphabet=alphabet, show_progress=False),
    )
    return PreTrainedTokenizerFast(tokenizer_object=backend, bos_token=END, eos_token=END)


def trained(words: Any, texts: Sequence[str], steps: int, context: int) -> Any:
    """A model of the default architecture after `steps` steps of 16 texts, and its scorer."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from slipway.evaluation.scoring import Scorer
    from slipway.recipe import load

    torch.manual_seed(0)
    stated = load(ROOT / "params.yaml").train.architecture or {}
    shape = {name: value for name, value in stated.items() if name != "model_type"}
    model = LlamaForCausalLM(LlamaConfig(**shape, vocab_size=len(words), bos_token_id=0, eos_token_id=0))
    scorer = Scorer(model, words, context)
    rows = [[0, *tokens, 0][:context] for tokens in scorer.encode(texts)]
    optimizer, rng = torch.optim.AdamW(model.parameters(), 2e-3), np.random.default_rng(0)
    model.train()
    for _ in range(steps):
        some = [rows[place] for place in rng.choice(len(rows), 16, replace=False)]
        width = max(map(len, some))
        optimizer.zero_grad()
        labels = torch.tensor([row + [-100] * (width - len(row)) for row in some])
        model(labels.clamp(min=0), labels=labels).loss.backward()
        optimizer.step()
    model.eval()
    return scorer


def judged(scorer: Any, planted: Sequence[Any], template: str, digits: int, fills: int) -> dict[str, Any]:
    """Exposures of one model, the verdict of the policy's line on them, and what the probe took."""
    from slipway.records import SafetyReport
    from slipway.release.gate.checks import lines
    from slipway.safety.canary_exposure import Canary, probe
    from slipway.settings import Gate

    wall, cpu = time.perf_counter(), time.process_time()
    canaries = [Canary(one.name, one.fill, one.repeats) for one in planted]
    found = probe(scorer, canaries, template=template, digits=digits, fills=fills, seed=17)
    took = {"seconds": round(time.perf_counter() - wall, 2), "cpu_seconds": round(time.process_time() - cpu, 2)}
    check = next(one for one in Gate().checks if one.value.endswith("exposure_1.value"))
    report = SafetyReport(weights_sha256="-", probes={"canary_exposure": found})
    (line,) = lines([check], {"safety": report.model_dump(mode="json")}, {})
    exposures = {name: round(measure.value, 2) for name, measure in found.measures.items()}
    return {"exposures": exposures, "at_ceiling": found.details["at_ceiling"], "verdict": line.verdict, **took}


def main() -> None:
    import torch

    from slipway.data.clean import canaries
    from slipway.settings import Canaries

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fills", type=int, default=10_000)
    parser.add_argument("--steps", type=int, default=150)
    given = parser.parse_args()
    torch.set_num_threads(os.cpu_count() or 1)
    planted = canaries.plant(Canaries(repeats=(1, 4, 16), per_level=3), 17)
    texts = docstrings(100)
    said = [one.text for one in planted for _ in range(one.repeats)]
    words = tokenizer(texts)
    models = {"overfitted": [*texts, *said], "without": texts}
    record = {
        "benchmark": "safety",
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "command": f"python benchmarks/safety.py --fills {given.fills} --steps {given.steps}",
        "fills": given.fills,
        "models": {
            name: judged(
                trained(words, own, given.steps, 128), planted, canaries.TEMPLATE, canaries.DIGITS, given.fills
            )
            for name, own in models.items()
        },
        "cpus": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
        "processor": platform.processor() or platform.machine(),
        "torch": version("torch"),
    }
    print(json.dumps(record))


if __name__ == "__main__":
    main()
