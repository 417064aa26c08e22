"""The verdict as text for a terminal: the word first, then why, then every line with what to do about it."""

import textwrap
from collections.abc import Iterable

from slipway.records import GateLine, GateVerdict
from slipway.release.gate import auditing

WIDTH = 110
TIERS = ("built-in", "critical", "supporting", "advisory")
_MEANING = {
    "GO": "every line that must hold holds",
    "NO-GO": "a line that must hold does not",
    "INCONCLUSIVE": "a person must look: something could not be shown, or a supporting line is broken",
}


def explain(verdict: GateVerdict) -> str:
    """The verdict, what the model was compared with, and all lines by tier; those that are not GO say what to do.

    Plain text of at most `WIDTH` columns but for long names; no control sequences.
    """
    head = [
        f"gate: {verdict.verdict} for bundle {verdict.bundle_digest[:12]} ({_meaning(verdict)})",
        f"champion: {verdict.champion or _stand_in(verdict)}",
    ]
    if warning := auditing.warning(verdict.audit):
        head += _wrapped(warning, "", 0)
    if waived := [line for line in verdict.lines if line.waived_by]:
        head.append(f"waived: {', '.join(line.id for line in waived)}")
    return "\n".join([*head, *(row for tier in TIERS for row in _tier(tier, verdict.lines))])


def _meaning(verdict: GateVerdict) -> str:
    words = _MEANING[verdict.verdict]
    return f"{words}, waivers aside" if any(line.waived_by for line in verdict.lines) else words


def _stand_in(verdict: GateVerdict) -> str:
    return f"none yet; in its place: {verdict.stand_in}" if verdict.stand_in else "none"


def _tier(tier: str, lines: Iterable[GateLine]) -> list[str]:
    mine = [line for line in lines if line.tier == tier]
    return [f"\n{tier}", *(row for line in mine for row in _line(line))] if mine else []


def _line(line: GateLine) -> list[str]:
    state = f"{line.verdict}, waived" if line.waived_by else line.verdict
    rows = [f"  {state:<12}  {line.id}: {line.observed}"]
    rows += [f"asked: {line.check}; {line.reason}"] if line.verdict != "GO" else []
    if line.p_value is not None and line.verdict != "GO":
        rows.append(f"p = {line.p_value:.3g} for a loss beyond the margin, corrected for the number of comparisons")
    rows += [f"waived by {line.waived_by}"] if line.waived_by else []
    rows += [f"to do: {line.action}"] if line.action else []
    first, *rest = rows
    return [*_wrapped(first, "  ", 16), *(part for row in rest for part in _wrapped(row, " " * 16, 16))]


def _wrapped(row: str, indent: str, hanging: int) -> list[str]:
    return textwrap.wrap(
        row.strip(), WIDTH, initial_indent=indent, subsequent_indent=" " * hanging, break_long_words=False,
        break_on_hyphens=False, drop_whitespace=True,
    )  # fmt: skip
