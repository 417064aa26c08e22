"""Limits of the model that its records show: what was not measured, and where it is no better than a reference."""

from collections.abc import Iterator

from slipway.page import number
from slipway.release.bundle.claims import lines
from slipway.release.bundle.material import Material
from slipway.release.bundle.render import interval
from slipway.release.bundle.results import beaten, beside, probes, reference, tasks, words


def limits(material: Material) -> list[str]:
    """One sentence per limit, derived from records, so none goes stale."""
    return [*_policy(material), *_evaluation(material), *_base(material), *_safety(material)]


def _policy(material: Material) -> Iterator[str]:
    for line in lines(material):
        if line.verdict != "GO":
            yield f"{line.verdict} on its own reports: {line.reason} ({line.observed})."


def _evaluation(material: Material) -> Iterator[str]:
    report = material.evaluate
    for name, task in tasks(report):
        for key, other in sorted(task.references.items()):
            if not beaten(task, other):
                figure = f"{number(task.measure.value)}, 95 % interval {interval(task.measure)}"
                yield (
                    f"{words(name)}: not surely better than {reference(key)} ({figure}, against "
                    f"{number(other.value)} {task.unit})."
                )
    for name, reason in sorted(report.not_run.items()):
        yield f"{words(name)} was not asked, so nothing is known of it: {reason}."


def _base(material: Material) -> Iterator[str]:
    for row in beside(material.evaluate):
        low, high = row.difference.low, row.difference.high
        low, high = (row.difference.value, row.difference.value) if low is None or high is None else (low, high)
        if not (high < 0 if row.better == "lower" else low > 0):
            yield (
                f"{row.what}: not surely better than the base (model minus base {number(row.difference.value)}, "
                f"95 % interval {interval(row.difference)})."
            )


def _safety(material: Material) -> Iterator[str]:
    for name, probe in probes(material.safety.probes):
        if probe.status == "not run":
            yield f"{words(name)} was not run, so nothing is known of it: {probe.reason}."
