"""README.md: the model card in the Hugging Face schema, every value out of a record.

The metadata at its head is made by huggingface_hub, so the hub and its tools can read the evaluation.
"""

from dataclasses import dataclass

from slipway.records import EvaluateReport, Measure, Probe
from slipway.release.bundle import licence
from slipway.release.bundle.claims import claims
from slipway.release.bundle.material import Material
from slipway.release.bundle.render import interval, markdown

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


def _metadata(material: Material) -> str:
    from huggingface_hub import EvalResult, ModelCardData

    recipe, report = material.recipe, material.evaluate

    def result(task: str, kind: str, name: str, value: float) -> EvalResult:
        return EvalResult(
            task_type="text-generation",
            task_name=task,
            dataset_type=recipe.name,
            dataset_name=f"{recipe.name}, held-out split",
            dataset_split="test",
            dataset_revision=report.test_sha256,
            metric_type=kind,
            metric_name=name,
            metric_value=value,
        )

    bits = report.bits_per_byte["model"].value
    results = [result("Text generation", "bits_per_byte", "bits per byte (lower is better)", bits)]
    for task, choice in sorted(report.choices.items()):
        name = f"accuracy, {task} choice (chance {choice.chance:g})"
        results.append(result(f"{task} choice".capitalize(), "accuracy", name, choice.accuracy.value))
    return ModelCardData(
        language=list(recipe.bundle.language),
        library_name="transformers",
        pipeline_tag="text-generation",
        model_name=recipe.name,
        tags=["slipway", str(material.architecture.get("model_type", "unknown"))],
        eval_results=results,
        **licence.hub_name(recipe.bundle.licence),
    ).to_yaml()


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
    )
