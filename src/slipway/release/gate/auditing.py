"""The lines about known vulnerabilities: one on the audit itself, and one for each vulnerability that it found.

A vulnerability is NO-GO, and somebody may answer for it by name: a waiver for `audit:<ID>`, with any of the names that
the vulnerability has. An audit that is stale or was not run holds a release up only if the recipe says so
(`release.audit.required`); otherwise it is a warning that everybody sees. It is never GO.
"""

from collections.abc import Sequence

from slipway.records import AuditFinding, AuditReport, GateLine
from slipway.release.audit import headline
from slipway.settings import Waiver

ID = "audit"
REASON = "whoever runs the model runs its software too"
MEND = "`slipway audit` shows what is missing; docs/audit.md says how to get a snapshot of advisories"


def lines(report: AuditReport | None, waivers: Sequence[Waiver], *, required: bool) -> list[GateLine]:
    """The lines of an audit.

    Args:
        report: None if no audit was made.
        waivers: of the recipe; a vulnerability is called by the name that a waiver calls it by.
        required: whether a stale audit, or none, is NO-GO.
    """
    made = _made(report, required=required)
    if report is None:
        return [made]
    asked_for = {one.line for one in waivers}
    by_id: dict[str, list[AuditFinding]] = {}
    for finding in report.findings:
        names = [f"{ID}:{name}" for name in (finding.id, *finding.aliases)]
        by_id.setdefault(next((name for name in names if name in asked_for), names[0]), []).append(finding)
    return [made, *(_vulnerability(line, found) for line, found in sorted(by_id.items()))]


def unknown(report: AuditReport | None) -> str | None:
    """How the ids of lines begin of which nobody knows whether they would be there; None if all are known."""
    whole = report is not None and not report.reason
    return None if whole else f"{ID}:"


def warning(report: AuditReport | None) -> str | None:
    """What nobody must overlook; None if the audit was made, whatever it found."""
    if report is None or not report.reason:
        return None
    return f"WARNING: audit of the software: {headline(report)}"


def _made(report: AuditReport | None, *, required: bool) -> GateLine:
    told = "NOT RUN: no audit was asked for" if report is None else headline(report)
    whole = report is not None and not report.reason
    days = f", by advisories of the last {report.max_age_days} days" if report else ""
    return GateLine(
        id=ID,
        check=f"the bundle's software was looked up for known vulnerabilities{days}",
        tier="critical" if required else "advisory",
        verdict="GO" if whole else "NO-GO" if required else "INCONCLUSIVE",
        observed=told if whole else f"WARNING: {told}",
        reason=REASON,
        action="" if whole else MEND,
    )


def _vulnerability(line: str, found: Sequence[AuditFinding]) -> GateLine:
    first, name = found[0], line.removeprefix(f"{ID}:")
    named = ", ".join(f"{one.package} {one.version}" for one in found)
    also = sorted({other for one in found for other in (one.id, *one.aliases)} - {name})
    fixed = [f"{one.package} {' or '.join(one.fixed_in)}" for one in found if one.fixed_in]
    told = f"{named}: {first.summary or name}"
    told += f" (also {', '.join(also)})" if also else ""
    told += f"; severity {'; '.join(first.severity)}" if first.severity else "; severity not stated"
    told += f"; fixed in {', '.join(fixed)}" if fixed else "; no fixed version is named"
    mend = f"install {', '.join(fixed)}, pin it and rebuild" if fixed else "replace the package"
    return GateLine(
        id=line,
        check=f"no package of the bundle has the vulnerability {name}",
        tier="critical",
        verdict="NO-GO",
        observed=told,
        reason=REASON,
        action=f"{mend}, or waive the line `{line}` in release.gate.waivers, by name and with a last day",
    )
