"""What the comparisons come to, all of them together.

GO is shown non-inferiority: the lower end of the 95 % interval of the difference is at or above minus the margin. NO-GO
is a shown loss beyond the margin. Everything between is INCONCLUSIVE.

GO asks for every comparison at once, an intersection-union test, which keeps its level without a correction (Berger
1982, "Multiparameter hypothesis testing and acceptance sampling", Technometrics 24). NO-GO asks for any of them, so its
p-values are corrected for their number (Holm 1979), lest many tasks stop sound models.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from slipway.records import GateLine, Measure, Verdict
from slipway.statistics import Comparison, holm
from slipway.statistics.paired import LEVEL

WAIVE = "or waive the line for this release in release.gate.waivers"
_MORE = "ask more items (a larger test split, or more in the task's section of `evaluate`)"


@dataclass(frozen=True)
class Pending:
    """A comparison that was made, and whose verdict waits for the correction."""

    line: GateLine
    margin: float
    found: Comparison
    name: str
    """Of what the model was held against."""
    unit: str
    left_out: int = 0
    """Items that what it was held against could not be asked."""


class _Outcome(NamedTuple):
    verdict: Verdict
    words: str
    action: str
    p_value: float | None = None


def decide(made: Sequence[GateLine | Pending], fewest: int) -> list[GateLine]:
    """The lines in their order, once the p-values of all comparisons with enough families are corrected.

    Args:
        made: comparisons, and lines that are decided without one.
        fewest: families that a comparison needs.
    """
    counted = [one for one in made if isinstance(one, Pending) and _enough(one, fewest)]
    raw = [one.found.p_worse(one.margin) for one in counted]
    corrected = iter(zip(raw, holm(raw), strict=True))
    lines = []
    for one in made:
        if isinstance(one, GateLine):
            lines.append(one)
        elif _enough(one, fewest):
            lines.append(_line(one, _outcome(one, *next(corrected), tests=len(raw))))
        else:
            words = f"{one.found.measure.n} families are too few, {fewest} are needed (release.gate.min_items)"
            lines.append(_line(one, _Outcome("INCONCLUSIVE", words, f"{_MORE}, {WAIVE}")))
    return lines


def _enough(one: Pending, fewest: int) -> bool:
    return one.found.measure.n >= max(fewest, 2)


def _outcome(one: Pending, raw: float, corrected: float, tests: int) -> _Outcome:
    low = one.found.measure.low
    if low is not None and low >= -one.margin:
        return _Outcome("GO", "", "", corrected)
    if corrected < LEVEL:
        words = f"a loss beyond that is shown (p = {corrected:.2g}, corrected for {tests} comparisons)"
        return _Outcome("NO-GO", words, "find what made it worse (data, steps, learning rate) and rebuild", corrected)
    if raw < LEVEL:
        words = f"a loss beyond that is seen (p = {raw:.2g}), but not after correction for {tests} comparisons"
        action = f"look at the task's worst items, it may well be worse; {_MORE}, {WAIVE}"
        return _Outcome("INCONCLUSIVE", words, action, corrected)
    words = "neither a loss beyond that nor its absence is shown"
    return _Outcome("INCONCLUSIVE", words, f"{_MORE}, {WAIVE}", corrected)


def _line(one: Pending, outcome: _Outcome) -> GateLine:
    found = one.found
    words = (
        f"{_signed(found.measure.value)} {one.unit} against {one.name} ({_between(found.measure)}, "
        f"{found.measure.n} families; positive = better), tolerated {_signed(-one.margin)}"
    )
    if found.mcnemar is not None:
        words += f"; McNemar p = {found.mcnemar:.2g}"
    if one.left_out:
        words += f"; {one.left_out} items left out, which do not fit {one.name}"
    return one.line.model_copy(
        update={
            "verdict": outcome.verdict,
            "observed": "; ".join(part for part in (words, outcome.words) if part),
            "action": outcome.action,
            "measure": found.measure,
            "bound": -one.margin,
            "p_value": outcome.p_value,
        }
    )


def _between(measure: Measure) -> str:
    if measure.low is None or measure.high is None:
        return "no interval"
    return f"95 % interval {_signed(measure.low)} to {_signed(measure.high)}"


def _signed(value: float) -> str:
    return f"{value:+.4g}" if value else "0"
