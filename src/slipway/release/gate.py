"""The gate: may this bundle be released? The recipe's checks, and that all reports speak of these very bytes.

A missing report or value is NO-GO, a value that was not measured is INCONCLUSIVE, and only GO goes on.
"""

import operator
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from slipway.errors import Refusal, UserError
from slipway.files import sha256_file
from slipway.records import REPORTS, Record, StageRecord, read_record
from slipway.release.bundle import manifest
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


def _identity(bundle: Path, reports: Path, digest: str) -> list[GateLine]:
    """That every report is about these bytes, so that none can be swapped for a better one."""
    files = manifest.read(bundle).files
    entry = files.get("model.safetensors") or files.get("model.safetensors.index.json")
    weights = entry.sha256 if entry else None
    results: dict[str, dict[str, Any]] = {}
    for stage in ("scan", "evaluate", "safety"):
        try:
            results[stage] = read_record(reports / f"{stage}.json").result
        except UserError:
            results[stage] = {}
    inside = [stage for stage in REPORTS if stage not in _AFTER_THE_BUNDLE]

    def digest_of(path: Path) -> str | None:
        return sha256_file(path) if path.is_file() else None

    return [
        _same(
            "scan is of this bundle",
            [("scan", results["scan"].get("bundle_digest"), digest)],
            "the bytes that were scanned are the bytes to publish",
        ),
        _same(
            "evaluation and safety are of these weights",
            [(stage, results[stage].get("weights_sha256"), weights) for stage in ("evaluate", "safety")],
            "a number belongs to the weights it was measured on",
        ),
        _same(
            "reports in the bundle are those of the stages",
            [
                (stage, digest_of(bundle / "records" / f"{stage}.json"), digest_of(reports / f"{stage}.json"))
                for stage in inside
            ],
            "no number was edited by hand",
        ),
    ]


def judge(checks: tuple[Check, ...], reports: Path, bundle: Path) -> GateVerdict:
    """Judge `bundle` by the recipe's checks and by the built-in ones.

    Raises:
        UserError: if there is no bundle. Everything else that is wrong is a line of the verdict.
    """
    digest = manifest.digest(bundle)
    try:
        manifest.check(bundle)
        lines = [GateLine(check="bundle fits its manifest", verdict="GO", observed="every byte", reason="")]
        lines += _identity(bundle, reports, digest)
    except Refusal as refusal:
        lines = [GateLine(check="bundle fits its manifest", verdict="NO-GO", observed=str(refusal), reason="")]
    lines += [_policy(check, reports) for check in checks]
    verdicts = {line.verdict for line in lines}
    worst: Verdict = "NO-GO" if "NO-GO" in verdicts else "INCONCLUSIVE" if "INCONCLUSIVE" in verdicts else "GO"
    return GateVerdict(bundle_digest=digest, verdict=worst, lines=tuple(lines))


def explain(verdict: GateVerdict) -> str:
    """The lines that keep a bundle from being released, one per row."""
    rows = [f"  {line.verdict}  {line.check}: {line.observed}" for line in verdict.lines if line.verdict != "GO"]
    return "\n".join([f"gate: {verdict.verdict} for bundle {verdict.bundle_digest[:12]}", *rows])
