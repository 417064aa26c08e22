"""The part of GATE.html about known vulnerabilities: in which database they were looked up, and what was found."""

from markupsafe import Markup

from slipway import page
from slipway.page import Cell, Section, Sign
from slipway.records import AuditFinding, AuditReport

SIGNS: dict[str, Sign] = {"clean": "good", "affected": "bad", "stale": "unknown", "not run": "unknown"}
INTRO = (
    "The packages of bom.cdx.json, looked up on the day of the gate. “Stale” and “not run” mean that nobody knows; "
    "they never mean that there are no known vulnerabilities."
)


def _finding(one: AuditFinding) -> list[Cell]:
    told = Markup("<code>{}</code>").format(one.id)
    for line in (", ".join(one.aliases), one.summary):
        told += Markup('<span class="why">{}</span>').format(line) if line else Markup("")
    return [told, f"{one.package} {one.version}", ", ".join(one.fixed_in) or "none named",
            "; ".join(one.severity) or "not stated"]  # fmt: skip


def section(report: AuditReport) -> Section:
    """The section `Known vulnerabilities`."""
    body = page.paragraph(Markup("{} {}").format(page.mark(SIGNS[report.status], report.status), report.reason))
    body += page.facts(
        [
            ("packages looked up", report.audited),
            ("advisories about PyPI", report.advisories),
            ("newest of them", report.database_date or "no database"),
            ("looked up on", report.examined),
            ("database", page.digest(report.database_sha256) if report.database_sha256 else "none"),
        ]
    )
    if report.findings:
        headers = ["vulnerability", "package", "fixed in", "severity, as stated"]
        body += page.table(headers, [_finding(one) for one in report.findings], cards=True)
    if report.not_audited:
        rows: list[list[Cell]] = [[name, why] for name, why in report.not_audited.items()]
        body += page.heading("Not looked up") + page.table(["component", "why"], rows, cards=True)
    return Section("Known vulnerabilities", body, INTRO)
