"""The claims of a release: the numbers that the recipe's gate will judge, beside their bounds.

A bundle is assembled before it is scanned, approved or judged, so its documents show claims, never a verdict.
"""

from dataclasses import dataclass
from typing import Any

from slipway.release.bundle.material import Material

RELATIONS = {"below": "<", "above": ">", "equals": "="}


@dataclass(frozen=True)
class Claim:
    """One line of the gate's policy, as far as it is known when the bundle is assembled."""

    reason: str
    origin: str
    """Report and dotted path, e.g. `evaluate: bits_per_byte.model.high`."""
    relation: str
    observed: float | None
    bound: float | None
    holds: bool | None
    """None: not known yet, because the report comes later or the number is missing."""


def lookup(result: Any, path: str) -> float | None:
    """The number at a dotted path; None where the path ends early or holds no number. Yes counts as 1, no as 0."""
    for part in path.split("."):
        if isinstance(result, dict) and part in result:
            result = result[part]
        elif isinstance(result, list) and part.isdigit() and int(part) < len(result):
            result = result[int(part)]
        else:
            return None
    return float(result) if isinstance(result, bool | int | float) else None


def claims(material: Material) -> list[Claim]:
    """The recipe's gate, line by line, with what the reports so far say."""
    rows = []
    for line in material.recipe.release.gate:
        record = material.records.get(line.report)
        result = record.result if record else {}
        observed = lookup(result, line.value)
        bound = lookup(result, line.bound) if isinstance(line.bound, str) else float(line.bound)
        holds = None
        if observed is not None and bound is not None:
            holds = {"below": observed < bound, "above": observed > bound, "equals": observed == bound}[line.relation]
        origin = f"{line.report}: {line.value}"
        rows.append(Claim(line.reason, origin, RELATIONS[line.relation], observed, bound, holds))
    return rows
