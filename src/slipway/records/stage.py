"""The envelope around a stage's report, and reading it back from `reports/<stage>.json`."""

import json
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from slipway.errors import UserError
from slipway.records.base import Record
from slipway.records.data import AcquireReport, PrepareReport, TokenizeReport, ValidateReport
from slipway.records.evaluation import EvaluateReport
from slipway.records.reports import BundleReport, SafetyReport, ScanReport, TrainReport


class StageRecord(Record):
    """The envelope in `reports/<stage>.json`."""

    stage: str
    slipway: str
    """Version of Slipway."""
    settings: dict[str, Any]
    """The stage's section of the recipe."""
    inputs: dict[str, str]
    """Path to sha256 of every file read from an earlier stage."""
    outputs: dict[str, str]
    """Path to sha256 of every file written."""
    result: dict[str, Any]
    """One of the reports above."""


REPORTS: dict[str, type[Record]] = {
    "acquire": AcquireReport,
    "validate": ValidateReport,
    "prepare": PrepareReport,
    "tokenize": TokenizeReport,
    "train": TrainReport,
    "evaluate": EvaluateReport,
    "safety": SafetyReport,
    "bundle": BundleReport,
    "scan": ScanReport,
}


def read_record(path: str | Path) -> StageRecord:
    """Read `reports/<stage>.json`.

    Raises:
        UserError: if it is missing or not what a stage writes.
    """
    path = Path(path)
    try:
        return StageRecord.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise UserError(f"{path}: no such report; run `slipway build`") from None
    except ValidationError as error:
        raise UserError(f"{path} is not a stage's report ({error.error_count()} faults); rebuild the stage") from None


def read_report(path: str | Path) -> Any:
    """The typed report inside `reports/<stage>.json`; raises as `read_record`."""
    record = read_record(path)
    try:
        return REPORTS[record.stage].model_validate_json(json.dumps(record.result))
    except (KeyError, ValidationError) as error:
        raise UserError(f"{path}: the result is no report of `{record.stage}` ({error}); rebuild the stage") from None
