"""Wiring of `evaluate`: model, its base and held-out data in, report and item table out.

A killed run goes on where it was: finished batches lie in `.slipway/evaluate` until the report is there. Where
`train.devices` asks for several processes, the stage starts them, each runs this file, and they deal out the batches.
"""

import os
import shutil
from pathlib import Path

from pipelines.frame import Frame, run
from slipway import __version__, items
from slipway.chat import check_tokenizer
from slipway.evaluation.documents import read_documents, read_texts
from slipway.evaluation.tasks import file
from slipway.evaluation.tasks.task import Material, digest
from slipway.files import combined, sha256_file
from slipway.model import ranks
from slipway.model.load import load, weights_digest
from slipway.records import EvaluateReport, Measure, TaskReport
from slipway.shards import shards


def _work(root: Path) -> Path:
    return root / ".slipway" / "evaluate"


def _material(frame: Frame) -> Material:
    recipe, root = frame.recipe, frame.root
    clean, made = root / "data/clean", frame.report("tokenize")
    held_out = {path.relative_to(root).as_posix(): sha256_file(path) for path in shards(clean, "test")}
    check_tokenizer(root / "models/tokenizer", made.tokenizer_sha256, made.chat_template_sha256)
    return Material(
        read_documents(clean),
        read_texts(clean),
        recipe.evaluate,
        recipe.seed,
        combined(held_out),
        made.tokenizer_sha256,
    )


def _evaluate(frame: Frame) -> EvaluateReport | None:
    """Evaluate in this process, alone or as one of several; the first returns the report and leaves the item table."""
    import torch

    from slipway.evaluation.beside import Base
    from slipway.evaluation.report import evaluate
    from slipway.evaluation.scoring import Scorer, group
    from slipway.model.device import choose

    recipe, root = frame.recipe, frame.root
    torch.set_num_threads(recipe.train.threads)
    group.join()
    place = choose(recipe.train, int(os.environ.get("LOCAL_RANK", "0"))).place
    # A GPU has no deterministic form of some sums; there it is asked for as far as it goes.
    torch.use_deterministic_algorithms(mode=True, warn_only=place.type != "cpu")
    material, weights = _material(frame), weights_digest(root / "models/trained")
    asked = recipe.evaluate.model_dump(mode="json")
    key = digest([__version__, weights, material.tokenizer_sha256, asked, recipe.seed])

    def scorer(directory: str) -> Scorer:
        model, tokenizer = load(root / "models" / directory, root / "models/tokenizer")
        context, journal = recipe.train.sequence_length, _work(root) / key / directory
        return Scorer(model.to(place), tokenizer, context, journal=journal)

    start = frame.report("acquire").base if frame.report("train").start == "base" else None
    report, rows = evaluate(
        scorer("trained"),
        material,
        weights_sha256=weights,
        files=[
            file.read(root / f"data/tasks/{one.name}.parquet", one.name, one.between) for one in recipe.evaluate.files
        ],
        harness_tasks=root / "tasks",
        base=Base(start.digest, lambda: scorer("base")) if start else None,
        say=frame.progress if ranks.first() else lambda *_: None,
    )
    group.leave()
    if not ranks.first():
        return None
    items.write(rows, root / "reports" / items.NAME)
    return report


def main(frame: Frame) -> EvaluateReport:
    """Measure, keep what was made of every item, and say the figures in one line each."""
    work, devices = _work(frame.root), frame.recipe.train.devices
    # `slipway build --force evaluate` asks for the work, not for what the last time left of it.
    if "SLIPWAY_FORCED" in os.environ:
        shutil.rmtree(work, ignore_errors=True)
    if ranks.wanted(devices):
        report = ranks.launch(devices, work, "pipelines.evaluate", EvaluateReport)
    elif (found := _evaluate(frame)) is not None:
        report = found
    else:
        raise RuntimeError("a process that stands alone left no report")
    shutil.rmtree(work, ignore_errors=True)
    for name, task in report.tasks.items():
        print(_line(name, task), flush=True)
    for name, reason in report.not_run.items():
        print(f"{name} not run: {reason}", flush=True)
    return report


def _line(name: str, task: TaskReport) -> str:
    """A task in one line: figure, interval, references, and what training changed."""
    kind = task.unit
    text = f"{name}: {_said(task.measure, kind)} {kind}{_span(task.measure, kind)}"
    if task.references:
        text += "; " + ", ".join(f"{what} {_said(figure, kind)}" for what, figure in task.references.items())
    if task.base:
        text += f"; base {_said(task.base, kind)}"
    if task.base_difference:
        text += f", model minus base {_said(task.base_difference, kind, '+')}{_span(task.base_difference, kind, '+')}"
    return text


def _said(figure: Measure, unit: str, sign: str = "") -> str:
    return _number(figure.value, unit, sign)


def _span(figure: Measure, unit: str, sign: str = "") -> str:
    if figure.low is None or figure.high is None:
        return ""
    return f" ({_number(figure.low, unit, sign)} to {_number(figure.high, unit, sign)})"


def _number(value: float, unit: str, sign: str) -> str:
    return f"{value:{sign}.1%}" if unit.startswith("share") else f"{value:{sign}.3f}"


if __name__ == "__main__":
    if ranks.inside():
        here = Frame("evaluate", Path.cwd())
        ranks.serve(lambda: _evaluate(here), _work(here.root))
    else:
        run("evaluate", main)
