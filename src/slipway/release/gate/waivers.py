"""Waivers: somebody's named, reasoned word that a line need not hold for a while.

A waived line keeps its verdict and is shown with it; it only holds nothing up any longer. What Slipway itself asks for
(`built-in`) cannot be waived, and a waiver that has no line is a fault: it would wait there for one to come.
"""

import difflib
from collections.abc import Mapping, Sequence
from datetime import date

from slipway.records import GateLine
from slipway.settings import Waiver

ID = "waivers"


def apply(
    lines: Sequence[GateLine], waivers: Sequence[Waiver], today: date, *, unknown: str | None = None
) -> list[GateLine]:
    """The lines with waivers in force noted on them, and a built-in line about the waivers if there are any.

    Args:
        lines: of the verdict.
        waivers: as the recipe states them.
        today: in UTC; a waiver holds up to and including its last day.
        unknown: how the ids of lines begin that could not be made today; a waiver for one of them is no fault.
    """
    if not waivers:
        return list(lines)
    noted = [_noted(line, [one for one in waivers if one.line == line.id], today) for line in lines]
    return [_line(noted, [one for one in waivers if not _open(one, unknown)], waivers, today), *noted]


def _open(waiver: Waiver, unknown: str | None) -> bool:
    return unknown is not None and waiver.line.startswith(unknown)


def _noted(line: GateLine, waivers: Sequence[Waiver], today: date) -> GateLine:
    if line.verdict == "GO" or line.tier == "built-in":
        return line
    for waiver in waivers:
        if today <= date.fromisoformat(waiver.expires):
            return line.model_copy(update={"waived_by": f"{waiver.by}, until {waiver.expires}: {waiver.reason}"})
    if waivers:
        last = max(waivers, key=lambda one: one.expires)
        words = f"{line.observed}; the waiver of {last.by} expired on {last.expires}"
        return line.model_copy(update={"observed": words, "action": f"{line.action}; renew the waiver, with a reason"})
    return line


def _line(lines: Sequence[GateLine], judged: Sequence[Waiver], waivers: Sequence[Waiver], today: date) -> GateLine:
    tiers = {line.id: line.tier for line in lines}
    faults = [fault for waiver in judged if (fault := _fault(waiver, tiers))]
    waived = {line.id for line in lines if line.waived_by}
    expired = sum(date.fromisoformat(waiver.expires) < today for waiver in waivers)
    words = f"{len(waivers)} stated, {len(waived)} lines waived, {expired} expired"
    return GateLine(
        id=ID,
        check="every waiver names a line that may be waived",
        tier="built-in",
        verdict="NO-GO" if faults else "GO",
        observed="; ".join(faults) or words,
        reason="a waiver without a line would wait for one, and what Slipway itself asks for cannot be waived",
        action="correct release.gate.waivers and rebuild" if faults else "",
    )


def _fault(waiver: Waiver, tiers: Mapping[str, str]) -> str:
    if waiver.line == ID or tiers.get(waiver.line) == "built-in":
        return f"the waiver of {waiver.by} is for `{waiver.line}`, which cannot be waived"
    if waiver.line not in tiers:
        known = [name for name, tier in tiers.items() if tier != "built-in"]
        near = difflib.get_close_matches(waiver.line, known, n=1)
        hint = f"did you mean `{near[0]}`?" if near else f"lines are: {', '.join(known)}"
        return f"the waiver of {waiver.by} is for `{waiver.line}`, which is no line; {hint}"
    return ""
