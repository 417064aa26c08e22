"""What a bundle is made of: the recipe, the records of the stages before it, and where the weights lie."""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from slipway.errors import UserError
from slipway.recipe import Recipe
from slipway.records import (
    REPORTS,
    AcquireReport,
    EvaluateReport,
    PrepareReport,
    Record,
    SafetyReport,
    StageRecord,
    TokenizeReport,
    TrainReport,
    ValidateReport,
    read_record,
    read_report,
)

STAGES = ("acquire", "validate", "prepare", "tokenize", "train", "evaluate", "safety")


@dataclass(frozen=True)
class Point:
    """One line of the training log: step, losses in the unit of the objective, learning rate."""

    step: int
    loss: float
    validation_loss: float | None
    learning_rate: float | None = None


@dataclass(frozen=True, eq=False)
class Material:
    """Everything the documents are projections of. Equal only to itself, so that what is derived can be kept."""

    root: Path
    recipe: Recipe
    records: dict[str, StageRecord]
    reports: dict[str, Record]
    curve: tuple[Point, ...]

    @cached_property
    def architecture(self) -> dict[str, Any]:
        """`config.json` of the trained model."""
        return json.loads((self.root / "models/trained/config.json").read_text("utf-8"))

    def _report(self, stage: str) -> Any:
        return self.reports[stage]

    @property
    def acquire(self) -> AcquireReport:
        return self._report("acquire")

    @property
    def contract(self) -> ValidateReport:
        return self._report("validate")

    @property
    def prepare(self) -> PrepareReport:
        return self._report("prepare")

    @property
    def tokenize(self) -> TokenizeReport:
        return self._report("tokenize")

    @property
    def train(self) -> TrainReport:
        return self._report("train")

    @property
    def evaluate(self) -> EvaluateReport:
        return self._report("evaluate")

    @property
    def safety(self) -> SafetyReport:
        return self._report("safety")


def _curve(path: Path) -> tuple[Point, ...]:
    points = []
    for index, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        try:
            entry = json.loads(line)
            points.append(Point(entry["step"], entry["loss"], entry["validation_loss"], entry.get("learning_rate")))
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"{path}, line {index}: not a line of a training log ({error!r}); rebuild `train`"
            ) from None
    return tuple(points)


def load(root: str | Path, recipe: Recipe) -> Material:
    """Read the records below `root`/reports.

    Raises:
        UserError: if a report is missing, is of another stage, or cannot be read.
    """
    root = Path(root)
    records, reports = {}, {}
    for stage in STAGES:
        path = root / "reports" / f"{stage}.json"
        records[stage], reports[stage] = read_record(path), read_report(path)
        if not isinstance(reports[stage], REPORTS[stage]):
            raise UserError(f"{path}: is the report of {records[stage].stage}, not of {stage}; rebuild {stage}")
    return Material(root, recipe, records, reports, _curve(root / "reports/train_log.jsonl"))
