"""The gate: may this bundle be released? The recipe's checks, and that all reports speak of these very bytes.

The built-in checks hold whatever the recipe asks for: a scan that passed, then and now, is among them.

A missing report or value is NO-GO, a value that was not measured is INCONCLUSIVE, and only GO goes on.
"""

import operator
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from slipway.errors import Refusal, UserError
from slipway.files import sha256_bytes, sha256_file, weights_of
from slipway.recipe import Recipe
from slipway.records import REPORTS, Record, ScanReport, StageRecord, read_record, read_report
from slipway.release.bundle import manifest
from slipway.release.bundle.provenance import recipe_json
from slipway.settings import Check

Verdict = Literal["GO", "NO-GO", "INCONCLUSIVE"]
_SIGNS = {"below": "<", "above": ">", "equals": "="}
_RELATIONS: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    ">": operator.gt,
    "=": operator.eq,
}
_AFTER_THE_BUNDLE = ("bundle", "scan")


class GateLine(Record):
    """One check."""

    check: str
    verdict: Verdict
    observed: str
    reason: str


class GateVerdict(Record):
    """All checks of one bundle; GO only if every line is GO."""

    bundle_digest: str
    verdict: Verdict
    lines: tuple[GateLine, ...]


def _look_up(result: Any, path: str) -> Any:
    for part in path.split("."):
        result = result[int(part)] if isinstance(result, list) else result[part]
    return result


def _judge(check: Check, report: StageRecord) -> tuple[Verdict, str]:
    values: list[float] = []
    for operand in (check.value, check.bound):
        value = operand
        if isinstance(operand, str):
            try:
                value = _look_up(report.result, operand)
            except (KeyError, IndexError, ValueError, TypeError):
                return "NO-GO", f"{check.report} report has no `{operand}`"
            if value is None:
                return "INCONCLUSIVE", f"`{operand}` was not measured"
        if not isinstance(value, int | float):
            return "NO-GO", f"`{operand}` is {str(value)[:60]!r}, not a number"
        values.append(float(value))
    observed, bound = values
    sign = _SIGNS[check.relation]
    holds = _RELATIONS[sign](observed, bound)
    return ("GO" if holds else "NO-GO"), f"{observed:.6g} {sign if holds else 'not ' + sign} {bound:.6g}"


def _policy(check: Check, reports: Path) -> GateLine:
    bound = check.bound if isinstance(check.bound, str) else f"{check.bound:g}"
    name = f"{check.report}: {check.value} {_SIGNS[check.relation]} {bound}"
    try:
        verdict, observed = _judge(check, read_record(reports / f"{check.report}.json"))
    except UserError as error:
        verdict, observed = "NO-GO", str(error)
    return GateLine(check=name, verdict=verdict, observed=observed, reason=check.reason)


def _same(check: str, pairs: list[tuple[str, str | None, str | None]], reason: str) -> GateLine:
    """GO if, for every (name, found, expected), both are there and equal."""
    wrong = [
        f"{name}: {found or 'missing'}, expected {expected or 'nothing like it'}"
        for name, found, expected in pairs
        if found is None or found != expected
    ]
    verdict: Verdict = "NO-GO" if wrong or not pairs else "GO"
    return GateLine(check=check, verdict=verdict, observed="; ".join(wrong) or f"{len(pairs)} equal", reason=reason)


def _digest(path: Path) -> str | None:
    return sha256_file(path) if path.is_file() else None


def _scan(check: str, report: ScanReport, digest: str, files: int, reason: str) -> GateLine:
    found = "; ".join(f"{finding.rule} {finding.path}" for finding in report.findings[:3])
    pairs: list[tuple[str, str | None, str | None]] = [
        ("scan", report.bundle_digest, digest),
        ("passed", str(report.passed), "True"),
        (f"{len(report.findings)} findings", found or "none", "none"),
        ("files scanned", str(report.files_scanned), str(files)),
    ]
    return _same(check, pairs, reason)


def _scans(bundle: Path, reports: Path, digest: str, now: ScanReport) -> list[GateLine]:
    """The stage's report, and the scan made for the gate, which no edited report can stand in for."""
    files = len(manifest.read(bundle).files) + 1  # the manifest does not list itself
    check, reason = "scan is of this bundle and passed", "the bytes that were scanned are the bytes to publish"
    try:
        report = read_report(reports / "scan.json")
        if not isinstance(report, ScanReport):
            raise UserError(f"{reports / 'scan.json'}: the report of another stage; run `slipway build --force scan`")
        line = _scan(check, report, digest, files, reason)
    except UserError as error:
        line = GateLine(check=check, verdict="NO-GO", observed=str(error), reason=reason)
    return [line, _scan("scan now", now, digest, files, "a report is a file, and a file can be edited")]


def _origin(recipe: Recipe, root: Path, bundle: Path) -> GateLine:
    """That the bundle was built from what is in force, so that no bound was loosened after the build."""
    in_force = sha256_bytes(recipe_json(recipe).encode())
    line = _same(
        "recipe and lock in force are those in the bundle",
        [
            ("recipe.json", _digest(bundle / "recipe.json"), in_force),
            ("inputs.lock", _digest(bundle / "inputs.lock"), _digest(root / "inputs.lock")),
        ],
        "the bundle states the rules it was judged by",
    )
    if line.verdict == "GO":
        return line
    return line.model_copy(update={"observed": f"{line.observed}; run `slipway build`"})


def _identity(bundle: Path, reports: Path) -> list[GateLine]:
    """That every report is about these bytes, so that none can be swapped for a better one."""
    try:
        weights: str | None = weights_of({name: entry.sha256 for name, entry in manifest.read(bundle).files.items()})
    except UserError:
        weights = None
    results: dict[str, dict[str, Any]] = {}
    for stage in ("evaluate", "safety"):
        try:
            results[stage] = read_record(reports / f"{stage}.json").result
        except UserError:
            results[stage] = {}
    inside = [stage for stage in REPORTS if stage not in _AFTER_THE_BUNDLE]
    return [
        _same(
            "evaluation and safety are of these weights",
            [(stage, results[stage].get("weights_sha256"), weights) for stage in ("evaluate", "safety")],
            "a number belongs to the weights it was measured on",
        ),
        _same(
            "reports in the bundle are those of the stages",
            [
                (stage, _digest(bundle / "records" / f"{stage}.json"), _digest(reports / f"{stage}.json"))
                for stage in inside
            ],
            "no number was edited by hand",
        ),
    ]


def judge(recipe: Recipe, root: Path, scanned: ScanReport) -> GateVerdict:
    """Judge the bundle in `root` by the recipe's checks and by the built-in ones.

    Args:
        recipe: the recipe in force.
        root: the project, with `bundle/`, `reports/` and `inputs.lock`.
        scanned: what a scan of the bundle finds now.

    Raises:
        UserError: if there is no bundle. Everything else that is wrong is a line of the verdict.
    """
    bundle, reports = root / "bundle", root / "reports"
    digest = manifest.digest(bundle)
    try:
        manifest.check(bundle)
        lines = [GateLine(check="bundle fits its manifest", verdict="GO", observed="every byte", reason="")]
        lines += [*_scans(bundle, reports, digest, scanned), *_identity(bundle, reports), _origin(recipe, root, bundle)]
    except Refusal as refusal:
        lines = [GateLine(check="bundle fits its manifest", verdict="NO-GO", observed=str(refusal), reason="")]
    lines += [_policy(check, reports) for check in recipe.release.gate]
    verdicts = {line.verdict for line in lines}
    worst: Verdict = "NO-GO" if "NO-GO" in verdicts else "INCONCLUSIVE" if "INCONCLUSIVE" in verdicts else "GO"
    return GateVerdict(bundle_digest=digest, verdict=worst, lines=tuple(lines))


def explain(verdict: GateVerdict) -> str:
    """The lines that keep a bundle from being released, one per row."""
    rows = [f"  {line.verdict}  {line.check}: {line.observed}" for line in verdict.lines if line.verdict != "GO"]
    return "\n".join([f"gate: {verdict.verdict} for bundle {verdict.bundle_digest[:12]}", *rows])
