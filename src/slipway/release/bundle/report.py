"""report.html: one self-contained page that shows a release to a person, every value out of a record.

It is written before the gate has judged, so it shows claims beside their bounds, and no verdict.
"""

import math

from markupsafe import Markup

from slipway import page
from slipway.page import Section, digest, number, table, verdict
from slipway.release.bundle import training
from slipway.release.bundle.card import NAMES, beside, ranked, safety_rows
from slipway.release.bundle.claims import claims
from slipway.release.bundle.material import Material, Point
from slipway.release.bundle.render import interval
from slipway.release.bundle.report_data import data

SHORT = {"model": "this model", "zstd_dictionary": "zstd with dictionary", "byte_5gram": "byte 5-gram"}


def _claims(material: Material) -> Section:
    words = {True: "within its bound", False: "outside its bound", None: "not known yet"}
    rows: list[list[page.Cell]] = [
        [
            Markup("{}<br><code>{}</code>").format(claim.reason, claim.origin),
            verdict(claim.holds, words[claim.holds]),
            claim.observed,
            f"{claim.relation}\u00a0{'?' if claim.bound is None else number(claim.bound)}",
        ]
        for claim in claims(material)
    ]
    train, report = material.train, material.evaluate
    head = page.facts(
        [
            ("parameters", train.parameters),
            ("bits per byte, held out", report.bits_per_byte["model"].value),
            ("training tokens", material.tokenize.tokens["train"]),
            ("documents kept", sum(material.prepare.splits.values())),
            ("licence", material.recipe.bundle.licence),
        ]
    )
    return Section(
        "What this release claims",
        head + table(["claim", "so far", "observed", "bound"], rows),
        "The lines of the release gate. The gate judges later, on exactly these bytes; its verdict, the approvals "
        "and the signature stand in the release statement, not on this page.",
    )


def _evaluation(material: Material) -> Section:
    report = material.evaluate
    bits = ranked(report)
    plot = page.bars(
        [SHORT.get(name, name) for name, _ in bits],
        [measure.value for _, measure in bits],
        [(measure.low, measure.high) for _, measure in bits],
        unit="bits per byte, lower is better",
        emphasis=["this model"],
    )
    rows: list[list[page.Cell]] = [[NAMES.get(name, name), m.value, interval(m), m.n, m.method] for name, m in bits]
    body = plot + table(["", "bits per byte", "95 % interval", "n", "method"], rows)
    if report.answers:
        answers = report.answers
        body += Markup("<h3>Answers</h3>") + page.facts(
            [("bits per byte", answers.value), ("families of documents", answers.n)]
        )
        body += page.paragraph(
            "Turns of the assistant and completions, each after all that was said before it, rendered as in training; "
            f"95 % interval {interval(answers)} ({answers.method})."
        )
    if compared := beside(report):
        body += Markup("<h3>Beside the base</h3>")
        shown: list[list[page.Cell]] = [
            [row.what, row.base.value, row.difference.value, interval(row.difference), row.difference.n]
            for row in compared
        ]
        body += table(["", "base", "model minus base", "95 % interval", "n"], shown)
    by_source = sorted(report.bits_per_byte_by_source.items(), key=lambda item: (item[1], item[0]))
    if by_source:
        body += Markup("<h3>By source</h3>")
        body += page.bars([name for name, _ in by_source], [value for _, value in by_source], unit="bits per byte")
    return Section(
        "Evaluation",
        body,
        f"{report.test_documents:,} held-out documents, {report.test_bytes:,} bytes; all rows describe the same text.",
    )


def _choices(material: Material) -> Section:
    body = Markup("")
    for name, choice in sorted(material.evaluate.choices.items()):
        accuracy = choice.accuracy
        body += Markup("<h3>{}</h3>").format(name.capitalize()) + page.paragraph(choice.definition)
        body += page.bars(
            ["this model"],
            [accuracy.value],
            [(accuracy.low, accuracy.high)],
            unit=f"accuracy, n = {accuracy.n:,}, 95 %: {interval(accuracy)}",
            emphasis=["this model"],
            reference=("chance", choice.chance),
        )
    left_out: list[list[page.Cell]] = [
        [name, verdict(None, "not run"), reason] for name, reason in sorted(material.evaluate.choices_left_out.items())
    ]
    if left_out:
        body += table(["task", "status", "reason"], left_out)
    return Section("Choice tasks", body, "One right answer among several; the dashed line is what guessing gets.")


def _thin(points: tuple[Point, ...], most: int = 250) -> list[tuple[float, float]]:
    """Training loss as means over equal runs of steps, so that the page stays small."""
    size = math.ceil(len(points) / most) or 1
    groups = [points[i : i + size] for i in range(0, len(points), size)]
    return [(group[-1].step, sum(p.loss for p in group) / len(group)) for group in groups]


def _training(material: Material) -> Section:
    train, curve = material.train, material.curve
    validated = [(p.step, p.validation_loss) for p in curve if p.validation_loss is not None]
    series = {"training": _thin(curve)} | ({"validation": validated} if validated else {})
    body = (
        page.lines(series, "step", f"loss, {training.unit(train)}")
        if curve
        else page.paragraph("The training log is empty.")
    )
    body += page.facts(
        [
            ("steps", train.steps),
            ("step of the weights", train.best_step),
            ("tokens seen", train.tokens_seen),
            ("training loss", train.train_loss),
            ("validation loss", train.validation_loss),
            ("gap", train.gap),
            ("stopped early", "yes" if train.stopped_early else "no"),
        ]
    )
    body += _rate(curve)
    size = math.ceil(len(curve) / 250) or 1
    note = f" Each point of the training line is the mean of {size} logged steps." if size > 1 else ""
    told: list[list[page.Cell]] = [list(row) for row in (*training.rows(material), *training.compute(material))]
    body += page.fold("How it was trained", table(["", ""], told))
    return Section("Learning curve", body, f"Mean loss while training.{note}")


def _rate(curve: tuple[Point, ...]) -> Markup:
    points = [(float(p.step), p.learning_rate) for p in curve if p.learning_rate is not None]
    every = math.ceil(len(points) / 250) or 1
    return page.lines({"learning rate": points[::every]}, "step", "learning rate") if points else Markup("")


def _safety(material: Material) -> Section:
    rows = [
        [
            row.probe.replace("_", " "),
            verdict(True if row.status == "run" else None, row.status),
            row.measure,
            row.value,
            row.interval,
            row.n,
            row.note,
        ]
        for row in safety_rows(material.safety.probes)
    ]
    headers = ["probe", "status", "measure", "value", "95 % interval", "n", "note"]
    return Section("Safety", table(headers, rows), "“Not run” means that nothing is known. It never means “passed”.")


def _samples(material: Material) -> Section:
    body = Markup("").join(
        Markup("<pre><b>{}</b>{}</pre>").format(prompt, text) for prompt, text in material.evaluate.samples
    )
    return Section(
        "Samples",
        body or page.paragraph("No samples were recorded."),
        "Greedy continuations, unchosen and unedited; the prompt is in colour.",
    )


def _provenance(material: Material) -> Section:
    rows = []
    for stage, record in material.records.items():
        for kind, files in (("read", record.inputs), ("wrote", record.outputs)):
            for path, sha256 in sorted(files.items()):
                rows.append([stage, kind, path, digest(sha256)])
    shown: list[list[page.Cell]] = [
        [stage, len(record.inputs), len(record.outputs), digest(_first(record.outputs)), record.slipway]
        for stage, record in material.records.items()
    ]
    body = table(["stage", "files read", "files written", "first output", "slipway"], shown)
    body += page.fold("Every file with its digest", table(["stage", "", "file", "sha256"], rows))
    return Section(
        "Provenance",
        body,
        "What each stage read and wrote. A file that one stage wrote and another read has the same digest in both "
        "rows; provenance.json holds the same in machine-readable form.",
    )


def _first(outputs: dict[str, str]) -> str:
    return outputs[min(outputs)] if outputs else "none"


def render(material: Material) -> str:
    """The text of report.html."""
    parts = (_claims, _evaluation, _choices, _training, _safety, data, _samples, _provenance)
    about = material.recipe.bundle
    return page.render(about.title, about.summary, [part(material) for part in parts])
