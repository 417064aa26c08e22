"""Results of tasks and probes as every document shows them: one order, one name for each thing."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from slipway.page import number
from slipway.records import EvaluateReport, Measure, Probe, TaskReport
from slipway.release.bundle.render import interval
from slipway.settings.evaluate import OWN_TASKS

SHORT = {"zstd_dictionary": "zstd with dictionary", "byte_5gram": "byte 5-gram"}
NAMES = {
    "zstd_dictionary": "zstd, dictionary trained on the training split",
    "byte_5gram": "byte 5-gram, fitted on the training split",
}
"""Of references, where the record's key does not say enough."""
STATUSES = ("not run", "run", "not applicable")
"""Of probes, in the order in which they are shown: what nobody knows comes first."""


@dataclass(frozen=True)
class Row:
    """One line of the card's safety table."""

    probe: str
    status: str
    measure: str
    value: float | None
    interval: str
    n: int | None
    note: str


class Beside(NamedTuple):
    """One task of the model beside that of its base."""

    what: str
    base: Measure
    difference: Measure
    better: str
    """`lower` or `higher`."""


def words(name: str) -> str:
    """A key of a record as a reader sees it."""
    return name.replace("_", " ")


def reference(name: str, *, short: bool = False) -> str:
    """What a reference is called."""
    return (SHORT if short else NAMES).get(name, words(name))


def natural(measures: Mapping[str, Measure]) -> list[tuple[str, Measure]]:
    """By name, numbers in names by their size: `exposure_4` before `exposure_16`."""

    def key(item: tuple[str, Measure]) -> list[tuple[int, str]]:
        return [(int(part), "") if part.isdecimal() else (0, part) for part in re.split(r"(\d+)", item[0])]

    return sorted(measures.items(), key=key)


def tasks(report: EvaluateReport) -> list[tuple[str, TaskReport]]:
    """By name: the pipeline's own tasks in their order, then the recipe's in alphabetical order."""
    own = [name for name in OWN_TASKS if name in report.tasks]
    return [(name, report.tasks[name]) for name in (*own, *sorted(report.tasks.keys() - set(own)))]


def held_against(task: TaskReport) -> str:
    """The task's references in words, each with its value; a dash if it has none."""
    found = sorted(task.references.items())
    return ", ".join(f"{reference(name, short=True)} {number(one.value)}" for name, one in found) or "–"


def beaten(task: TaskReport, other: Measure) -> bool:
    """Whether the whole interval of the task's figure is on the better side of a reference's value."""
    low, high = task.measure.low, task.measure.high
    if low is None or high is None:
        low = high = task.measure.value
    return high < other.value if task.better == "lower" else low > other.value


def beside(report: EvaluateReport) -> list[Beside]:
    """Tasks that the base was asked too; empty if training started from new weights."""
    rows = []
    for name, task in tasks(report):
        if task.base is None or task.base_difference is None:
            continue
        shown = words(name)
        if name == "answers" and report.base and report.base.answers_form:
            plain = report.base.answers_form == "plain"
            shown += f" (base {'asked in plain text, which suits it' if plain else 'with the chat template'})"
        rows.append(Beside(f"{shown}, {task.unit}", task.base, task.base_difference, task.better))
    return rows


def probes(found: dict[str, Probe]) -> list[tuple[str, Probe]]:
    """By name: not run, run, not applicable, each in alphabetical order."""
    return sorted(found.items(), key=lambda item: (STATUSES.index(item[1].status), item[0]))


def safety_rows(found: dict[str, Probe]) -> list[Row]:
    """One row per measure of a probe that was run, one row per probe that has none."""
    rows = []
    for name, probe in probes(found):
        if not probe.measures:
            rows.append(Row(name, probe.status, "–", None, "–", None, probe.reason))
        for measure, value in natural(probe.measures):
            rows.append(Row(name, probe.status, measure, value.value, interval(value), value.n, value.method))
    return rows
