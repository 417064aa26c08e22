"""Which incidents follow from a look at a channel and the look before: every change for the worse, and what is broken.

The same fault has the same id every night. So it is raised once, stands until it is mended, and who receives it twice
can tell.
"""

from datetime import datetime, timedelta
from typing import Literal

from slipway.files import sha256_bytes
from slipway.records import Incident, IncidentKind, Look, OpenIncident

SOON = timedelta(days=14)
"""Before a pointer expires, when somebody should have renewed it."""


def compare(before: Look | None, now: Look) -> list[Incident]:
    """The incidents that stand now; `before` is the last look at the same channel, None at the first."""
    named = f"{now.name} {now.version}" if now.version else f"{now.name}/{now.channel}"
    found = [_incident(now, kind, named, text) for kind, text in now.broken.items()]  # type: ignore[arg-type]
    found += [_incident(now, "scan", named, finding) for finding in now.findings]
    found += [
        _incident(now, "advisory", named, f"{name}: known vulnerability of {package}", "warning")
        for name, package in now.advisories.items()
    ]
    if now.expires is not None and now.serial and "pointer" not in now.broken:
        left = datetime.fromisoformat(now.expires) - datetime.fromisoformat(now.time)
        if left < SOON:
            text = f"the pointer of {now.channel} expires soon; renew it with `slipway release`"
            found.append(_incident(now, "expiring", named, text, "warning"))
    for version in sorted(set(now.listed) - set(now.withdrawn)):
        text = "withdrawn, says the pointer, but its tombstone is missing or does not hold"
        found.append(_incident(now, "tombstone-missing", f"{now.name} {version}", text))
    return list({incident.id: incident for incident in [*found, *_since(before, now)]}.values())


def _since(before: Look | None, now: Look) -> list[Incident]:
    """What was better the last time."""
    if before is None:
        return []
    found, named = [], f"{now.name} {now.version}"
    if now.serial and now.serial < before.serial:
        text = f"the pointer of {now.channel} is at change {now.serial}, but it was at {before.serial} on {before.time}"
        found.append(_incident(now, "rolled-back", f"{now.name}/{now.channel}", text))
    if now.version and now.version == before.version and now.manifest_sha256 != before.manifest_sha256:
        text = f"manifest {now.manifest_sha256}, but it was {before.manifest_sha256} on {before.time}"
        found.append(_incident(now, "replaced", named, text))
    for version in sorted(set(before.releases) - set(now.releases)):
        text = f"files of it are gone that were there on {before.time}"
        found.append(_incident(now, "release-missing", f"{now.name} {version}", text))
    for version in sorted(set(before.withdrawn) - set(now.withdrawn)):
        text = f"its tombstone is gone that was there on {before.time}"
        found.append(_incident(now, "tombstone-missing", f"{now.name} {version}", text))
    if before.audit in ("clean", "affected") and now.audit in ("stale", "not run"):
        text = f"the audit of its software was {before.audit} and is {now.audit} now; bring the snapshot up to date"
        found.append(_incident(now, "audit", named, text, "warning"))
    return found


def carry(standing: tuple[OpenIncident, ...], found: list[Incident]) -> tuple[list[OpenIncident], list[Incident]]:
    """What stands now, with the time and the delivery of the first night; and what of the old is mended."""
    known = {entry.incident.id: entry for entry in standing}
    now = [known.get(incident.id) or OpenIncident(incident=incident) for incident in found]
    ids = {incident.id for incident in found}
    return now, [entry.incident for entry in standing if entry.incident.id not in ids]


def keep(before: Look | None, now: Look) -> Look:
    """What the next look is compared with: of what was lost, the better state, so that it stands until it is mended."""
    if before is None:
        return now
    lost = {
        "serial": max(before.serial, now.serial),
        "releases": tuple(sorted({*before.releases, *now.releases})),
        "withdrawn": tuple(sorted({*before.withdrawn, *now.withdrawn})),
        "audit": before.audit if now.audit in ("stale", "not run") else now.audit,
    }
    if now.version in (None, before.version):
        lost |= {"version": before.version, "manifest_sha256": before.manifest_sha256}
    return now.model_copy(update=lost)


def _incident(
    now: Look, kind: IncidentKind, release: str, details: str, severity: Literal["fault", "warning"] = "fault"
) -> Incident:
    # A text that names digests of damaged bytes may change from night to night; the subject does not.
    subject = details if kind in ("scan", "advisory") else ""
    key = sha256_bytes(f"{kind}\n{now.name}/{now.channel}\n{release}\n{subject}".encode())[:16]
    return Incident(id=key, time=now.time, kind=kind, severity=severity, release=release, details=details)
