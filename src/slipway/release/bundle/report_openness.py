"""The part of report.html about openness: the class, each component with its licence, and what would be needed."""

from markupsafe import Markup

from slipway import page
from slipway.page import Cell, Section, mark, table
from slipway.records import OpennessComponent, OpennessReport

STATUS: dict[str, page.Sign] = {"included": "good", "not open": "bad", "missing": "unknown"}


def _component(one: OpennessComponent) -> list[Cell]:
    name = Markup('{}<span class="why">{}{}</span>').format(one.name, one.kind, ", optional" if one.optional else "")
    told = page.prose(one.note)
    if one.where:
        told += Markup('<span class="why">{}</span>').format(", ".join(one.where))
    return [name, one.asked_by, mark(STATUS[one.status], one.status), one.licence, told]


def section(report: OpennessReport) -> Section:
    """The section `Openness`."""
    met = sum(line.met for line in report.osaid)
    body = page.facts(
        [
            (report.framework, f"class {report.mof_class}" if report.mof_class != "none" else "no class"),
            (report.definition, "met" if report.osaid_met else f"not met: {met} of {len(report.osaid)}"),
        ]
    )
    headers = ["component", "asked by class", "status", "licence", "what there is, or would be needed"]
    body += page.heading(report.framework) + table(headers, [_component(one) for one in report.components], cards=True)
    lines: list[list[Cell]] = [
        [
            Markup('{}<span class="why">{}</span>').format(line.element.capitalize(), line.asks),
            mark("good", "met") if line.met else mark("bad", "not met"),
            page.prose(line.found),
        ]
        for line in report.osaid
    ]
    body += page.heading(report.definition) + table(["asks for", "", "what there is"], lines, cards=True)
    return Section(
        "Openness",
        body,
        "Counted is what lies in the release, or what it pins by digest, under an open licence, at a public place.",
    )
