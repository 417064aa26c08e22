"""What the rooms hand on: typed records with a JSON round trip, `from_json(to_json(x)) == x`.

Every stage leaves one `StageRecord` in `reports/<stage>.json`. Its `result` is one of the reports below;
documents (cards, report page, bill of materials, provenance, gate) are projections of these records and
hold no number of their own. Nothing that varies from run to run (times, hosts, run ids) is in a record.
A quantity that was not measured is `None` or "not run", never 0. The ledger, which does vary, is no stage's report.
"""

from slipway.records.base import Measure, Record
from slipway.records.data import (
    AcquireReport,
    BaseRecord,
    Contamination,
    ContaminationHit,
    Expectation,
    Obligation,
    PrepareReport,
    Similarity,
    SourceRecord,
    TaskRecord,
    TokenizeReport,
    ValidateReport,
)
from slipway.records.ledger import AttemptRecord, LedgerReport, LedgerTotal, project_ledger, read_ledger
from slipway.records.reports import (
    BaseComparison,
    BundleReport,
    ChoiceReport,
    EvaluateReport,
    Finding,
    Probe,
    SafetyReport,
    ScanReport,
    TrainReport,
)
from slipway.records.stage import REPORTS, StageRecord, read_record, read_report

__all__ = [
    "REPORTS",
    "AcquireReport",
    "AttemptRecord",
    "BaseComparison",
    "BaseRecord",
    "BundleReport",
    "ChoiceReport",
    "Contamination",
    "ContaminationHit",
    "EvaluateReport",
    "Expectation",
    "Finding",
    "LedgerReport",
    "LedgerTotal",
    "Measure",
    "Obligation",
    "PrepareReport",
    "Probe",
    "Record",
    "SafetyReport",
    "ScanReport",
    "Similarity",
    "SourceRecord",
    "StageRecord",
    "TaskRecord",
    "TokenizeReport",
    "TrainReport",
    "ValidateReport",
    "project_ledger",
    "read_ledger",
    "read_record",
    "read_report",
]
