"""What stands in for the champion on the first release of a name: the policy says it, and the verdict repeats it."""

import difflib
from typing import Literal

from slipway.records import GateLine, Measure, TaskReport, Verdict
from slipway.release.gate.pairing import Unfit
from slipway.settings import NonInferiority

WORDS = {
    "references": "what each task is held against: chance, compressors",
    "base": "the base that training started from",
    "nothing": "nothing: release.gate.first_release asks for no comparison",
}


def stand_in(
    line: GateLine, wanted: NonInferiority, task: TaskReport, first: Literal["references", "nothing"]
) -> GateLine:
    """`line` without a champion: GO if the task's interval lies beyond every reference, NO-GO if it lies on the wrong
    side of one, INCONCLUSIVE if it holds one.

    Raises:
        Unfit: if there is no such reference.
    """
    if first == "nothing":
        words = "first release: nothing to compare with, and release.gate.first_release asks for no stand-in"
        return line.model_copy(update={"verdict": "GO", "observed": words})
    references = _references(wanted, task)
    verdict, bound = _beyond(task.measure, references, task.better)
    sign = "below" if task.better == "lower" else "above"
    named = ", ".join(f"{name} {one.value:.4g}" for name, one in references.items())
    between = "no interval"
    if task.measure.low is not None and task.measure.high is not None:
        between = f"95 % interval {task.measure.low:.4g} to {task.measure.high:.4g}"
    words = f"first release: {task.measure.value:.4g} {task.unit} ({between}, n = {task.measure.n}) beside {named}"
    other = "or choose another stand-in in release.gate (`reference`, `first_release`)"
    action = {
        "GO": "",
        "NO-GO": f"train longer or on more data, {other}",
        "INCONCLUSIVE": f"ask more items, {other}",
    }[verdict]
    check = f"{wanted.task}: {sign} {' and '.join(references)}, in place of a champion"
    return line.model_copy(
        update={
            "check": check, "verdict": verdict, "observed": words, "action": action, "measure": task.measure,
            "bound": bound,
        }
    )  # fmt: skip


def _references(wanted: NonInferiority, task: TaskReport) -> dict[str, Measure]:
    known = task.references
    if not known:
        action = "set release.gate.first_release to `nothing` or `base`, or waive the line for the first release"
        raise Unfit(f"first release: {wanted.task} is held against nothing in its report", action)
    if wanted.reference is None:
        return known
    if wanted.reference not in known:
        near = difflib.get_close_matches(wanted.reference, known, n=1)
        hint = f"did you mean `{near[0]}`?" if near else f"there is: {', '.join(sorted(known))}"
        words = f"{wanted.task} has no reference `{wanted.reference}`; {hint}"
        raise Unfit(words, "correct `reference` in release.gate.comparisons", ours=True)
    return {wanted.reference: known[wanted.reference]}


def _beyond(
    measure: Measure, references: dict[str, Measure], better: Literal["lower", "higher"]
) -> tuple[Verdict, float]:
    """The verdict, and the strictest reference."""
    if better == "lower":
        bound = min(one.value for one in references.values())
        worst, best = measure.high, measure.low
        holds, fails = worst is not None and worst < bound, best is not None and best >= bound
    else:
        bound = max(one.value for one in references.values())
        worst, best = measure.low, measure.high
        holds, fails = worst is not None and worst > bound, best is not None and best <= bound
    return ("GO" if holds else "NO-GO" if fails else "INCONCLUSIVE"), bound
