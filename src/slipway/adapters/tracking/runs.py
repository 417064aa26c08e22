"""One MLflow run per build: the recipe as parameters, the curve, figures, data sets, reports and plots."""

import json
import os
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from slipway.adapters.tracking.client import DIGEST, client, experiment, flat, named
from slipway.adapters.tracking.sink import BATCH
from slipway.errors import UserError
from slipway.files import combined, sha256_file, write_atomic
from slipway.records import EvaluateReport, LedgerReport, Measure, Record, read_record, read_report

OWNER = "slipway.owner"
KEPT = Path(".slipway", "runs")
"""Which run built a bundle, in the project: a tag in MLflow is for people, and anybody there can set one."""
LARGEST_ARTIFACT = 16 << 20
"""Bytes; larger files are in DVC and in the store already."""


class BuiltBy(Record):
    """The run that built a bundle, as the build itself wrote it down."""

    name: str
    """Of the experiment."""
    run_id: str


def _flat(values: Any, path: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(values, Mapping) and values:
        for key, value in values.items():
            yield from _flat(value, f"{path}.{key}" if path else str(key))
    else:
        yield path, values if isinstance(values, str) else json.dumps(values)


def start_build_run(root: Path, name: str, recipe: Mapping[str, Any]) -> str:
    """Open a run in the experiment `name` with the recipe, flattened, as its parameters; returns the run's id.

    Runs that killed builds on this machine left open are closed as killed.
    """
    from mlflow.entities import Param

    mlflow = client(root)
    experiment_id = experiment(mlflow, root, name)
    _close_orphans(mlflow, experiment_id)
    tags = {OWNER: f"{socket.gethostname()} {os.getpid()}"}
    run_id = mlflow.create_run(experiment_id, tags=tags, run_name=f"build {name}").info.run_id
    params = [Param(key, value[:6000]) for key, value in _flat(recipe)]
    for start in range(0, len(params), 100):
        mlflow.log_batch(run_id, params=params[start : start + 100])
    return run_id


def _close_orphans(mlflow: Any, experiment_id: str) -> None:
    import psutil

    for run in mlflow.search_runs([experiment_id], filter_string="attributes.status = 'RUNNING'"):
        host, _, pid = run.data.tags.get(OWNER, "").rpartition(" ")
        if host == socket.gethostname() and pid.isdecimal() and not psutil.pid_exists(int(pid)):
            mlflow.set_terminated(run.info.run_id, "KILLED")


def finish_build_run(
    root: Path, run_id: str, cached: Sequence[str], spent: LedgerReport, *, pages: Mapping[str, str]
) -> None:
    """Complete a run from the reports of a finished build, and close it.

    Args:
        root: the project.
        run_id: from `start_build_run`.
        cached: stages that did not run; if `train` is one, its curve is taken from its log.
        spent: what training cost.
        pages: name -> text of further files to keep with the run.
    """
    from mlflow.entities import Metric

    mlflow, now = client(root), int(time.time() * 1000)
    figures = _figures(root / "reports") | _ledger_figures(spent)
    metrics = [Metric(key, value, now, 0) for key, value in sorted(figures.items())]
    if "train" in cached:
        metrics += [Metric(key, value, now, step) for key, value, step in _curve(root / "reports" / "train_log.jsonl")]
    for start in range(0, len(metrics), BATCH):
        mlflow.log_batch(run_id, metrics=metrics[start : start + BATCH])
    mlflow.log_inputs(run_id, datasets=_data_sets(root / "reports"))
    for path in sorted((root / "reports").glob("*")):
        _log_file(mlflow, run_id, path, "reports")
    for pattern in ("report.html", "README.md", "**/*.png", "**/*.svg"):
        for path in sorted((root / "bundle").glob(pattern)):
            _log_file(mlflow, run_id, path, "bundle")
    for name, text in pages.items():
        mlflow.log_text(run_id, text, name)
    mlflow.set_tag(run_id, "slipway.cached", ", ".join(cached))
    digest = sha256_file(root / "bundle" / "manifest.json")
    mlflow.set_tag(run_id, DIGEST, digest)
    mlflow.set_terminated(run_id, "FINISHED")
    name = mlflow.get_experiment(mlflow.get_run(run_id).info.experiment_id).name
    write_atomic(root / KEPT / f"{digest}.json", BuiltBy(name=name, run_id=run_id).to_json())


def fail_build_run(root: Path, run_id: str) -> None:
    """Close the run of a build that did not finish; what was logged live stays in it."""
    client(root).set_terminated(run_id, "FAILED")


def _log_file(mlflow: Any, run_id: str, path: Path, folder: str) -> None:
    if path.is_file() and path.stat().st_size <= LARGEST_ARTIFACT:
        mlflow.log_artifact(run_id, str(path), folder)


def _curve(log: Path) -> Iterator[tuple[str, float, int]]:
    for line in log.read_text("utf-8").splitlines():
        entry = json.loads(line)
        step = entry.pop("step")
        yield from ((key, float(value), step) for key, value in entry.items() if value is not None)


def _figures(reports: Path) -> dict[str, float]:
    """The figures of a build that one compares between runs; what was not measured is left out."""
    train, evaluate, safety = (read_report(reports / f"{stage}.json") for stage in ("train", "evaluate", "safety"))
    found = {
        "final.parameters": train.parameters,
        "final.trained_parameters": train.trained_parameters,
        "final.steps": train.steps,
        "final.tokens_seen": train.tokens_seen,
        "final.tokens_learnt": train.tokens_learnt,
        "final.flops": train.flops,
        "final.train_loss": train.train_loss,
        "final.validation_loss": train.validation_loss,
        "final.gap": train.gap,
        "final.validation_bits_per_byte": train.validation_bits_per_byte,
        "final.merge_error": train.merge_error,
    }
    found |= _data_figures(reports)
    measures = _task_measures(evaluate)
    for name, probe in safety.probes.items():
        measures |= {f"safety.{name}.{key}": value for key, value in probe.measures.items()}
    for name, measure in measures.items():
        found |= flat(name, measure)
    return {name: float(value) for name, value in found.items() if value is not None}


def _task_measures(evaluate: EvaluateReport) -> dict[str, Measure]:
    """Of every task `test.<task>`, what it is held against, its further figures, the base and the difference to it."""
    found: dict[str, Measure] = {}
    for name, task in evaluate.tasks.items():
        found[f"test.{name}"] = task.measure
        found |= {f"test.{name}.reference.{key}": measure for key, measure in task.references.items()}
        found |= {f"test.{name}.{key}": measure for key, measure in task.metrics.items()}
        more = {"base": task.base, "base_difference": task.base_difference}
        more["calibration_error"] = task.calibration.expected_error if task.calibration else None
        found |= {f"test.{name}.{key}": measure for key, measure in more.items() if measure is not None}
    return found


def _ledger_figures(spent: LedgerReport) -> dict[str, float]:
    """Sums over this run and over all, as `ledger.this_run.tokens`; what is not known is left out."""
    totals = {"this_run": spent.this_run, "all_runs": spent.all_runs}
    return {
        f"ledger.{whose}.{name}": float(value)
        for whose, total in totals.items()
        for name, value in total.model_dump().items()
        if isinstance(value, int | float)
    }


def _data_figures(reports: Path) -> dict[str, float]:
    """What cleaning took away and what it could not: documents by split and reject reason, contamination left."""
    prepare = read_report(reports / "prepare.json")
    found = {f"data.documents.{split}": count for split, count in prepare.splits.items()}
    found |= {f"data.rejected.{named(name)}": n for name, n in prepare.rejects.items()}
    return found | {f"data.contamination_left.{name}": share for name, share in prepare.contamination.residual.items()}


def _data_sets(reports: Path) -> list[Any]:
    """The splits, by the digests that their stage recorded; nothing is read again."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    record = read_record(reports / "prepare.json")
    counts = record.result["splits"]
    found = []
    for split in ("train", "validation", "test"):
        path = f"data/clean/{split}"
        shards = {name: digest for name, digest in record.outputs.items() if name.startswith(f"{path}-")}
        digest = combined(shards)
        data_set = Dataset(
            name=path,
            digest=digest[:32],  # MLflow takes 36 characters at most; the profile has all 64
            source_type="local",
            source=json.dumps({"uri": f"{path}-*.parquet"}),
            profile=json.dumps({"documents": counts[split], "shards": len(shards), "sha256": digest}),
        )
        found.append(DatasetInput(data_set, [InputTag("mlflow.data.context", split)]))
    return found


def find_run(root: Path, name: str, digest: str) -> str | None:
    """Id of the newest finished run of this project that built the bundle `digest`; None if MLflow has none such.

    Which one it is, the build wrote down in the project. A run that says so of itself in MLflow is not believed: it
    would stand in the signed statement.

    Raises:
        UserError: if what was written down was altered.
    """
    from mlflow.exceptions import MlflowException

    place = root / KEPT / f"{digest}.json"
    if not place.is_file():
        return None  # built elsewhere, or without tracking
    try:
        built = BuiltBy.model_validate_json(place.read_bytes())
    except ValidationError:
        raise UserError(f"{place}: not what a build wrote; remove it, then the release names no run") from None
    if built.name != name:
        return None
    try:
        info = client(root).get_run(built.run_id).info
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return None  # another tracker is set now, or the run was deleted
        raise
    return built.run_id if (info.status, info.lifecycle_stage) == ("FINISHED", "active") else None
