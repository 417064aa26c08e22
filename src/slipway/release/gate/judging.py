"""All lines together, and the one word that they come to."""

import json
from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from slipway import items
from slipway.errors import UserError
from slipway.recipe import Recipe
from slipway.records import (
    REPORTS,
    AuditReport,
    EvaluateReport,
    GateLine,
    GateVerdict,
    ScanReport,
    Verdict,
    read_record,
)
from slipway.release.bundle import manifest
from slipway.release.gate import auditing, built_in, checks, comparing, waivers
from slipway.release.gate.champion import Champion, read_table
from slipway.release.gate.stand_in import WORDS

if TYPE_CHECKING:
    import pyarrow as pa


def policy(recipe: Recipe, reports: Mapping[str, dict[str, Any]], table: "pa.Table | None" = None) -> list[GateLine]:
    """The lines that reports alone decide, before there is a scan, a champion or a day on which waivers expire.

    Args:
        recipe: the recipe in force.
        reports: stage -> its result; checks on what comes after the bundle are left out if it is not among them.
        table: the item table of `evaluate`; with it, the comparisons with the base are among the lines.
    """
    later = set(built_in.AFTER_THE_BUNDLE) - reports.keys()
    early = [one for one in recipe.release.gate.checks if one.report not in later]
    found = checks.lines(early, reports, {})
    if table is not None:
        model = comparing.Measured(_typed(reports.get("evaluate")), table)
        found += comparing.base_lines(recipe.release.gate, model, seed=recipe.seed)
    return _distinct(found)


def judge(
    recipe: Recipe,
    root: Path,
    scanned: ScanReport,
    champion: Champion | None,
    *,
    today: date,
    registered: str | None = None,
    audit: AuditReport | None = None,
) -> GateVerdict:
    """Judge the bundle in `root` by the recipe's policy and by what is asked of every bundle.

    Args:
        recipe: the recipe in force.
        root: the project, with `bundle/`, `reports/` and `inputs.lock`.
        scanned: what a scan of the bundle finds now.
        champion: the release that the channel names now (`champion.read`); None before the first.
        today: in UTC; waivers expire.
        registered: digest of the bundle that the registry calls released on this channel, if it is asked and names
            one. Another one than the champion's makes two champions, and then nothing is compared.
        audit: of the bundle's bill of materials, made today; without one the line says that there was none.

    Raises:
        UserError: if there is no bundle. Everything else that is wrong is a line of the verdict.
    """
    gate, digest = recipe.release.gate, manifest.digest(root / "bundle")
    found = built_in.lines(recipe, root, scanned)
    results, faults = _results(root / "reports")
    found += checks.lines(gate.checks, results, faults)
    found += comparing.lines(gate, _measured(root, results, faults, digest), champion, registered, seed=recipe.seed)
    found += auditing.lines(audit, gate.waivers, required=recipe.release.audit.required)
    found = waivers.apply(_distinct(found), gate.waivers, today, unknown=auditing.unknown(audit))
    against = [one for one in gate.comparisons if one.against == "champion"]
    return GateVerdict(
        bundle_digest=digest,
        verdict=overall(found),
        champion=champion.release if champion else None,
        stand_in=WORDS[gate.first_release] if champion is None and registered is None and against else None,
        lines=tuple(found),
        audit=audit,
    )


def overall(lines: Iterable[GateLine]) -> Verdict:
    """NO-GO if a line that must hold is NO-GO, INCONCLUSIVE if one is, or if a supporting line is NO-GO; else GO.

    What is waived or advisory does not count, and neither does a supporting line for lack of evidence.
    """
    counted = [line for line in lines if line.waived_by is None]
    firm = {line.verdict for line in counted if line.tier in ("built-in", "critical")}
    supporting = {line.verdict for line in counted if line.tier == "supporting"}
    if "NO-GO" in firm:
        return "NO-GO"
    return "INCONCLUSIVE" if "INCONCLUSIVE" in firm or "NO-GO" in supporting else "GO"


def _results(reports: Path) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
    """Stage -> result, and stage -> why there is none."""
    results: dict[str, dict[str, Any]] = {}
    faults: dict[str, str] = {}
    for stage in REPORTS:
        try:
            results[stage] = read_record(reports / f"{stage}.json").result
        except UserError as error:
            faults[stage] = str(error)
    return results, faults


def _typed(result: dict[str, Any] | None) -> EvaluateReport | None:
    try:
        return EvaluateReport.model_validate_json(json.dumps(result))
    except ValidationError:
        return None


def _measured(
    root: Path, results: Mapping[str, dict[str, Any]], faults: Mapping[str, str], digest: str
) -> comparing.Measured:
    report, path = _typed(results.get("evaluate")), root / "reports" / items.NAME
    fault = faults.get("evaluate", "") or ("" if report else "reports/evaluate.json is no report of `evaluate`")
    held, missing = read_table(path)
    return comparing.Measured(report, held, fault or (missing and f"{path}: {missing}"), digest)


def _distinct(lines: Iterable[GateLine]) -> list[GateLine]:
    """The lines with ids of their own: a second check of the same value is `… #2`, so that a waiver means one line."""
    seen: dict[str, int] = {}
    found = []
    for line in lines:
        seen[line.id] = seen.get(line.id, 0) + 1
        times = seen[line.id]
        found.append(line if times == 1 else line.model_copy(update={"id": f"{line.id} #{times}"}))
    return found
