"""One side of the training benchmarks, in a process of its own: trains some steps and prints what they took.

Every side trains the same architecture from seed 0 on the same tokens with AdamW, a constant batch and clipping at 1.0.
The first `warm` steps are not counted; `cpu` and `wall` are seconds of the others, `rss` the peak of the whole process
(MiB). `useful` tokens are those of documents, `places` also those of filling.

    python benchmarks/train_peers.py --side hf '{...a task, see Task...}'
"""

import argparse
import json
import os
import platform
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import torch

IGNORED = -100


@dataclass(frozen=True)
class Task:
    """What all sides do."""

    folder: str
    """Of `write_stream` or `write_documents`."""
    architecture: dict[str, Any]
    vocabulary: int
    length: int
    batch: int
    warm: int
    steps: int
    threads: int
    mixed: bool = False
    """Documents of mixed length instead of one stream."""
    device: str = "cpu"
    compile: str = "off"


class Clock:
    """Reads the clocks after each step."""

    def __init__(self, task: Task) -> None:
        self._task, self._marks, self.useful, self.places = task, [], 0, 0

    def tick(self, useful: int, places: int) -> None:
        if self._task.device == "cuda":
            torch.cuda.synchronize()
        self._marks.append((time.process_time(), time.perf_counter()))
        if len(self._marks) > self._task.warm:
            self.useful, self.places = self.useful + useful, self.places + places

    def result(self) -> dict[str, Any]:
        (cpu, wall), (cpu_end, wall_end) = self._marks[self._task.warm - 1], self._marks[-1]
        if len(self._marks) != self._task.warm + self._task.steps:
            raise RuntimeError(f"{len(self._marks)} steps were seen, not {self._task.warm + self._task.steps}")
        return {"useful": self.useful, "places": self.places, "cpu": cpu_end - cpu, "wall": wall_end - wall}


def rows_of(task: Task) -> list[list[int]]:
    """Full rows of the stream, or documents, for the peers, as many as they need."""
    tokens = np.memmap(Path(task.folder) / "train-00000.bin", "<u2", mode="r").astype(np.int64)
    needed = task.batch * (task.warm + task.steps)
    if not task.mixed:
        return tokens[: needed * task.length].reshape(-1, task.length).tolist()
    spans = json.loads((Path(task.folder) / "documents.json").read_text())[:needed]
    return [tokens[first:last].tolist() for first, last in spans]


def model_of(task: Task) -> Any:
    from transformers import CONFIG_MAPPING, AutoModelForCausalLM

    values = {key: value for key, value in task.architecture.items() if key != "model_type"}
    kind = CONFIG_MAPPING[task.architecture["model_type"]]
    config = kind(**values, vocab_size=task.vocabulary, max_position_embeddings=task.length, pad_token_id=0)
    torch.manual_seed(0)
    return AutoModelForCausalLM.from_config(config, dtype=torch.float32).train()


def ours(task: Task, clock: Clock) -> dict[str, Any]:
    """Slipway's own run: its data, objective, forward, loss, optimisers and watch; only the verbs of its loop."""
    from slipway.model.device import choose
    from slipway.model.told import Places, Told
    from slipway.model.train import open_run
    from slipway.settings import Train

    settings = Train.model_validate(
        {
            "architecture": task.architecture,
            "objective": {"kind": "pretrain", "document_mask": task.mixed},
            "sequence_length": task.length,
            "batch_size": task.batch,
            "steps": task.warm + task.steps,
            "optimizer": "adamw",
            "learning_rate": 1e-3,
            "validate_every": 1000,
            "patience": 3,
            "checkpoint_every": 1000,
            "threads": task.threads,
            "compile": task.compile,
            "deterministic": task.device == "cpu",
            "devices": {"kind": task.device},
        }
    )
    at = Path(task.folder)
    places = Places(at, at / "no", at / "no", at / "work", at / "ledger", at / "model", at / "log.jsonl")
    run = open_run(settings, 0, places, key="benchmark", device=choose(settings), told=Told())
    swapped = sorted({type(m).__name__ for m in run.model.modules() if "forward" in vars(m)})
    for _ in range(settings.steps):
        learnt = run.state.learnt
        run.advance()
        run.update()
        clock.tick(run.state.learnt - learnt, task.batch * task.length)
    return {"swapped": swapped, "flops_per_token": run.flops.per_token, "loss": run.state.recent[-1]}


def bare(task: Task, clock: Clock) -> dict[str, Any]:
    """What a careful user writes: memory map, the model's own loss, torch's AdamW as it comes."""
    model = model_of(task).to(task.device)
    stream = np.memmap(Path(task.folder) / "train-00000.bin", "<u2", mode="r")
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3)
    size = task.batch * task.length
    for number in range(task.warm + task.steps):
        part = stream[number * size : (number + 1) * size].astype(np.int64)
        rows = torch.from_numpy(part).view(task.batch, task.length).to(task.device)
        loss = model(input_ids=rows, labels=rows, use_cache=False).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad()
        loss.item()
        clock.tick(rows.numel(), rows.numel())
    return {}


def _arguments(task: Task) -> dict[str, Any]:
    return {
        "output_dir": f"{task.folder}/peer",
        "per_device_train_batch_size": task.batch,
        "max_steps": task.warm + task.steps,
        "logging_steps": 1,
        "learning_rate": 1e-3,
        "save_strategy": "no",
        "report_to": [],
        "disable_tqdm": True,
        "use_cpu": task.device == "cpu",
        "bf16": task.device == "cuda",
    }


def _callback(clock: Clock, sizes: list[tuple[int, int]]) -> Any:
    from transformers import TrainerCallback

    class Ticks(TrainerCallback):
        def on_step_end(self, *_: Any, **__: Any) -> None:
            clock.tick(*sizes.pop(0))

    return Ticks()


def hf(task: Task, clock: Clock) -> dict[str, Any]:
    """Trainer of transformers with its defaults, logging every step; rows padded to the longest of the batch."""
    from transformers import Trainer, TrainingArguments

    sizes: list[tuple[int, int]] = []

    def collate(rows: list[dict[str, list[int]]]) -> dict[str, torch.Tensor]:
        lengths = torch.tensor([len(row["input_ids"]) for row in rows])
        there = torch.arange(int(lengths.max()))[None] < lengths[:, None]
        ids = torch.zeros(there.shape, dtype=torch.int64)
        ids[there] = torch.tensor([token for row in rows for token in row["input_ids"]])
        sizes.append((int(there.sum()), there.numel()))
        labels = ids.masked_fill(~there, IGNORED)
        padded = {"attention_mask": there.long()} if task.mixed else {}
        return {"input_ids": ids, "labels": labels, **padded}

    data = [{"input_ids": row} for row in rows_of(task)]
    arguments = TrainingArguments(**_arguments(task))
    callbacks = [_callback(clock, sizes)]
    Trainer(model_of(task), arguments, collate, data, callbacks=callbacks).train()  # type: ignore[arg-type]
    return {}


def trl(task: Task, clock: Clock) -> dict[str, Any]:
    """SFTTrainer of TRL with packing; on a GPU with Liger's kernels."""
    from datasets import Dataset
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast
    from trl import SFTConfig, SFTTrainer

    names = [f"t{i}" for i in range(task.vocabulary)]
    words = Tokenizer(models.WordLevel({name: i for i, name in enumerate(names)}, unk_token=names[0]))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, eos_token=names[0], pad_token=names[0])
    more: dict[str, Any] = {"use_liger_kernel": True} if task.device == "cuda" else {"bf16": False}
    common = _arguments(task) | {"packing": True, "packing_strategy": "wrapped", "max_length": task.length}
    common |= {"gradient_checkpointing": False} | more
    size = task.batch * task.length
    ticks = _callback(clock, [(size, size)] * (task.warm + task.steps))
    data = Dataset.from_dict({"input_ids": rows_of(task)})
    arguments = SFTConfig(**common)
    SFTTrainer(model_of(task), arguments, train_dataset=data, processing_class=tokenizer, callbacks=[ticks]).train()
    from importlib.metadata import version

    return {"trl": version("trl")}


SIDES = {"ours": ours, "bare": bare, "hf": hf, "trl": trl}


def peak_memory() -> float:
    """Largest resident size of this process so far, MiB."""
    import resource

    found = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return found / (2**20 if platform.system() == "Darwin" else 2**10)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", choices=SIDES, required=True)
    parser.add_argument("task", help="JSON of Task")
    args = parser.parse_args()
    task = Task(**json.loads(args.task))
    torch.set_num_threads(task.threads)
    clock, out, sys.stdout = Clock(task), sys.stdout, sys.stderr  # trainers print their logs
    more = SIDES[args.side](task, clock)
    memory = torch.cuda.max_memory_allocated() / 2**20 if task.device == "cuda" else peak_memory()
    versions = {"torch": torch.__version__, "transformers": __import__("transformers").__version__}
    print(json.dumps(clock.result() | {"rss": memory, **versions, **more, "task": asdict(task)}), file=out)


if __name__ == "__main__":
    main()
