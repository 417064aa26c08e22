"""The parts of report.html about quality: every task beside what it is held against, calibration, worst items."""

from markupsafe import Markup

from slipway import page
from slipway.page import Section, digest, mark, number, table
from slipway.records import Measure, TaskReport, WorstItem
from slipway.release.bundle.material import Material
from slipway.release.bundle.render import interval, unbroken
from slipway.release.bundle.results import beside, held_against, reference, tasks, words

MODEL = "this model"
SHOWN_GROUPS = 12
"""Groups shown without unfolding."""


def _bars(named: list[tuple[str, Measure]], unit: str) -> Markup:
    """Bars with intervals; figures below zero have no bar, so they are left to the tables."""
    drawn = [(name, one) for name, one in named if one.value >= 0]
    if not drawn:
        return Markup("")
    return page.bars(
        [name for name, _ in drawn],
        [one.value for _, one in drawn],
        [(one.low, one.high) for _, one in drawn],
        unit=unit,
        emphasis=[MODEL],
    )


def _measures(named: list[tuple[str, Measure]]) -> Markup:
    rows: list[list[page.Cell]] = [[name, one.value, unbroken(one), one.n] for name, one in named]
    return table(["", "figure", "95 % interval", "n"], rows, cards=True)


def _overview(material: Material) -> Markup:
    rows: list[list[page.Cell]] = [
        [
            Markup('{}<span class="why">{}, {} is better</span>').format(words(name), task.unit, task.better),
            task.measure.value,
            unbroken(task.measure),
            task.measure.n,
            held_against(task),
        ]
        for name, task in tasks(material.evaluate)
    ]
    body = table(["task", "figure", "95 % interval", "n", "held against"], rows, cards=True)
    missing: list[list[page.Cell]] = [
        [words(name), mark("unknown", "not run"), reason] for name, reason in sorted(material.evaluate.not_run.items())
    ]
    if missing:
        body += page.heading("Not run") + table(["task", "status", "why"], missing, cards=True)
    return body


def _beside(material: Material) -> Markup:
    compared = beside(material.evaluate)
    if not compared:
        asked = material.evaluate.base is None
        text = "Training started from new weights: there is no base to compare with." if asked else ""
        label = mark("void", "not applicable") if asked else mark("unknown", "not run")
        return page.heading("Beside the base") + page.paragraph(Markup("{} {}").format(label, text))
    rows: list[list[page.Cell]] = [
        [
            Markup('{}<span class="why">{} is better</span>').format(row.what, row.better),
            row.base.value,
            row.difference.value,
            unbroken(row.difference),
            row.difference.n,
        ]
        for row in compared
    ]
    headers = ["task", "base", "model minus base", "95 % interval", "n"]
    note = page.paragraph("Compared item by item, so the interval is that of the improvement itself.")
    return page.heading("Beside the base") + note + table(headers, rows, cards=True)


def _identity(task: TaskReport) -> Markup:
    rows: list[list[page.Cell]] = [
        [words(name), digest(value) if len(value) == 64 else value] for name, value in task.identity
    ]
    seeds = ", ".join(map(str, task.seeds))
    if seeds:
        rows.append(["seeds", seeds])
    return page.fold("What must be equal to compare this figure", table(["", ""], rows))


def _task(name: str, task: TaskReport) -> Markup:
    named = [(MODEL, task.measure)]
    if task.base:
        named.append(("base", task.base))
    named += [(reference(key, short=True), one) for key, one in sorted(task.references.items())]
    body = page.heading(words(name).capitalize()) + page.paragraph(task.definition)
    left = _bars(named, f"{task.unit}, {task.better} is better") or _measures(named)
    right = _measures([(words(key), one) for key, one in sorted(task.metrics.items())]) if task.metrics else Markup("")
    groups = sorted(task.groups.items(), key=lambda item: (item[1].value, item[0]))
    if groups:
        shown = _bars(groups[:SHOWN_GROUPS], f"{task.unit}, by group")
        if rest := groups[SHOWN_GROUPS:]:
            shown += page.fold(f"{len(rest)} more groups", _measures(rest))
        right = (shown or _measures(groups)) + right
    return body + page.pair(left, right) + _identity(task)


def evaluation(material: Material) -> Section:
    """The section `Evaluation`."""
    report = material.evaluate
    body = _overview(material) + _beside(material)
    for name, task in tasks(report):
        body += _task(name, task)
    return Section(
        "Evaluation",
        body,
        f"{report.test_documents:,} held-out documents, {report.test_bytes:,} bytes. In brackets: 95 % intervals. n "
        "counts families of similar items, which are what is independent.",
    )


def calibration(material: Material) -> Section:
    """The section `Calibration`."""
    parts = []
    for name, task in tasks(material.evaluate):
        if (found := task.calibration) is None:
            continue
        error = found.expected_error
        title, words_ = (
            page.heading(words(name).capitalize()),
            page.facts([("expected calibration error", error.value)]),
        )
        note = page.paragraph(f"95 % interval {interval(error)}, n = {error.n:,} ({error.method}).")
        plot = page.reliability([(one.confidence, one.accuracy, one.n) for one in found.bins]) if found.bins else ""
        parts.append(title + words_ + note + plot)
    return Section(
        "Calibration",
        page.pair(*parts)
        if parts
        else page.paragraph(Markup("{} No task picks among choices.").format(mark("void", "not applicable"))),
        "Whether it is as often right as it is sure. A dot is a group of answers of similar confidence, the larger "
        "the more of them; on the dashed line both are equal, below it the model is too sure.",
    )


def _worst(item: WorstItem, unit: str) -> Markup:
    parts = [("asked", item.prompt), ("expected", item.expected), ("given", item.given)]
    shown = Markup("\n").join(Markup("<b>{}</b>\n{}").format(label, text) for label, text in parts if text)
    return Markup('<p><code>{}</code> <span class="why">{} {}</span></p><pre>{}</pre>').format(
        item.item, number(item.value), unit, shown
    )


def worst(material: Material) -> Section:
    """The section `Worst items`."""
    body = Markup("")
    for name, task in tasks(material.evaluate):
        if task.worst:
            choices = any(item.given for item in task.worst)
            unit = "nats by which a wrong answer won" if choices and task.unit == "share right" else task.unit
            shown = Markup("").join(_worst(item, unit) for item in task.worst)
            body += page.fold(f"{words(name).capitalize()}: {len(task.worst)} worst", shown)
    return Section(
        "Worst items",
        body or page.paragraph("None were recorded."),
        "What the model does worst at, for people to look at: text of the held-out split and of the tasks, unedited.",
    )
