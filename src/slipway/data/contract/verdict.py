"""The verdict on the raw data as a record, as a message, and as a page that needs no network."""

from slipway import page as html
from slipway.data.contract.measure import Measured
from slipway.records import Expectation, ValidateReport


def report(measured: Measured, expectations: tuple[Expectation, ...]) -> ValidateReport:
    """The record; `passed` only if every expectation is met, and there is at least one."""
    return ValidateReport(
        passed=bool(expectations) and all(expectation.passed for expectation in expectations),
        documents=len(measured.rows),
        expectations=expectations,
        statistics=measured.statistics,
        length_histogram=measured.histogram,
        characters_by_source={
            str(name): int(count)
            for name, count in zip(measured.sources["source"], measured.sources["characters"], strict=True)
        },
    )


def complaint(verdict: ValidateReport) -> str:
    """One message that names every expectation not met, what was observed, and rows that fail it."""
    lines = ["the raw data breaks its contract:"]
    for item in verdict.expectations:
        if not item.passed:
            lines.append(f"  {item.name}: expected {item.bound}, observed {item.observed}")
            if item.failing_ids:
                more = (
                    f" and {item.failing - len(item.failing_ids)} more" if item.failing > len(item.failing_ids) else ""
                )
                lines.append(f"    failing: {', '.join(item.failing_ids)}{more}")
    lines.append(
        "reports/validate.html quotes the rows. Correct the source and run `slipway lock`, "
        "or change the bound in the section validate of params.yaml"
    )
    return "\n".join(lines)


def _word(item: Expectation) -> str:
    return "met" if item.passed else "not met"


def page(verdict: ValidateReport, quoted: dict[str, str]) -> str:
    """A self-contained HTML page; `quoted` maps ids of failing rows to the beginning of their text."""
    broken = sum(not item.passed for item in verdict.expectations)
    said = "the data keeps its contract" if verdict.passed else f"the data breaks its contract: {broken} not met"
    statistics = verdict.statistics
    summary = html.facts(
        [
            ("documents", verdict.documents),
            ("characters", int(statistics["characters"])),
            ("median length", int(statistics["characters_p50"])),
            ("sources", int(statistics["sources"])),
        ]
    )
    expectations = html.table(
        ["verdict", "expectation", "bound", "observed", "rows outside"],
        [
            [
                html.verdict(item.passed, _word(item)),
                item.name,
                item.bound,
                item.observed,
                item.failing,
            ]
            for item in verdict.expectations
        ],
    )
    by_size = sorted(verdict.characters_by_source.items(), key=lambda pair: (-pair[1], pair[0]))
    sources = html.bars([name for name, _ in by_size[:30]], [count for _, count in by_size[:30]], unit="characters")
    rows = [[item.name, name, quoted.get(name, "")] for item in verdict.expectations for name in item.failing_ids]
    figures = html.table(["figure", "value"], [[name.replace("_", " "), value] for name, value in statistics.items()])
    return html.render(
        "Data contract",
        "What the raw data was asked, and what it answered.",
        [
            html.Section("Verdict", html.paragraph(html.verdict(verdict.passed, said)) + summary),
            html.Section(
                "Expectations", expectations, "A bound with a share may be missed by some rows; they are counted."
            ),
            html.Section("Length of documents", html.histogram(verdict.length_histogram, "characters")),
            html.Section("Characters by source", sources),
            html.Section(
                "Rows outside a bound",
                html.table(["expectation", "row", "beginning of its text"], rows),
                "At most 20 for each expectation, also where the share allows them.",
            ),
            html.Section("All figures", figures),
        ],
    )
