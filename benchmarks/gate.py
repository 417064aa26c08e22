"""How often the gate is wrong: the same model twice, an injected loss, and its verdicts beside a reference in scipy.

    python benchmarks/gate.py                     # 200 trials of each; about five minutes on one core
    python benchmarks/gate.py --trials 20

Every trial goes through the gate's own code (`slipway.release.gate.comparing.lines`). Items are answers of right or
wrong in families of one to five, or documents in bits; a model is a chance per item, and a run is a draw from it. The
reference is `gate_reference.py`, which imports nothing of Slipway and reads the same parquet files.

One JSON line on stdout for each case; docs/gate.md says what they mean.
"""

import argparse
import datetime as dt
import json
import os
import platform
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow.parquet as pq

sys.path.insert(0, str(Path(__file__).parent))
from gate_reference import verdicts  # type: ignore[import-not-found]

from slipway import items
from slipway.items import Item
from slipway.records import Comparable, EvaluateReport, GateLine, Measure, TaskReport
from slipway.release.gate import overall
from slipway.release.gate.champion import Champion
from slipway.release.gate.comparing import RESAMPLES, Measured, lines
from slipway.settings import Gate, NonInferiority

ITEMS = 1000
Better = dict[str, Literal["lower", "higher"]]
"""Task to which way is better."""
IDENTITY = Comparable(
    harness="benchmark", task="-", prompt="-", few_shot="none", decoding="likelihood", tokenizer="-",
    chat_template="none", data="-",
)  # fmt: skip
NUMBER = Measure(value=0.0, low=None, high=None, n=1, method="not judged here")


def families(rng: np.random.Generator, count: int) -> list[str]:
    """Names of families of one to five items."""
    sizes = rng.integers(1, 6, count)
    return [f"family-{index:05d}" for index in np.repeat(np.arange(count), sizes)[:count]]


def answers(task: str, names: list[str], right: np.ndarray) -> list[Item]:
    """A row for each answer of right or wrong."""
    return [
        Item(task, "model", f"q{index}", name, prompt_sha256=f"{index}", value=float(one), weight=1.0)
        for index, (name, one) in enumerate(zip(names, right, strict=True))
    ]


def documents(task: str, names: list[str], sizes: np.ndarray, bits: np.ndarray) -> list[Item]:
    """A row for each document of `sizes` bytes."""
    return [
        Item(task, "model", f"d{index}", name, prompt_sha256=f"{index}", value=float(size * one), weight=float(size))
        for index, (name, size, one) in enumerate(zip(names, sizes, bits, strict=True))
    ]


def report(tasks: Better) -> EvaluateReport:
    """A report that names the tasks and which way is better; the gate takes its figures from the items."""
    return EvaluateReport(
        weights_sha256="-", test_sha256="-", test_documents=1, test_bytes=1, samples=(),
        tasks={
            name: TaskReport(
                measure=NUMBER, unit="share right", better=better, definition="-", identity=IDENTITY, references={}
            )
            for name, better in tasks.items()
        },
    )  # fmt: skip


def judged(tasks: Better, ours: list[Item], theirs: list[Item], margin: float, scratch: Path) -> list[GateLine]:
    """The lines of the gate about two item tables, written to parquet and read back."""
    tables = {}
    for name, rows in (("ours", ours), ("theirs", theirs)):
        items.write(rows, scratch / f"{name}.parquet")
        tables[name] = pq.read_table(scratch / f"{name}.parquet")
    comparisons = tuple(NonInferiority(task=task, against="champion", margin=margin, reason="-") for task in tasks)
    other = Champion("before v1", "00" * 32, report(tasks), tables["theirs"])
    return lines(Gate(comparisons=comparisons), Measured(report(tasks), tables["ours"]), other, seed=17)


Pair = tuple[list[Item], list[Item]]


def same_bytes(rng: np.random.Generator) -> Pair:
    """One model, and 1,000 items drawn anew with replacement from 3,000: nothing differs."""
    pool = rng.random(3000) < 0.6
    right, names = pool[rng.integers(0, 3000, ITEMS)], families(rng, ITEMS)
    return answers("t", names, right), answers("t", names, right)


def same_model(rng: np.random.Generator, loss: float = 0.0, tasks: int = 1) -> Pair:
    """Two runs of a model that is sure of most items; the second loses `loss` of the share right on average."""
    ours: list[Item] = []
    theirs: list[Item] = []
    for number in range(tasks):
        names, sure = families(rng, ITEMS), rng.beta(0.3, 0.2, ITEMS)
        worse = sure * (1 - loss / sure.mean())
        ours += answers(f"t{number}" if tasks > 1 else "t", names, rng.random(ITEMS) < worse)
        theirs += answers(f"t{number}" if tasks > 1 else "t", names, rng.random(ITEMS) < sure)
    return ours, theirs


def exact_loss(rng: np.random.Generator) -> Pair:
    """The same answers but for 20 of 1,000, which the model now gets wrong."""
    right, names = rng.random(ITEMS) < 0.6, families(rng, ITEMS)
    worse = right.copy()
    worse[rng.choice(np.flatnonzero(right), ITEMS // 50, replace=False)] = False
    return answers("t", names, worse), answers("t", names, right)


def same_text(rng: np.random.Generator) -> Pair:
    """Two trainings of one recipe on 1,000 documents: bits per byte that differ by luck."""
    names, sizes = families(rng, ITEMS), rng.integers(50, 3000, ITEMS).astype(float)
    hard = rng.normal(1.5, 0.3, ITEMS)
    runs = [documents("t", names, sizes, hard + rng.normal(0, 0.05, ITEMS)) for _ in range(2)]
    return runs[0], runs[1]


REFERENCE = "verdicts beside scipy"
CASES: dict[str, tuple[Callable[[np.random.Generator], Pair], float, str]] = {
    "A/A, the same answers": (same_bytes, 0.02, "blocked <= 5 %"),
    "A/A, two runs with sampling noise": (same_model, 0.02, "blocked <= 5 %"),
    "A/A, two runs, margin 0": (same_model, 0.0, "blocked <= 5 %"),
    "A/A, two runs, five tasks": (lambda rng: same_model(rng, tasks=5), 0.0, "blocked <= 5 %"),
    "A/A, two trainings, bits per byte": (same_text, 0.02, "blocked <= 5 %"),
    "loss of exactly 2 points": (exact_loss, 0.01, "passed <= 5 %"),
    "loss of 2 points and sampling noise": (lambda rng: same_model(rng, loss=0.02), 0.01, "passed <= 5 %"),
    "loss of 2 points at a margin of 2 points": (lambda rng: same_model(rng, loss=0.02), 0.02, "passed <= 5 %"),
}


def rates(name: str, trials: int, scratch: Path) -> dict[str, object]:
    """Verdicts over the trials of a case; several tasks count as one release."""
    made, margin, reach = CASES[name]
    counted: Counter[str] = Counter()
    started = time.process_time()
    for trial in range(trials):
        ours, theirs = made(np.random.default_rng([trial, *name.encode()]))
        better: Literal["lower", "higher"] = "lower" if ours[0].weight != 1 else "higher"
        found = judged({row.task: better for row in ours}, ours, theirs, margin, scratch)
        counted[overall(found)] += 1
    return {
        "case": name, "trials": trials, "items": ITEMS, "margin": margin, "reach": reach,
        **{verdict: round(counted[verdict] / trials, 4) for verdict in ("GO", "NO-GO", "INCONCLUSIVE")},
        "cpu_seconds_per_release": round((time.process_time() - started) / trials, 3),
    }  # fmt: skip


def mixed(trials: int) -> Iterator[tuple[Pair, float]]:
    """Pairs of tables from far apart to equal, three tasks each, many of them near the margin."""
    for trial in range(trials):
        rng = np.random.default_rng([77, trial])
        margin = float(rng.choice([0.0, 0.01, 0.05]))
        count = int(rng.choice([40, 200, 1000]))
        names, sizes = families(rng, count), rng.integers(50, 3000, count).astype(float)
        hard, sure = rng.normal(1.5, 0.3, count), rng.beta(0.3, 0.2, count)
        drift = float(rng.choice([0.0, -margin, -2 * margin - 0.01, 0.02]))
        few = rng.random(count) < 0.6
        changed = few ^ (rng.random(count) < 0.01)
        ours = [
            *documents("a", names, sizes, hard - drift + rng.normal(0, 0.05, count)),
            *answers("b", names, rng.random(count) < np.clip(sure + drift, 0, 1)), *answers("c", names, changed),
        ]  # fmt: skip
        theirs = [
            *documents("a", names, sizes, hard), *answers("b", names, rng.random(count) < sure),
            *answers("c", names, few),
        ]  # fmt: skip
        yield (ours, theirs), margin


def beside_reference(trials: int, scratch: Path) -> dict[str, object]:
    """How many verdicts, of all and of each kind, are those of the reference."""
    tasks: Better = {"a": "lower", "b": "higher", "c": "higher"}
    equal: Counter[str] = Counter()
    by_theory, total = 0, 0
    for (ours, theirs), margin in mixed(trials):
        found = [line.verdict for line in judged(tasks, ours, theirs, margin, scratch)]
        files = scratch / "ours.parquet", scratch / "theirs.parquet"
        expected, theory = verdicts(*files, tasks, margin, seed=17, resamples=RESAMPLES)
        equal.update(one for one, other in zip(found, expected, strict=True) if one == other)
        by_theory += sum(one == other for one, other in zip(found, theory, strict=True))
        total += len(found)
    return {
        "case": REFERENCE, "verdicts": total, "reach": "equal", "equal": sum(equal.values()),
        "equal_by_kind": dict(sorted(equal.items())), "equal_to_normal_theory": round(by_theory / total, 4),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--only", default="", help="cases whose name begins so: A/A, loss, verdicts")
    given = parser.parse_args()
    about: dict[str, object] = {
        "benchmark": "gate",
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "command": "gate.py",
    }
    about |= {"processor": platform.processor() or platform.machine(), "cpus": os.cpu_count()}
    with tempfile.TemporaryDirectory() as scratch:
        for name in CASES:
            if name.startswith(given.only):
                print(json.dumps(about | rates(name, given.trials, Path(scratch))), flush=True)
        if REFERENCE.startswith(given.only):
            print(json.dumps(about | beside_reference(given.trials // 2, Path(scratch))), flush=True)


if __name__ == "__main__":
    main()
