"""The checks of the policy: a number in a report against a bound, one line each.

A report or value that is missing is NO-GO: a check that cannot be made is not met. A value that was not measured (a
probe or task that was not run, an interval that the method does not give) is INCONCLUSIVE.

>>> lines(recipe.release.gate.checks, {"validate": {"passed": True}}, {})[0].verdict
'GO'
"""

import operator
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from pydantic import ValidationError

from slipway.records import GateLine, Measure, Verdict
from slipway.release.gate.paths import MISSING, Found, filled, find, lookup
from slipway.settings import Check

SIGNS = {"below": "<", "above": ">", "equals": "="}
_RELATIONS: dict[str, Callable[[float, float], bool]] = {
    "below": operator.lt,
    "above": operator.gt,
    "equals": operator.eq,
}
_WAYS_OUT = {
    "acquire": "see reports/acquire.json, and mend the sources or the recipe's `acquire`",
    "validate": "open reports/validate.html, and mend the data, or the contract in the recipe's `validate`",
    "prepare": "see reports/prepare.json and data/rejects, and tighten the recipe's `prepare`",
    "train": "train for fewer steps or on more data (the curve is in reports/train_log.jsonl)",
    "evaluate": "look at the task's worst items in the report page, and mend data or training",
    "safety": "see the probe in reports/safety.json; take what was remembered out of the data, or train on it less",
    "scan": "`slipway scan bundle` lists the findings with their remedies",
}


def lines(checks: Iterable[Check], results: Mapping[str, dict[str, Any]], faults: Mapping[str, str]) -> list[GateLine]:
    """A line for each check, and for each match of one with `*`.

    Args:
        checks: of the policy.
        results: stage -> what it reported.
        faults: stage -> why there is no such report, in words.
    """
    return [line for check in checks for line in _check(check, results.get(check.report), faults)]


def _check(check: Check, result: dict[str, Any] | None, faults: Mapping[str, str]) -> list[GateLine]:
    if result is None:
        fault = faults.get(check.report, f"there is no report of `{check.report}`")
        return [_line(check, check.value, "NO-GO", fault, "run `slipway build`")]
    parts, matches = check.value.split("."), find(result, check.value)
    if parts[:2] == ["tasks", "*"]:
        # A task that was not run is no entry of the table, and must not vanish for it.
        left_out = [".".join(["tasks", name, *parts[2:]]) for name in result.get("not_run", {})]
        matches = [found for found in matches if not (left_out and found.path.startswith("tasks.*"))]
        matches += [found for path in left_out for found in find(result, path)]
    return [_match(check, result, found) for found in matches]


def _match(check: Check, result: dict[str, Any], found: Found) -> GateLine:
    bound, name = check.bound, ""
    if isinstance(bound, str):
        name, bound = filled(bound, found.stars), lookup(result, bound, found.stars)
    for path, value in ((found.path, found.value), (name, bound)):
        if value is MISSING:
            return _missing(check, result, found, path)
        if value is None:
            return _line(check, found.path, "INCONCLUSIVE", f"`{path}` was not measured", _more(found))
        if not isinstance(value, int | float):
            words = f"`{path}` is {str(value)[:60]!r}, not a number"
            return _line(check, found.path, "NO-GO", words, "correct the path in release.gate.checks")
    value, bound = float(found.value), float(bound)
    holds = _RELATIONS[check.relation](value, bound)
    sign, measure = SIGNS[check.relation], _measure(found.parent)
    words = f"{value:.6g} {sign if holds else 'not ' + sign} {bound:.6g}"
    verdict: Verdict = "GO" if holds else "NO-GO"
    action = "" if holds else f"{_WAYS_OUT.get(check.report, f'see reports/{check.report}.json')}, then `slipway build`"
    line = _line(check, found.path, verdict, words + (f"; {interval(measure)}" if measure else ""), action)
    return line.model_copy(update={"measure": measure, "value": value, "bound": bound})


def _missing(check: Check, result: dict[str, Any], found: Found, path: str) -> GateLine:
    """The line of a value that is not there: not run, or not known at all."""
    parts = path.split(".")
    name = parts[1] if len(parts) > 1 else ""
    reason = None
    if parts[0] == "tasks":
        left_out = result.get("not_run", {})
        name = next((task for task in left_out if path.startswith(f"tasks.{task}.")), "")
        reason = left_out.get(name)
    elif parts[0] == "probes" and (probe := result.get("probes", {}).get(name)):
        reason = f"{probe['status']}: {probe['reason']}" if probe.get("status") != "run" else None
    if reason is not None:
        words = f"{name}: {reason}" if parts[0] == "probes" else f"{name}: not run: {reason}"
        action = "give it what it needs and rebuild, or take the line out of release.gate.checks"
        return _line(check, found.path, "INCONCLUSIVE", words, action)
    words = f"{check.report} report has no `{path}`"
    known = f"; there is: {found.near}" if path == found.path and found.near else ""
    action = "correct the path in release.gate.checks, or rebuild the stage with this version of Slipway"
    return _line(check, found.path, "NO-GO", words + known, action)


def _more(found: Found) -> str:
    measure = _measure(found.parent)
    why = f" ({measure.method})" if measure else ""
    return f"give the stage more to measure{why}, or check another value of the report"


def _measure(parent: Any) -> Measure | None:
    """The measure that the value is a part of, if it is one."""
    try:
        return Measure.model_validate(parent)
    except ValidationError:
        return None


def interval(measure: Measure) -> str:
    """A measure in words."""
    between = "no interval"
    if measure.low is not None and measure.high is not None:
        between = f"95 % interval {measure.low:.4g} to {measure.high:.4g}"
    return f"{measure.value:.4g}, {between}, n = {measure.n}"


def _line(check: Check, path: str, verdict: Verdict, observed: str, action: str = "") -> GateLine:
    bound = check.bound if isinstance(check.bound, str) else f"{check.bound:g}"
    return GateLine(
        id=f"{check.report}.{path}",
        check=f"{check.report}.{path} {SIGNS[check.relation]} {bound}",
        tier=check.tier,
        verdict=verdict,
        observed=observed,
        reason=check.reason,
        action=action,
    )
