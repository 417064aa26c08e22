"""validate: the data contract over the raw data; a broken contract stops the build, rows named."""

from pipelines.frame import Frame, run
from slipway.adapters.expectations import judge
from slipway.data import contract
from slipway.errors import UserError
from slipway.files import write_atomic
from slipway.records import ValidateReport


def main(frame: Frame) -> ValidateReport:
    """Measure, judge, write page and rows either way, and go on only if the contract is kept."""
    settings, reports = frame.settings, frame.root / "reports"
    lines = contract.suite(settings, contract.own(frame.root / "expectations"))
    baseline = contract.baseline(frame.root / "data" / "baseline" / "validate.json", settings.baseline)
    columns = contract.shard_columns(frame.root / "data" / "raw")
    if any(found != contract.columns_in_words() for found in columns.values()):
        shape = [line for line in lines if line.table == "shards"]
        answers = judge({"shards": contract.shard_table(columns)}, shape)
        raise contract.broken_shape(lines, columns, answers[shape[0].name])
    frame.progress(0, 3, "measuring")
    with contract.opened(list(columns)) as database:
        measured = contract.measure(database, lines, settings, baseline)
        rows = contract.write_rows(database, reports / "validate_rows.parquet", lines)
        frame.progress(1, 3, "judging")
        answers = judge(
            contract.tables(columns, measured), [line for line in lines if line.name not in measured.not_run]
        )
        report = contract.report(lines, measured, answers, rows)
        frame.progress(2, 3, "writing")
        quoted = contract.quotes(database, [name for item in report.expectations for name in item.failing_ids])
    write_atomic(reports / "validate.html", contract.page(report, lines, quoted, baseline))
    if not report.passed:
        raise UserError(contract.complaint(report, lines))
    met = sum(item.passed for item in report.expectations)
    frame.progress(3, 3, f"{met} expectations met by {report.documents:,} documents, {len(lines) - met} not run")
    return report


if __name__ == "__main__":
    run("validate", main)
