"""Multiple choice through lm-evaluation-harness: its own `hf` backend beside ours, on a processor.

The same local YAML task, model, tokenizer and threads, both through `lm_eval.simple_evaluate`. Each side runs in a
process of its own, in turn, so that a neighbour's load meets both and peak memory is each side's. Questions per
CPU-second count the call of `simple_evaluate` (building requests, scoring, metrics), for both without imports and
loading; `whole process` counts those too. Stems have 60 to 150 tokens and choices 3 to 25, cut from the text of the
standard library; the model has random weights, which change no time. Ours includes what the product does to lm_eval
itself: compiled prompt templates are kept (`library.prepare`); `hf` runs as it is installed.

    python benchmarks/evaluation.py [--questions 2000] [--rounds 5] >> benchmarks/results/evaluation.jsonl
"""

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

os.environ |= {"OMP_WAIT_POLICY": "PASSIVE", "TOKENIZERS_PARALLELISM": "false", "TQDM_DISABLE": "1"}
os.environ |= {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}

VOCABULARY, CONTEXT, BATCH = 16_384, 256, 16
MODEL = {
    "vocab_size": VOCABULARY,
    "hidden_size": 128,
    "intermediate_size": 352,
    "num_hidden_layers": 6,
    "num_attention_heads": 4,
    "max_position_embeddings": CONTEXT,
    "tie_word_embeddings": True,
}
YAML = """\
task: benchmark_choice
dataset_path: json
dataset_kwargs: {data_files: {test: FOLDER/questions.jsonl}}
test_split: test
output_type: multiple_choice
doc_to_text: "{{stem}}"
doc_to_choice: "{{choices}}"
doc_to_target: label
target_delimiter: " "
metric_list: [{metric: acc}, {metric: acc_norm}]
"""


def write(folder: Path, questions: int) -> None:
    """Tokenizer, model and questions."""
    import sysconfig

    import numpy as np
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    sources = [path.read_text("utf-8", "replace") for path in sorted(Path(sysconfig.get_path("stdlib")).glob("*.py"))]
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer, backend.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    end = "<|endoftext|>"
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY, special_tokens=[end], initial_alphabet=alphabet, show_progress=False
    )
    backend.train_from_iterator(sources, trainer)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, bos_token=end, eos_token=end, pad_token=end)
    tokenizer.save_pretrained(folder / "model")
    torch.manual_seed(0)
    LlamaForCausalLM(LlamaConfig(**MODEL, bos_token_id=0, eos_token_id=0)).save_pretrained(folder / "model")
    words, rng = " ".join(sources).split(), np.random.default_rng(1)

    def text(low: int, high: int) -> str:
        """As many words as make a drawn number of tokens."""
        wanted, start = int(rng.integers(low, high + 1)), int(rng.integers(len(words) - 400))
        tokens = tokenizer(" ".join(words[start : start + 400]), add_special_tokens=False)["input_ids"]
        return tokenizer.decode(tokens[:wanted]).strip() or "nothing"

    with (folder / "questions.jsonl").open("w") as stream:
        for _ in range(questions):
            doc = {"stem": text(60, 150), "choices": [text(3, 25) for _ in range(4)], "label": int(rng.integers(4))}
            stream.write(json.dumps(doc) + "\n")
    (folder / "tasks").mkdir()
    (folder / "tasks" / "choice.yaml").write_text(YAML.replace("FOLDER", str(folder)))


def side(name: str, folder: Path, threads: int) -> dict[str, Any]:
    """Run one backend in this process."""
    import lm_eval
    import psutil
    import torch
    from lm_eval.tasks import TaskManager
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.set_num_threads(threads)
    tokenizer = AutoTokenizer.from_pretrained(folder / "model")
    model = AutoModelForCausalLM.from_pretrained(folder / "model", dtype=torch.float32)
    manager = TaskManager(include_path=str(folder / "tasks"), include_defaults=False)
    if name == "hf":
        from lm_eval.models.huggingface import HFLM

        backend: Any = HFLM(pretrained=model, tokenizer=tokenizer, batch_size=BATCH, max_length=CONTEXT)
    else:
        from slipway.evaluation.harness.language_model import LanguageModel
        from slipway.evaluation.harness.library import prepare
        from slipway.evaluation.scoring import Scorer

        prepare()
        backend = LanguageModel(Scorer(model, tokenizer, CONTEXT))
    loaded = psutil.Process().memory_info().rss
    before, started = time.process_time(), time.perf_counter()
    found = lm_eval.simple_evaluate(backend, tasks=["benchmark_choice"], task_manager=manager, bootstrap_iters=0)
    cpu, wall = time.process_time() - before, time.perf_counter() - started
    samples = sorted(found["samples"]["benchmark_choice"], key=lambda one: one["doc_id"])
    scores = [[float(answer[0][0]) for answer in one["resps"]] for one in samples]
    (folder / f"{name}.json").write_text(json.dumps(scores))
    results = found["results"]["benchmark_choice"]
    return {
        "cpu": cpu,
        "wall": wall,
        "process_cpu": time.process_time(),
        "loaded": loaded / 2**20,
        "rss": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "accuracy": [results["acc,none"], results["acc_norm,none"]],
        "versions": {"lm_eval": lm_eval.__version__, "torch": torch.__version__},
    }


def run_side(name: str, folder: Path, threads: int) -> dict[str, Any]:
    command = [sys.executable, __file__, "--side", name, "--folder", str(folder), "--threads", str(threads)]
    environment = os.environ | {"OMP_NUM_THREADS": str(threads), "HF_HOME": str(folder / "cache")}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        raise SystemExit(f"{name} failed:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])  # type: ignore[no-any-return]


def difference(folder: Path) -> float:
    """Largest distance of the two sides' log-likelihoods of a choice, in nats."""
    one, other = (json.loads((folder / f"{name}.json").read_text()) for name in ("ours", "hf"))
    return max(abs(a - b) for x, y in zip(one, other, strict=True) for a, b in zip(x, y, strict=True))


def compare(folder: Path, questions: int, rounds: int, threads: int) -> dict[str, Any]:
    found: dict[str, list[dict[str, Any]]] = {"ours": [], "hf": []}
    distances = []
    for turn in range(rounds):
        for name in ("ours", "hf") if turn % 2 == 0 else ("hf", "ours"):
            found[name].append(run_side(name, folder, threads))
        distances.append(difference(folder))
    result: dict[str, Any] = {}
    for name, runs in found.items():
        speeds = sorted(questions / run["cpu"] for run in runs)
        result[name] = {
            "questions_per_cpu_s": round(statistics.median(speeds), 2),
            "spread": [round(speeds[0], 2), round(speeds[-1], 2)],
            "questions_per_cpu_s_whole_process": round(
                statistics.median(questions / run["process_cpu"] for run in runs), 2
            ),
            "wall_s": round(statistics.median(run["wall"] for run in runs), 1),
            "rss_mib": round(statistics.median(run["rss"] for run in runs)),
            "rss_above_loaded_mib": round(statistics.median(run["rss"] - run["loaded"] for run in runs)),
            "acc, acc_norm": runs[0]["accuracy"],
        }
    pairs = list(zip(found["ours"], found["hf"], strict=True))
    for what, key in (("ours/hf", "cpu"), ("ours/hf whole process", "process_cpu")):
        result[what] = round(statistics.median(hf[key] / ours[key] for ours, hf in pairs), 2)
    result["rss ours/hf"] = round(result["ours"]["rss_mib"] / result["hf"]["rss_mib"], 3)
    result["rss above loaded ours/hf"] = round(
        result["ours"]["rss_above_loaded_mib"] / result["hf"]["rss_above_loaded_mib"], 3
    )
    result["accuracy equal"] = all(ours["accuracy"] == hf["accuracy"] for ours, hf in pairs)
    result["largest difference of log-likelihoods, nats"] = max(distances)
    return result | found["ours"][0]["versions"]


def processor() -> str:
    """The processor's name as the system gives it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--questions", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--side", choices=["ours", "hf"], help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.side:
        print(json.dumps(side(args.side, args.folder, args.threads)))
        return
    with tempfile.TemporaryDirectory() as name:
        write(Path(name), args.questions)
        found = compare(Path(name), args.questions, args.rounds, args.threads)
    about = {"benchmark": "evaluation", "case": f"four choices, {args.questions} questions", "rounds": args.rounds}
    command = f"evaluation.py --questions {args.questions} --rounds {args.rounds} --threads {args.threads}"
    when = {"date": datetime.now(UTC).date().isoformat(), "command": command}
    machine = {"processor": processor(), "cpus": os.cpu_count(), "threads": args.threads}
    print(json.dumps(about | when | found | machine), flush=True)


if __name__ == "__main__":
    main()
