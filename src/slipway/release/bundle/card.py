"""README.md: the model card in the Hugging Face schema, every value out of a record.

The metadata at its head is made by huggingface_hub, so the hub and its tools can read the evaluation.
"""

import re
from collections import Counter
from dataclasses import dataclass
from typing import Any, NamedTuple

from slipway.records import EvaluateReport, Measure, PrepareReport, Probe, ValidateReport
from slipway.release.bundle import licence, training
from slipway.release.bundle.claims import claims
from slipway.release.bundle.material import Material
from slipway.release.bundle.render import interval, markdown, share

NAMES = {
    "model": "this model",
    "gzip": "gzip",
    "xz": "xz",
    "zstd_dictionary": "zstd, dictionary trained on the training split",
    "byte_5gram": "byte 5-gram, fitted on the training split",
}


@dataclass(frozen=True)
class Row:
    """One line of the safety table."""

    probe: str
    status: str
    measure: str
    value: float | None
    interval: str
    n: int | None
    note: str


def ranked(report: EvaluateReport) -> list[tuple[str, Measure]]:
    """Bits per byte by name, the model first, its baselines after it in alphabetical order."""
    return sorted(report.bits_per_byte.items(), key=lambda item: (item[0] != "model", item[0]))


def safety_rows(probes: dict[str, Probe]) -> list[Row]:
    """One row per measure of a probe that was run, one row per probe that was not; run ones first."""
    rows = []
    for name, probe in sorted(probes.items(), key=lambda item: (item[1].status != "run", item[0])):
        if probe.status != "run" or not probe.measures:
            rows.append(Row(name, probe.status, "–", None, "–", None, probe.reason))
        for measure, value in sorted(probe.measures.items()):
            rows.append(Row(name, probe.status, measure, value.value, interval(value), value.n, value.method))
    return rows


def hub(location: str, kind: str = "") -> str | None:
    """`owner/name` of a place on a Hugging Face hub; None for any other place."""
    found = re.match(rf"hf://{kind}([\w.-]+/[\w.-]+)(?:@|/|$)", location)
    return found.group(1) if found else None


def _metadata(material: Material) -> str:
    from huggingface_hub import EvalResult, ModelCardData

    recipe, report, base = material.recipe, material.evaluate, material.acquire.base
    own = {"dataset_type": recipe.name, "dataset_name": f"{recipe.name}, held-out split"}
    held_out = own | {"dataset_split": "test", "dataset_revision": report.test_sha256}
    brought = {
        task.name: {"dataset_type": task.name, "dataset_name": task.name, "dataset_revision": task.digest}
        for task in material.acquire.tasks
    }

    def result(task: str, kind: str, name: str, value: float, data: dict[str, Any]) -> EvalResult:
        return EvalResult(
            task_type="text-generation", task_name=task, metric_type=kind, metric_name=name, metric_value=value, **data
        )

    bits = report.bits_per_byte["model"].value
    results = [result("Text generation", "bits_per_byte", "bits per byte (lower is better)", bits, held_out)]
    if report.answers:
        words = "bits per byte of answers, given what was said before (lower is better)"
        results.append(result("Answers", "bits_per_byte", words, report.answers.value, held_out))
    for task, choice in sorted(report.choices.items()):
        name = f"accuracy, {task} choice (chance {choice.chance:g})"
        data = brought.get(task, held_out)
        results.append(result(f"{task} choice".capitalize(), "accuracy", name, choice.accuracy.value, data))
    return ModelCardData(
        language=list(recipe.bundle.language),
        library_name="transformers",
        pipeline_tag="text-generation",
        model_name=recipe.name,
        tags=["slipway", str(material.architecture.get("model_type", "unknown"))],
        eval_results=results,
        datasets=sorted({found for s in material.acquire.sources if (found := hub(s.location, "datasets/"))}) or None,
        base_model=hub(base.location) if base and material.train.start == "base" else None,
        **licence.hub_name(recipe.bundle.licence),
    ).to_yaml()


class Beside(NamedTuple):
    """One measure of the model beside that of its base."""

    what: str
    base: Measure
    difference: Measure


def beside(report: EvaluateReport) -> list[Beside]:
    """What was measured on the base too; empty if training started from new weights."""
    found = report.base
    if found is None:
        return []
    rows = [Beside("bits per byte, text", found.bits_per_byte, found.bits_per_byte_difference)]
    if found.answers and found.answers_difference:
        form = "with the chat template" if found.answers_form == "template" else "asked in plain text, which suits it"
        rows.append(Beside(f"bits per byte, answers (base {form})", found.answers, found.answers_difference))
    return rows


def statuses(contract: ValidateReport) -> str:
    """How many expectations were met, not met and not run, in words."""
    counted = Counter(line.status for line in contract.expectations)
    return ", ".join(f"{counted[status]} {status}" for status in ("met", "not met", "not run") if counted[status])


def asked(prepare: PrepareReport) -> str:
    """What the licences of the kept documents ask of the release, each duty once, with the licences that ask it."""
    if prepare.licences and not prepare.obligations:
        return "not known: the record lists no obligations"
    duties: dict[str, list[str]] = {}
    for line in prepare.obligations:
        for duty in line.asks:
            duties.setdefault(duty, []).append(line.licence)
    return "; ".join(f"{duty} ({', '.join(sorted(by))})" for duty, by in sorted(duties.items())) or "nothing"


def residual(prepare: PrepareReport) -> str:
    """By set, the share of its words that kept training text still holds in runs."""
    found = sorted(prepare.contamination.residual.items())
    return ", ".join(f"{name} {share(part)}" for name, part in found) or "not measured"


def render(material: Material) -> str:
    """The text of README.md."""
    return markdown(
        "card.md.j2",
        metadata=_metadata(material),
        m=material,
        names=NAMES,
        bits=ranked(material.evaluate),
        safety=safety_rows(material.safety.probes),
        claims=claims(material),
        beside=beside(material.evaluate),
        statuses=statuses(material.contract),
        asked=asked(material.prepare),
        residual=residual(material.prepare),
        architecture=training.architecture(material),
        parameters=training.parameters(material),
        training=training.rows(material),
        compute=training.compute(material),
    )
