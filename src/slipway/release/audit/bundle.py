"""The audit of a bundle as it lies."""

import json
from datetime import date
from pathlib import Path
from typing import Any

from slipway.errors import UserError
from slipway.records import AuditReport
from slipway.release.audit.examining import examine

BOM = "bom.cdx.json"


def read_bom(data: bytes, what: str) -> dict[str, Any]:
    """A bill of materials from its bytes; raises UserError, naming `what`, if they are none."""
    try:
        bom = json.loads(data)
    except (ValueError, RecursionError):
        bom = None
    if not isinstance(bom, dict) or bom.get("bomFormat") != "CycloneDX":
        raise UserError(f"{what}: is no bill of materials in CycloneDX's JSON; build the bundle again")
    return bom


def of_bundle(bundle: Path, advisories: Path, today: date, max_age_days: int) -> AuditReport:
    """`examine` the bill of materials in a bundle; without one that can be read, the audit is not run.

    The report is published with the release, so it names files of the project from there, not from the machine's root.
    """
    what = f"{bundle.name}/{BOM}"
    try:
        bom = read_bom((bundle / BOM).read_bytes(), what)
    except OSError as error:
        return _not_run(f"{what}: {error.strerror}; build the bundle again", today, max_age_days)
    except UserError as error:
        return _not_run(str(error), today, max_age_days)
    report = examine(bom, advisories, today, max_age_days)
    return report.model_copy(update={"reason": report.reason.replace(f"{bundle.parent}/", "")})


def _not_run(reason: str, today: date, max_age_days: int) -> AuditReport:
    return AuditReport(
        status="not run",
        reason=reason,
        examined=today.isoformat(),
        max_age_days=max_age_days,
        database_date=None,
        database_sha256=None,
        advisories=0,
        audited=0,
        not_audited={},
        findings=(),
    )
