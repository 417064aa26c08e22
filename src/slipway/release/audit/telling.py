"""An audit in words, for a terminal."""

from slipway.records import AuditFinding, AuditReport

WORDS = {
    "clean": "no known vulnerability",
    "affected": "known vulnerabilities",
    "stale": "STALE, so nobody knows whether there are known vulnerabilities",
    "not run": "NOT RUN, so nobody knows whether there are known vulnerabilities",
}


def database(report: AuditReport) -> str:
    """Which database was asked, in words."""
    if report.database_date is None or report.database_sha256 is None:
        return "no database"
    return f"{report.advisories:,} advisories of {report.database_date} (sha256 {report.database_sha256[:12]})"


def headline(report: AuditReport) -> str:
    """The outcome in one line; of one that is not `clean` or `affected`, why."""
    packages = "1 package" if report.audited == 1 else f"{report.audited:,} packages"
    looked = f"{packages} against {database(report)}"
    if report.status == "clean":
        return f"{WORDS['clean']}: {looked}"
    if report.status == "affected":
        also = f"; moreover {report.reason}" if report.reason else ""
        return f"{len(report.findings)} {WORDS['affected']}: {looked}{also}"
    return f"{WORDS[report.status]}: {report.reason}"


def _finding(one: AuditFinding) -> str:
    mended = f"fixed in {', '.join(one.fixed_in)}" if one.fixed_in else "no fixed version is named"
    told = [f"  {one.id}  {one.package} {one.version}, {mended}"]
    told += [f"      also {', '.join(one.aliases)}"] if one.aliases else []
    told += [f"      severity {'; '.join(one.severity)}"] if one.severity else ["      severity not stated"]
    told += [f"      {one.summary}"] if one.summary else []
    return "\n".join(told)


def table(report: AuditReport) -> str:
    """All of it, one block for each finding, then what could not be looked up."""
    rows = [f"audit of {report.examined}: {headline(report)}", *(_finding(one) for one in report.findings)]
    rows += [f"  not audited: {name}: {why}" for name, why in report.not_audited.items()]
    return "\n".join(rows)
