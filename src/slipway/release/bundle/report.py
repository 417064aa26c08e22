"""report.html: one self-contained page that shows a release to a person, every value out of a record.

It is written before the gate has judged, so its verdict is what its own reports say of the policy.
"""

import math
from collections import Counter
from collections.abc import Sequence

from markupsafe import Markup, escape

from slipway import page
from slipway.page import Section, digest, mark, table
from slipway.records import GateLine, OpennessReport, Verdict
from slipway.release.bundle import report_openness, training
from slipway.release.bundle.claims import lines
from slipway.release.bundle.material import Material, Point
from slipway.release.bundle.render import unbroken
from slipway.release.bundle.report_data import data
from slipway.release.bundle.report_evaluation import calibration, evaluation, worst
from slipway.release.bundle.report_safety import safety
from slipway.release.gate import overall
from slipway.settings import Waiver

SIGNS: dict[Verdict, page.Sign] = {"GO": "good", "NO-GO": "bad", "INCONCLUSIVE": "look"}

ORDER: tuple[Verdict, ...] = ("NO-GO", "INCONCLUSIVE", "GO")
"""What somebody has to look at comes first."""


def _verdict(material: Material) -> Section:
    found = lines(material)
    counted: Counter[Verdict] = Counter(line.verdict for line in found)
    together = overall(found)
    told = ", ".join(f"{counted[one]} {one}" for one in SIGNS if counted[one])
    waivers = len(material.recipe.release.gate.waivers)
    train, about = material.train, material.recipe.bundle
    bits = material.evaluate.tasks.get("bits_per_byte")
    body = page.banner(
        SIGNS[together],
        together,
        f"{len(found)} lines of the gate that these reports decide: {told}." if found else "No line was decided.",
        f"Waivers in the recipe: {waivers}. Whether they still hold is decided at release." if waivers else "",
    )
    body += page.paragraph(
        Markup(
            "Not decided here: comparison with the release before, the scan, known vulnerabilities of the software, "
            "and whether every file is the one that was measured. They are judged at release, on exactly these bytes: "
            "<code>GATE.html</code> beside this page has that verdict, the signed statement holds it."
        )
    )
    body += page.facts(
        [
            ("parameters", train.parameters),
            ("bits per byte, held out", bits.measure.value if bits else "not run"),
            ("training tokens", material.tokenize.tokens["train"]),
            ("documents kept", sum(material.prepare.splits.values())),
            ("licence", about.licence),
        ]
    )
    return Section("Verdict on its own reports", body)


def _claim(line: GateLine, waivers: Sequence[Waiver]) -> list[page.Cell]:
    notes = [f"{line.check} · {line.tier}"]
    if line.verdict != "GO" or (line.measure is None and line.value is None):
        notes.append(line.observed)
    if line.action:
        notes.append(f"What to do: {line.action}")
    notes += [f"Waiver of {one.by}, until {one.expires}: {one.reason}" for one in waivers if one.line == line.id]
    claim = escape(line.reason) + Markup("").join(
        Markup('<span class="why">{}</span>').format(page.prose(note)) for note in notes
    )
    measure = line.measure
    return [
        claim,
        mark(SIGNS[line.verdict], line.verdict),
        measure.value if measure else line.value,
        unbroken(measure) if measure else None,
        line.bound,
    ]


def _claims(material: Material) -> Section:
    stated = material.recipe.release.gate.waivers
    found = sorted(lines(material), key=lambda line: ORDER.index(line.verdict))
    rows = [_claim(line, stated) for line in found]
    body = table(["claim", "verdict", "figure", "95 % interval", "bound"], rows, cards=True)
    waivers: list[list[page.Cell]] = [
        [one.line, one.by, one.reason, Markup('<span class="keep">{}</span>').format(one.expires)] for one in stated
    ]
    if waivers:
        body += page.heading("Waivers") + table(["line", "who answers for it", "why", "last day"], waivers, cards=True)
    return Section(
        "What this release claims", body, "Each line of the policy beside the bound that it is held against."
    )


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
        page.pair(page.lines(series, "step", f"loss, {training.unit(train)}"), _rate(curve))
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
    size = math.ceil(len(curve) / 250) or 1
    note = f" Each point of the training line is the mean of {size} logged steps." if size > 1 else ""
    told: list[list[page.Cell]] = [list(row) for row in (*training.rows(material), *training.compute(material))]
    body += page.fold("How it was trained", table(["", ""], told))
    return Section("Learning curves", body, f"Mean loss while training.{note}")


def _rate(curve: tuple[Point, ...]) -> Markup:
    points = [(float(p.step), p.learning_rate) for p in curve if p.learning_rate is not None]
    every = math.ceil(len(points) / 250) or 1
    return page.lines({"learning rate": points[::every]}, "step", "learning rate") if points else Markup("")


def _samples(material: Material) -> Section:
    body = Markup("").join(
        Markup('<p class="why">{}{}</p><pre><b>{}</b>{}</pre>').format(
            one.decoding, "" if one.seed is None else f", seed {one.seed}", one.prompt, one.text
        )
        for one in material.evaluate.samples
    )
    return Section(
        "Samples",
        body or page.paragraph("No samples were recorded."),
        "What the model adds to a prompt, unchosen and unedited; the prompt is in colour.",
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


def render(material: Material, openness: OpennessReport) -> str:
    """The text of report.html; `openness` is that of the bundle it lies in."""
    parts = (
        *(_verdict, _claims, _training, evaluation, calibration, worst),
        *(safety, _samples, data),
    )
    about = material.recipe.bundle
    sections = [*(part(material) for part in parts), report_openness.section(openness), _provenance(material)]
    return page.render(about.title, about.summary, sections)
