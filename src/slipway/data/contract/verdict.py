"""The tables that the judge gets, and its verdict as a record and as a message."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from slipway.data.contract.line import Line, percent
from slipway.data.contract.measure import Measured
from slipway.errors import UserError
from slipway.records import Expectation, ValidateReport


class Answer(Protocol):
    """What the judge says to one line."""

    @property
    def met(self) -> bool: ...
    @property
    def crashed(self) -> str | None: ...


def shard_table(columns: Mapping[Path, str]) -> dict[str, list[Any]]:
    """One row per shard."""
    return {"shard": [path.name for path in columns], "columns": list(columns.values())}


def tables(columns: Mapping[Path, str], measured: Measured) -> dict[str, dict[str, list[Any]]]:
    """`shards`: one row per shard; `facts` and `checks`: one row, one column per figure or line."""
    return {
        "shards": shard_table(columns),
        "facts": {name: [value] for name, value in measured.facts.items()},
        "checks": {name: [share] for name, share in measured.shares.items()},
    }


def report(
    lines: Sequence[Line], measured: Measured, answers: Mapping[str, Answer], rows: Mapping[str, tuple[str, ...]]
) -> ValidateReport:
    """The record; `rows` maps lines to the first ids that break them.

    `passed` only if every line that was run is met, and there is at least one.
    """
    expectations = tuple(_expectation(line, measured, answers, rows) for line in lines)
    ran = [item for item in expectations if item.status != "not run"]
    return ValidateReport(
        passed=bool(ran) and all(item.passed for item in ran),
        documents=measured.documents,
        expectations=expectations,
        statistics=measured.statistics,
        length_histogram=measured.length_histogram,
        characters_by_source=measured.characters_by_source,
        documents_by_licence=measured.documents_by_licence,
        characters_by_language=measured.characters_by_language,
        language_method=measured.languages.method,
        documents_by_label=measured.documents_by_label,
        baseline_sha256=measured.baseline.sha256 if measured.baseline else None,
        drift=measured.drift,
    )


def _expectation(
    line: Line, measured: Measured, answers: Mapping[str, Answer], rows: Mapping[str, tuple[str, ...]]
) -> Expectation:
    common: dict[str, Any] = {"name": line.name, "column": line.column, "bound": line.bound}
    if reason := measured.not_run.get(line.name):
        return Expectation(**common, status="not run", observed=reason, failing_ids=(), failing=0)
    answer = answers[line.name]
    failing = measured.failing.get(line.name, 0)
    observed = f"the check itself failed: {answer.crashed}" if answer.crashed else _observed(line, measured, failing)
    return Expectation(
        **common,
        status="met" if answer.met else "not met",
        observed=observed,
        failing_ids=rows.get(line.name, ()),
        failing=failing,
    )


def _observed(line: Line, measured: Measured, failing: int) -> str:
    if line.table == "shards":
        return "the same in every shard" if not failing else f"others in {failing:,} shards"
    if line.table == "checks":
        share = measured.shares[line.name]
        of = measured.languages.told if line.marks == "language" else measured.documents
        return f"{failing:,} of {of:,} outside ({percent(share or 0)})"
    value = measured.facts[line.figure]
    if value is None:
        return "null"
    said = f"{value:,.0f}" if float(value).is_integer() else f"{value:.4g}"
    if line.figure in ("share_of_largest_source", "share_of_largest_class", "share_of_smallest_class"):
        counts = measured.documents_by_label if "class" in line.figure else measured.characters_by_source
        pick = min if "smallest" in line.figure else max
        return f"{percent(value)} ({pick(counts, key=lambda name: counts[name])})"
    return said


def broken_shape(lines: Sequence[Line], columns: Mapping[Path, str], answer: Answer) -> UserError:
    """The message when shards lack the columns of a document, so that nothing else can be asked."""
    line = next(line for line in lines if line.table == "shards")
    odd = [f"    {path.name}: {found}" for path, found in columns.items() if found not in (line.allowed or ())]
    said = [f"    {answer.crashed}"] if answer.crashed else []
    return UserError(
        "\n".join(
            [
                f"the raw data breaks its contract, and nothing else could be asked of it:\n  {line.name}: expected",
                f"    {(line.allowed or ('',))[0]}",
                "  observed",
                *odd[:20],
                *said,
                f"    {line.remedy}",
            ]
        )
    )


def complaint(verdict: ValidateReport, lines: Sequence[Line]) -> str:
    """One message that names every expectation not met, what was observed, rows that fail it, and what to do."""
    remedies = {line.name: line for line in lines}
    said = ["the raw data breaks its contract:"]
    for item in verdict.expectations:
        if item.status != "not met":
            continue
        line = remedies[item.name]
        where = f" ({line.own.path})" if line.own else ""
        said.append(f"  {item.name}{where}: expected {item.bound}; observed {item.observed}")
        if item.failing_ids:
            more = f" and {item.failing - len(item.failing_ids):,} more" if item.failing > len(item.failing_ids) else ""
            said.append(f"    rows: {', '.join(item.failing_ids)}{more}")
        said.append(f"    remedy: {line.remedy}")
    said.append(
        "reports/validate.html quotes rows, reports/validate_rows.parquet names them all. A bound is in the section "
        "validate of params.yaml or in expectations/"
    )
    return "\n".join(said)
