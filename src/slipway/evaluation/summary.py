"""From rows of the item table to the report of a task: figure, figures by source, calibration, difference to the base.

Where items say little the interval is wide or missing, and the method of the measure says which: see
`slipway.statistics`.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from slipway.evaluation.calibration import calibration
from slipway.evaluation.tasks.task import Made, Material, Task, identity
from slipway.items import Item
from slipway.records import Measure, TaskReport
from slipway.statistics import derived, paired_difference, ratio, share

if TYPE_CHECKING:
    from slipway.evaluation.scoring import Scorer


def figure(items: Sequence[Item], resamples: int, seed: int) -> Measure:
    """Sum of values over sum of weights, with its 95 % interval; `items` must not be empty."""
    values, weights = np.array([item.value for item in items]), np.array([item.weight for item in items])
    return estimate(values, weights, [item.family for item in items], resamples, seed)


def estimate(values: np.ndarray, weights: np.ndarray, families: Sequence[str], resamples: int, seed: int) -> Measure:
    """As `figure`, from columns of shape (items,).

    Answers to questions of different families are independent trials. Answers that are all alike show no spread to
    resample, so there each family counts as one trial, right or wrong.
    """
    if are_answers(values, weights):
        right, groups = int(values.sum()), len(set(families))
        if groups == len(values):
            return share(right, len(values))
        if right in (0, len(values)):
            return share(groups if right else 0, groups)
    return ratio(values, weights, families, resamples, seed)


def are_answers(values: np.ndarray, weights: np.ndarray) -> bool:
    """Whether every item is right or wrong, and counts alike."""
    return bool(np.isin(values, (0, 1)).all() and (weights == 1).all())


def difference(model: Sequence[Item], base: Sequence[Item], resamples: int, seed: int) -> Measure | None:
    """Model minus base over the items that both answered; None if there is none."""
    by_item = {(item.item, item.seed): item for item in base}
    pairs = [(item, by_item[item.item, item.seed]) for item in model if (item.item, item.seed) in by_item]
    if not pairs:
        return None
    own, other, weights = (
        np.array(some)
        for some in ([a.value for a, _ in pairs], [b.value for _, b in pairs], [a.weight for a, _ in pairs])
    )
    found = paired_difference(own, other, weights, [item.family for item, _ in pairs], resamples, seed)
    return found.model_copy(update={"method": f"model minus base, {found.method}"})


def summarise(
    task: Task,
    made: Made,
    material: Material,
    *,
    scorer: "Scorer",
    model: Sequence[Item],
    base: Sequence[Item] = (),
) -> TaskReport:
    """The report of a task from the rows of the model and, if there is one, of the base; `model` must not be empty."""
    resamples, seed, facts = material.settings.bootstrap, derived(material.seed, task.name), made.facts
    sources: dict[str, list[Item]] = {}
    for item in model if facts.groups else ():
        sources.setdefault(facts.groups[item.item], []).append(item)
    return TaskReport(
        measure=figure(model, resamples, seed),
        unit=made.unit,
        better=made.better,
        definition=f"{task.definition} {facts.note}".rstrip(),
        identity=identity(task, facts, material),
        references=made.references(),
        groups={source: figure(some, resamples, seed) for source, some in sorted(sources.items())},
        calibration=calibration(model, resamples, seed),
        worst=made.worst(scorer, model),
        base=figure(base, resamples, seed) if base else None,
        base_difference=difference(model, base, resamples, seed) if base else None,
    )
