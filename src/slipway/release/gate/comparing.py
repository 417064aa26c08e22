"""The comparisons of the policy: what the model is held against, and whether it may be.

The base is asked for the same items in the same build. The champion is the release that the channel names; its results
count only if every digest of the task is equal (harness, task, prompt, few-shot, decoding, tokenizer, chat template,
data). Otherwise the line says so, and gives no number. `deciding` says what the difference comes to.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from slipway.records import EvaluateReport, GateLine, TaskReport, Verdict
from slipway.release.gate.champion import Champion
from slipway.release.gate.deciding import WAIVE, Pending, decide
from slipway.release.gate.pairing import Unfit, pair
from slipway.release.gate.stand_in import stand_in
from slipway.settings import Gate, NonInferiority
from slipway.statistics import compare, derived

if TYPE_CHECKING:
    import pyarrow as pa

MAY_LACK = 0.1
"""Share of the items that may not fit the base's form of a question."""
RESAMPLES = 4999
"""Draws behind an interval: the smallest p-value is 1/5000, enough to correct for a hundred comparisons."""


@dataclass(frozen=True)
class Measured:
    """What `evaluate` left of the model that is judged."""

    report: EvaluateReport | None
    items: "pa.Table | None"
    fault: str = ""
    """Why one of them is missing."""
    digest: str = ""
    """Of the bundle; a champion of the same digest is this very model."""


@dataclass(frozen=True)
class _Case:
    """Everything that is the same for all lines."""

    gate: Gate
    model: Measured
    champion: Champion | None
    registered: str | None
    seed: int


@dataclass(frozen=True)
class _Other:
    """What the model is held against."""

    name: str
    against: str
    """`base` or `champion`."""
    items: "pa.Table"
    own_form: bool = False
    """It was asked in words of its own, so that an item may not have fitted."""


def lines(
    gate: Gate, model: Measured, champion: Champion | None, registered: str | None = None, *, seed: int
) -> list[GateLine]:
    """A line for each comparison of the policy, in its order.

    Args:
        gate: the policy.
        model: what is judged.
        champion: the release that the channel names, or None.
        registered: bundle digest that the registry calls released; None if it names none, or is not asked.
        seed: of the resampling.
    """
    return _all(gate.comparisons, _Case(gate, model, champion, registered, seed))


def base_lines(gate: Gate, model: Measured, *, seed: int) -> list[GateLine]:
    """The lines that need no champion: those against the base."""
    wanted = [one for one in gate.comparisons if one.against == "base"]
    return _all(wanted, _Case(gate, model, None, None, seed))


def _all(wanted: Sequence[NonInferiority], case: _Case) -> list[GateLine]:
    return decide([_line(one, case) for one in wanted], case.gate.min_items)


def _line(wanted: NonInferiority, case: _Case) -> GateLine | Pending:
    line = GateLine(
        id=f"{wanted.task} vs {wanted.against}",
        check=f"{wanted.task}: at most {wanted.margin:g} worse than the {wanted.against}",
        tier=wanted.tier,
        verdict="INCONCLUSIVE",
        observed="",
        reason=wanted.reason,
    )
    try:
        task = _task(wanted.task, case.model)
        if wanted.against == "base":
            return _compared(line, wanted, task, _base(wanted, task, case), case)
        if case.champion is not None and case.champion.manifest_sha256 == case.model.digest:
            # Before anything is said of the registry: a release that was stopped halfway must be able to finish.
            words = f"this very bundle is {case.champion.release} already: nothing to compare"
            return line.model_copy(update={"verdict": "GO", "observed": words})
        champion = _one_champion(case)
        if champion is None and case.gate.first_release == "base":
            line = line.model_copy(update={"check": f"{line.check}; before the first release, than the base"})
            return _compared(line, wanted, task, _base(wanted, task, case), case)
        if champion is None:
            first: Literal["references", "nothing"] = (
                "nothing" if case.gate.first_release == "nothing" else "references"
            )
            return stand_in(line, wanted, task, first)
        return _compared(line, wanted, task, _champion(wanted, task, champion), case)
    except Unfit as unfit:
        verdict: Verdict = "NO-GO" if unfit.ours else "INCONCLUSIVE"
        return line.model_copy(update={"verdict": verdict, "observed": str(unfit), "action": unfit.action})


def _task(name: str, model: Measured) -> TaskReport:
    if model.report is None or model.items is None:
        raise Unfit(model.fault or "there is no report of `evaluate`", "run `slipway build`", ours=True)
    if reason := model.report.not_run.get(name):
        raise Unfit(f"{name}: not run: {reason}", f"give it what it needs and rebuild, {WAIVE}")
    if name not in model.report.tasks:
        known = ", ".join(sorted(model.report.tasks))
        raise Unfit(f"evaluate has no task `{name}`; there is: {known}", "correct release.gate.comparisons", ours=True)
    return model.report.tasks[name]


def _one_champion(case: _Case) -> Champion | None:
    """The champion, if channel and registry do not contradict each other."""
    champion, registered = case.champion, case.registered
    held = champion.manifest_sha256 if champion else None
    if registered is not None and registered != held:
        named = f"{champion.release}, bundle {champion.manifest_sha256[:12]}" if champion else "no release"
        raise Unfit(
            f"two champions: the channel names {named}; the registry calls bundle {registered[:12]} released",
            "find out which of the two is in use, and set the registry's alias `released` or the channel to it; delete "
            "the alias if this registry does not follow the store",
        )
    return champion


def _base(wanted: NonInferiority, task: TaskReport, case: _Case) -> _Other:
    report, table = case.model.report, case.model.items
    if task.base is None or table is None:
        raise Unfit(f"the base was not asked for {wanted.task}", f"see reports/evaluate.json for the reason, {WAIVE}")
    # The base is judged by the form of a question that suits it better: other words, the same answers.
    asked = wanted.task in ("answers", "question") and report is not None and report.base is not None
    own_form = asked and report.base.answers_form is not None  # type: ignore[union-attr]
    return _Other("the base", "base", table, own_form)


def _champion(wanted: NonInferiority, task: TaskReport, champion: Champion) -> _Other:
    release, once = champion.release, "release once with this line waived (release.gate.waivers)"
    if champion.report is None or champion.items is None:
        action = f"{once}: from then on there is a table to compare with"
        raise Unfit(f"{release} cannot be compared item by item: {champion.unfit}", action)
    other = champion.report.tasks.get(wanted.task)
    if other is None:
        why = champion.report.not_run.get(wanted.task, "its recipe did not ask it")
        raise Unfit(f"{release} has no task `{wanted.task}`: {why}", f"{once}, or make it advisory until then")
    differing = task.identity.differs(other.identity)
    differing += [name for name in ("unit", "better") if getattr(task, name) != getattr(other, name)]
    if differing:
        versions = f" (here {task.identity.harness}, there {other.identity.harness})" if "harness" in differing else ""
        action = (
            f"build the recipe of {release} again with this Slipway and these items and release that first, {WAIVE}"
        )
        raise Unfit(f"not comparable with {release}: {', '.join(differing)}{versions}", action)
    return _Other(release, "champion", champion.items)


def _compared(line: GateLine, wanted: NonInferiority, task: TaskReport, other: _Other, case: _Case) -> Pending:
    if case.model.items is None:
        raise Unfit(case.model.fault, "run `slipway build`", ours=True)
    paired = pair(
        case.model.items,
        other.items,
        wanted.task,
        against=other.against,
        same_prompts=not other.own_form,
        may_lack=MAY_LACK if other.own_form else 0.0,
    )
    found = compare(
        paired.ours, paired.theirs, paired.weights, paired.families,
        better=task.better, resamples=RESAMPLES, seed=derived(case.seed, f"gate {line.id}"),
    )  # fmt: skip
    return Pending(line, wanted.margin, found, other.name, task.unit, paired.left_out)
