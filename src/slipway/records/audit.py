"""The audit of a release's software against known vulnerabilities, as verdict, statement and page show it."""

from typing import Literal

from slipway.records.base import Record


class AuditFinding(Record):
    """One known vulnerability of one package; what several databases say of it is one finding."""

    id: str
    """Of the advisory, e.g. `GHSA-…` or `PYSEC-…`."""
    aliases: tuple[str, ...]
    """Its other names, `CVE-…` among them."""
    package: str
    version: str
    """As the bill of materials has it."""
    fixed_in: tuple[str, ...]
    """Versions above this one that mend it, lowest first; empty if no advisory names one."""
    severity: tuple[str, ...]
    """As the advisories state it: CVSS vectors, and a word such as HIGH; empty if they state none."""
    summary: str


class AuditReport(Record):
    """What was looked up, in which database, and what was found. Only `clean` says that nothing was found."""

    status: Literal["clean", "affected", "stale", "not run"]
    """`affected`: there are findings. `stale`: none, but the database is too old to trust that. `not run`: the audit,
    or a part of it, could not be made."""
    reason: str
    """Why it is stale or not run; of an affected one, what else is wrong. Empty if nothing is."""
    examined: str
    """Day of the audit, UTC, ISO 8601."""
    max_age_days: int
    database_date: str | None
    """Day of the newest change in the database, as its entries say; None if there is no database."""
    database_sha256: str | None
    """sha256 over the sorted lines `<sha256>  <id>` of its entries: the same for a zip and for its unpacked files."""
    advisories: int
    """Entries about PyPI, withdrawn ones left out."""
    audited: int
    """Packages that were looked up."""
    not_audited: dict[str, str]
    """Package to the reason why it could not be looked up."""
    findings: tuple[AuditFinding, ...]
