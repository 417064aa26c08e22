"""The verdict on the raw data as a page that needs no network: what was asked, what was found, and how it looks."""

from collections.abc import Mapping, Sequence

from markupsafe import Markup

from slipway import page as html
from slipway.data.contract.drift import Baseline
from slipway.data.contract.line import Line, percent
from slipway.data.contract.suite import DRIFT
from slipway.records import Expectation, ValidateReport

_BARS = 20
_OK = {"met": True, "not met": False, "not run": None}


def page(verdict: ValidateReport, lines: Sequence[Line], quoted: Mapping[str, str], baseline: Baseline | None) -> str:
    """A self-contained HTML page; `quoted` maps ids of failing rows to the beginning of their text, redacted."""
    sections = [
        html.Section("Verdict", _verdict(verdict)),
        html.Section(
            "Expectations",
            _expectations(verdict.expectations, lines),
            "Judged by Great Expectations. A bound with a share may be missed by some rows; they are counted.",
        ),
        html.Section(
            "Length of documents", html.histogram(verdict.length_histogram, "characters, lower edge of the bin")
        ),
        html.Section("Sources", _bars(verdict.characters_by_source, "characters")),
        html.Section("Languages", _bars(verdict.characters_by_language, "characters"), f"{verdict.language_method}."),
        html.Section("Licences", _bars(verdict.documents_by_licence, "documents")),
    ]
    if verdict.documents_by_label:
        sections.append(html.Section("Labels", _bars(verdict.documents_by_label, "documents")))
    return html.render(
        "Data contract",
        "What the raw data was asked, and what it answered.",
        [*sections, _drift(verdict, baseline), _rows(verdict, quoted), _figures(verdict)],
    )


def _verdict(verdict: ValidateReport) -> Markup:
    counts = {status: sum(item.status == status for item in verdict.expectations) for status in _OK}
    said = "the data keeps its contract" if verdict.passed else "the data breaks its contract"
    numbers = ", ".join(f"{count} {status}" for status, count in counts.items())
    return (
        html.paragraph(html.verdict(verdict.passed, said))
        + html.paragraph(f"{numbers}. What was not run is neither met nor broken; the table says why.")
        + html.facts(
            [
                ("documents", verdict.documents),
                ("characters", int(verdict.statistics["characters"])),
                ("median length", int(verdict.statistics["characters_p50"])),
                ("sources", int(verdict.statistics["sources"])),
            ]
        )
    )


def _expectations(items: Sequence[Expectation], lines: Sequence[Line]) -> Markup:
    rows: list[list[html.Cell]] = []
    for item, line in zip(items, lines, strict=True):
        name: Markup | str = item.name
        if line.own:
            described = f" {line.own.description}" if line.own.description else ""
            name = Markup("{}<br><small>{}{}</small>").format(item.name, f"{line.own.path}.", described)
        rows.append([html.verdict(_OK[item.status], item.status), name, item.bound, item.observed, item.failing])
    # What is broken stands first, on a phone too.
    order = {"not met": 0, "met": 1, "not run": 2}
    paired = sorted(zip(items, rows, strict=True), key=lambda pair: order[pair[0].status])
    return html.table(["verdict", "expectation", "bound", "observed", "rows outside"], [row for _, row in paired])


def _bars(counts: Mapping[str, int], unit: str) -> Markup:
    if not counts:
        return html.paragraph("Nothing was counted.")
    ordered = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    shown = html.bars([name for name, _ in ordered[:_BARS]], [count for _, count in ordered[:_BARS]], unit=unit)
    if rest := ordered[_BARS:]:
        shown += html.paragraph(f"And {len(rest):,} more with {sum(count for _, count in rest):,} {unit} together.")
    return shown


def _drift(verdict: ValidateReport, baseline: Baseline | None) -> html.Section:
    title, items = "Drift", [item for item in verdict.expectations if item.name.startswith(DRIFT)]
    if baseline is None:
        return html.Section(title, html.paragraph(html.verdict(None, "not run")) + html.paragraph(items[0].observed))
    now, then = dict(verdict.length_histogram), dict(baseline.report.length_histogram)
    edges = sorted(now.keys() | then.keys())
    shares = {
        name: [(float(place), data.get(edge, 0) / max(sum(data.values()), 1)) for place, edge in enumerate(edges)]
        for name, data in (("this data", now), ("the baseline", then))
    }
    rows = [
        [
            html.verdict(_OK[item.status], item.status),
            item.name.removeprefix(DRIFT),
            item.observed,
            item.bound,
        ]
        for item in items
    ]
    body = html.table(["verdict", "mixture", "distance", "bound"], rows)
    if verdict.drift:
        body += html.bars(list(verdict.drift), list(verdict.drift.values()), unit="Jensen-Shannon distance, 0 to 1")
    body += html.lines(shares, "length: number of the bin, each twice as wide as the one before", "share of documents")
    for about, ours, theirs in (
        ("source", verdict.characters_by_source, baseline.report.characters_by_source),
        ("language", verdict.characters_by_language, baseline.report.characters_by_language),
        ("licence", verdict.documents_by_licence, baseline.report.documents_by_licence),
    ):
        body += html.fold(f"Shares by {about}", _compared(about, ours, theirs))
    said = f"Against the record with sha256 {baseline.sha256[:12]}, {baseline.report.documents:,} documents."
    return html.Section(title, body, said)


def _compared(about: str, ours: Mapping[str, int], theirs: Mapping[str, int]) -> Markup:
    totals = max(sum(ours.values()), 1), max(sum(theirs.values()), 1)
    shares = {
        name: (ours.get(name, 0) / totals[0], theirs.get(name, 0) / totals[1]) for name in ours.keys() | theirs.keys()
    }
    ordered = sorted(shares.items(), key=lambda pair: (-abs(pair[1][0] - pair[1][1]), pair[0]))[:50]
    return html.table(
        [about, "this data", "the baseline"], [[name, percent(now), percent(then)] for name, (now, then) in ordered]
    )


def _rows(verdict: ValidateReport, quoted: Mapping[str, str]) -> html.Section:
    rows = [[item.name, name, quoted.get(name, "")] for item in verdict.expectations for name in item.failing_ids]
    return html.Section(
        "Rows outside a bound",
        html.table(["expectation", "row", "beginning of its text"], rows),
        "At most 20 for each expectation, also where the share allows them; reports/validate_rows.parquet has the "
        "verdict on every row. Personal data and secrets are written as <KIND>.",
    )


def _figures(verdict: ValidateReport) -> html.Section:
    rows: list[list[html.Cell]] = [[name.replace("_", " "), value] for name, value in verdict.statistics.items()]
    return html.Section("All figures", html.table(["figure", "value"], rows))
