"""The audit itself: every package of a bill of materials against every advisory about it, one report."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

from packageurl import PackageURL
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from slipway.page import visible
from slipway.records import AuditFinding, AuditReport
from slipway.release.audit import ranges, snapshot
from slipway.release.audit.snapshot import Advisory, Snapshot, Unreadable

SOFTWARE = ("library", "framework", "application")
"""Kinds of component that advisories are about; data and models are none."""
_PREFERRED = ("GHSA-", "PYSEC-", "CVE-")
"""Of the ids that the database has for one vulnerability, which names it."""


class Package(NamedTuple):
    """A package to look up."""

    name: str
    """Canonical."""
    version: str
    """As the bill of materials has it."""
    public: Version


def examine(bom: Mapping[str, Any], advisories: Path, today: date, max_age_days: int) -> AuditReport:
    """Look up the packages of a bill of materials.

    Args:
        bom: CycloneDX, as JSON has it.
        advisories: directory or zip of advisories in OSV format.
        today: in UTC.
        max_age_days: a database whose newest entry is older is stale.

    Whatever keeps the audit from being made is a status of the report, never an exception.
    """
    packages, not_audited = _packages(bom)
    found, fault = Snapshot(), ""
    try:
        found = snapshot.read(advisories, frozenset(one.name for one in packages), today)
    except Unreadable as error:
        packages, fault = [], visible(str(error))
    findings: list[AuditFinding] = []
    for package in packages:
        hits, doubt = _lookup(package, found.by_package.get(package.name, []))
        findings += hits
        if doubt:
            not_audited[f"{package.name} {package.version}"] = visible(doubt)
    age = (today - found.newest).days if not fault else None
    audited = len([one for one in packages if f"{one.name} {one.version}" not in not_audited])
    faults = [*([fault] if fault else []), *_gaps(not_audited, audited, looked=not fault)]
    stale = []
    if age is not None and age > max_age_days:
        stale = [f"the newest advisory is of {found.newest}, {age} days old; more than {max_age_days} is stale"]
    return AuditReport(
        status="affected" if findings else "not run" if faults else "stale" if stale else "clean",
        reason="; ".join([*faults, *stale]),
        examined=today.isoformat(),
        max_age_days=max_age_days,
        database_date=None if fault else found.newest.isoformat(),
        database_sha256=None if fault else found.sha256,
        advisories=found.advisories,
        audited=audited,
        not_audited=dict(sorted(not_audited.items())),
        findings=tuple(findings),
    )


def _gaps(not_audited: Mapping[str, str], audited: int, *, looked: bool) -> Iterator[str]:
    """What is missing of the audit, once there is a database."""
    if not_audited:
        shown = "; ".join(f"{name}: {why}" for name, why in sorted(not_audited.items())[:3])
        more = f"; and {len(not_audited) - 3} more" if len(not_audited) > 3 else ""
        yield f"{len(not_audited)} could not be looked up ({shown}{more})"
    if looked and not audited:
        yield "the bill of materials names no package that could be looked up"


def _components(parts: Any) -> Iterator[Mapping[str, Any]]:
    """Every component, also those within others."""
    for part in parts if isinstance(parts, list) else []:
        if isinstance(part, dict):
            yield part
            yield from _components(part.get("components"))


def _packages(bom: Mapping[str, Any]) -> tuple[list[Package], dict[str, str]]:
    """The packages to look up, sorted, and by name why others cannot be."""
    found: dict[tuple[str, str], Package] = {}
    faults: dict[str, str] = {}
    for part in _components(bom.get("components")):
        if part.get("type") not in SOFTWARE:
            continue
        name, version = visible(str(part.get("name"))), part.get("version")
        try:
            purl = PackageURL.from_string(str(part.get("purl")))
        except ValueError:
            faults[name] = "it has no package URL, so nobody knows where it is from"
            continue
        if purl.type != "pypi":
            faults[name] = f"its package URL is of `{purl.type}`, and the advisories are about PyPI"
        elif not version:
            faults[name] = "it has no version"
        elif canonicalize_name(purl.name) != canonicalize_name(name) or (purl.version or version) != version:
            faults[name] = f"its package URL names another package or version: {purl.to_string()[:80]}"
        else:
            try:
                one = Package(canonicalize_name(name), str(version), ranges.public(str(version)))
                found[one.name, one.version] = one
            except InvalidVersion:
                faults[name] = f"its version {str(version)[:40]!r} is none of PEP 440"
    return [found[key] for key in sorted(found)], faults


def _lookup(package: Package, known: Iterable[Advisory]) -> tuple[list[AuditFinding], str]:
    """Findings about a package, and why it could not be decided whether there are more."""
    hits, doubts = [], []
    for advisory in known:
        try:
            if ranges.affected(package.public, advisory.affected):
                hits.append(advisory)
        except ranges.Undecided as doubt:
            doubts.append(f"{advisory.id}: {doubt}")
    groups = [_finding(package, group) for group in _merged(hits)]
    return sorted(groups, key=lambda one: one.id), "; ".join(sorted(doubts)[:3])


def _merged(hits: Iterable[Advisory]) -> list[list[Advisory]]:
    """Advisories that share a name are about one vulnerability."""
    groups: list[list[Advisory]] = []
    for advisory in hits:
        same = [group for group in groups if any(advisory.names & other.names for other in group)]
        groups = [group for group in groups if group not in same]
        groups.append([advisory, *(other for group in same for other in group)])
    return groups


def _rank(name: str) -> tuple[int, str]:
    return next((at for at, prefix in enumerate(_PREFERRED) if name.startswith(prefix)), len(_PREFERRED)), name


def _finding(package: Package, group: list[Advisory]) -> AuditFinding:
    group = sorted(group, key=lambda one: _rank(one.id))
    names = {name for one in group for name in one.names} - {group[0].id}
    fixed = {version for one in group for version in ranges.fixes(package.public, one.affected)}
    return AuditFinding(
        id=group[0].id,
        aliases=tuple(sorted(names, key=_rank)),
        package=package.name,
        version=package.version,
        fixed_in=tuple(str(version) for version in sorted(fixed)),
        severity=tuple(dict.fromkeys(score for one in group for score in one.severity)),
        summary=next((one.summary for one in group if one.summary), ""),
    )
