"""validate: the data contract over the raw data; a broken contract stops the build, rows named."""

from pipelines.frame import Frame, run
from slipway.adapters.expectations import judge
from slipway.data import contract
from slipway.errors import UserError
from slipway.files import write_atomic
from slipway.records import ValidateReport


def main(frame: Frame) -> ValidateReport:
    """Measure, judge, write the page either way, and go on only if the contract is kept."""
    path = frame.root / "data" / "raw" / "documents.parquet"
    frame.progress(0, 3, "measuring")
    measured = contract.measure(path)
    frame.progress(1, 3, "judging")
    report = contract.report(measured, judge(measured.rows, measured.sources, frame.settings))
    frame.progress(2, 3, "writing")
    failing = [name for item in report.expectations for name in item.failing_ids]
    write_atomic(frame.root / "reports" / "validate.html", contract.page(report, contract.quotes(path, failing)))
    if not report.passed:
        raise UserError(contract.complaint(report))
    frame.progress(3, 3, f"{len(report.expectations)} expectations met by {report.documents:,} documents")
    return report


if __name__ == "__main__":
    run("validate", main)
