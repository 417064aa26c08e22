"""What the gate's tests have in common: models made of rows, and a project that is judged."""

import json
from datetime import date

import pyarrow as pa

from slipway import items
from slipway.recipe import load
from slipway.records import AuditFinding, AuditReport, BaseComparison, EvaluateReport, GateLine, ScanReport
from slipway.release import gate
from slipway.release.bundle import manifest
from slipway.release.gate.champion import Champion
from slipway.release.gate.comparing import Measured
from slipway.settings import Check, Gate, NonInferiority
from tests import evaluation_records

TODAY = date(2026, 6, 30)
DIGEST, OTHER = "aa" * 32, "bb" * 32


def check(report="evaluate", value="x", relation="below", bound=1.0, **changes) -> Check:
    return Check(report=report, value=value, relation=relation, bound=bound, reason="because", **changes)


def comparison(task="bits_per_byte", against="champion", margin=0.02, **changes) -> NonInferiority:
    return NonInferiority(task=task, against=against, margin=margin, reason="because", **changes)


def policy(*comparisons: NonInferiority, **changes) -> Gate:
    return Gate(comparisons=comparisons or (comparison(),), **changes)


def table(rows) -> pa.Table:
    return pa.Table.from_pylist(
        [{name: getattr(row, name) for name in items.schema().names} for row in rows], schema=items.schema()
    )


def report(rows, **identity) -> EvaluateReport:
    """A report of evaluate; `identity` changes what must be equal to compare."""
    found = evaluation_records.evaluate("cc" * 32, rows)
    for task in found["tasks"].values():
        task["identity"] = task["identity"] | identity
    return EvaluateReport.model_validate_json(json.dumps(found))


def model(rows=None, **identity) -> Measured:
    rows = evaluation_records.items() if rows is None else rows
    return Measured(report(rows, **identity), table(rows), digest=DIGEST)


def with_base(bits, base_bits, **identity):
    """A model that started from a base, with what the base makes of the same items."""
    rows = [*evaluation_records.items(bits=bits), *evaluation_records.items(bits=base_bits, model="base")]
    found = report([row for row in rows if row.model == "model"], **identity)
    base = evaluation_records.figure(rows, "bits_per_byte", "base")
    tasks = {
        name: task.model_copy(update={"base": task.measure.model_copy(update={"value": base["value"]})})
        for name, task in found.tasks.items()
    }
    stated = BaseComparison(digest="ee" * 32)
    return Measured(found.model_copy(update={"tasks": tasks, "base": stated}), table(rows), digest=DIGEST)


def champion(rows=None, **identity) -> Champion:
    rows = evaluation_records.items() if rows is None else rows
    return Champion("tiny v1", OTHER, report(rows, **identity), table(rows), "0.1.0")


def scanned(site, **changes) -> ScanReport:
    """What a scan that finds nothing says of the bundle."""
    listed = manifest.read(site.root / "bundle").files
    values = {"bundle_digest": manifest.digest(site.root / "bundle"), "files_scanned": len(listed) + 1}
    return ScanReport(**values | {"passed": True, "findings": ()} | changes)


def finding(name="GHSA-x", package="numpy", **changes) -> AuditFinding:
    """A known vulnerability."""
    values = {"id": name, "aliases": ("CVE-2026-1",), "package": package, "version": "1.0", "fixed_in": ("1.1",)}
    return AuditFinding(**values | {"severity": ("HIGH",), "summary": "it <breaks>"} | changes)


def audited(status="clean", **changes) -> AuditReport:
    """An audit made today; `changes` sets its other fields."""
    values = {"status": status, "reason": "", "examined": TODAY.isoformat(), "max_age_days": 30}
    values |= {"database_date": "2026-06-29", "database_sha256": "dd" * 32, "advisories": 2, "audited": 3}
    return AuditReport(**values | {"not_audited": {}, "findings": ()} | changes)


def judge(site, *checks, champion=None, registered=None, today=TODAY, scan=None, audit=None, **policy):
    """The verdict on the project; `checks` come after the recipe's own, `policy` changes the recipe's gate."""
    recipe = load(site.root / "params.yaml")
    found = recipe.release.gate
    found = found.model_copy(update={"checks": (*found.checks, *checks)} | policy)
    release = recipe.release.model_copy(update={"gate": found})
    return gate.judge(
        recipe.model_copy(update={"release": release}), site.root, scanned(site, **(scan or {})), champion,
        today=today, registered=registered, audit=audit or audited(),
    )  # fmt: skip


def line(verdict, name: str) -> GateLine:
    """The line of this id."""
    (found,) = [one for one in verdict.lines if one.id == name]
    return found
