"""README.md: the model card in the Hugging Face schema, every value out of a record.

The metadata at its head is made by huggingface_hub, so the hub and its tools can read the evaluation.
"""

import re
from collections import Counter
from typing import TYPE_CHECKING, Any

from slipway.gguf.layout import file_name
from slipway.page import visible
from slipway.records import OpennessReport, PrepareReport, TaskReport, ValidateReport
from slipway.release.bundle import licence, subcards, training
from slipway.release.bundle.claims import lines
from slipway.release.bundle.limits import limits
from slipway.release.bundle.material import Material
from slipway.release.bundle.render import markdown, share
from slipway.release.bundle.results import beside, held_against, reference, safety_rows, tasks, words

if TYPE_CHECKING:
    from huggingface_hub import EvalResult


def hub(location: str, kind: str = "") -> str | None:
    """`owner/name` of a place on a Hugging Face hub; None for any other place."""
    found = re.match(rf"hf://{kind}([\w.-]+/[\w.-]+)(?:@|/|$)", location)
    return found.group(1) if found else None


def _metadata(material: Material) -> str:
    from huggingface_hub import ModelCardData

    recipe, base = material.recipe, material.acquire.base
    return ModelCardData(
        language=list(recipe.bundle.language),
        library_name="transformers",
        pipeline_tag="text-generation",
        model_name=recipe.name,
        tags=["slipway", str(material.architecture.get("model_type", "unknown"))],
        eval_results=[_result(material, name, task) for name, task in tasks(material.evaluate)],
        datasets=sorted({found for s in material.acquire.sources if (found := hub(s.location, "datasets/"))}) or None,
        base_model=hub(base.location) if base and material.train.start == "base" else None,
        **licence.hub_name(recipe.bundle.licence),
    ).to_yaml()


def _plain(text: str) -> str:
    """Text for the card's head, which Markdown readers that know no front matter read as Markdown."""
    return visible(text).translate(str.maketrans("<>", "()"))


def _result(material: Material, name: str, task: TaskReport) -> "EvalResult":
    """A task in the hub's schema. The hub tells results apart by data set and its configuration, not by task."""
    from huggingface_hub import EvalResult

    brought = {one.name: one.digest for one in material.acquire.tasks}
    if name in brought or not task.identity.harness.startswith("slipway"):
        shown = _plain(name)
        data: dict[str, Any] = {"dataset_type": shown, "dataset_name": shown}
        data |= {"dataset_revision": brought.get(name, task.identity.data)}
    else:
        recipe = material.recipe.name
        data = {"dataset_type": recipe, "dataset_name": f"{recipe}, held-out split", "dataset_split": "test"}
        data |= {"dataset_config": name, "dataset_revision": material.evaluate.test_sha256}
    measure, unit, called = task.measure, _plain(task.unit), _plain(words(name))
    return EvalResult(
        task_type="text-generation",
        task_name=called.capitalize(),
        metric_type="accuracy" if unit == "share right" else unit.replace(" ", "_"),
        metric_name=f"{called if called == unit else f'{called}, {unit}'} ({task.better} is better)",
        metric_value=measure.value,
        metric_args={
            "interval_95": None if measure.low is None else [measure.low, measure.high],
            "n": measure.n,
            "method": measure.method,
            "references": {_plain(key): one.value for key, one in sorted(task.references.items())},
            "harness": task.identity.harness,
        },
        **data,
    )


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


def render(material: Material, openness: OpennessReport) -> str:
    """The text of README.md; `openness` is that of the bundle it lies in."""
    return markdown(
        "card.md.j2",
        metadata=_metadata(material),
        m=material,
        tasks=tasks(material.evaluate),
        words=words,
        reference=reference,
        held_against=held_against,
        safety=safety_rows(material.safety.probes),
        lines=lines(material),
        limits=limits(material),
        beside=beside(material.evaluate),
        statuses=statuses(material.contract),
        asked=asked(material.prepare),
        residual=residual(material.prepare),
        architecture=training.architecture(material),
        parameters=training.parameters(material),
        training=training.rows(material),
        compute=training.compute(material),
        openness=openness,
        exported=[file_name(material.recipe.name, kind) for kind in material.recipe.bundle.gguf],
        subcards=subcards.subcards(material),
    )
