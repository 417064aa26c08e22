"""What the rooms hand on: typed records with a JSON round trip, `from_json(to_json(x)) == x`.

Every stage leaves one `StageRecord` in `reports/<stage>.json`. Its `result` is one of the reports below;
documents (cards, report page, bill of materials, provenance, gate) are projections of these records and
hold no number of their own. Nothing that varies from run to run (times, hosts, run ids) is in a record.
A quantity that was not measured is `None` or "not run", never 0. The ledger, which does vary, is no stage's report.
"""

from slipway.records.audit import AuditFinding, AuditReport
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
from slipway.records.evaluation import (
    BaseComparison,
    Calibration,
    CalibrationBin,
    Comparable,
    EvaluateReport,
    Sample,
    TaskReport,
    WorstItem,
)
from slipway.records.gate import GateLine, GateVerdict, Tier, Verdict
from slipway.records.incident import Incident, IncidentKind, Look, OpenIncident, Watch
from slipway.records.ledger import AttemptRecord, LedgerReport, LedgerTotal, project_ledger, read_ledger
from slipway.records.openness import OpennessComponent, OpennessLine, OpennessReport
from slipway.records.reports import (
    BundleReport,
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
    "AuditFinding",
    "AuditReport",
    "BaseComparison",
    "BaseRecord",
    "BundleReport",
    "Calibration",
    "CalibrationBin",
    "Comparable",
    "Contamination",
    "ContaminationHit",
    "EvaluateReport",
    "Expectation",
    "Finding",
    "GateLine",
    "GateVerdict",
    "Incident",
    "IncidentKind",
    "LedgerReport",
    "LedgerTotal",
    "Look",
    "Measure",
    "Obligation",
    "OpenIncident",
    "OpennessComponent",
    "OpennessLine",
    "OpennessReport",
    "PrepareReport",
    "Probe",
    "Record",
    "SafetyReport",
    "Sample",
    "ScanReport",
    "Similarity",
    "SourceRecord",
    "StageRecord",
    "TaskRecord",
    "TaskReport",
    "Tier",
    "TokenizeReport",
    "TrainReport",
    "ValidateReport",
    "Verdict",
    "Watch",
    "WorstItem",
    "project_ledger",
    "read_ledger",
    "read_record",
    "read_report",
]
