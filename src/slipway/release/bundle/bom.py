"""bom.cdx.json: the bill of materials (CycloneDX 1.6): the model with its model card, its data, its software.

Strictly validated against the schema before it is written. Without serial number and timestamp, because
both would differ between two builds of the same bytes. "No licence stated" is left empty, not guessed.
"""

import json
from collections.abc import Mapping
from typing import Any

from slipway import __version__
from slipway.errors import Refusal
from slipway.records import Measure, OpennessReport
from slipway.release.bundle import bom_components as parts
from slipway.release.bundle.limits import limits
from slipway.release.bundle.material import Material
from slipway.release.bundle.packages import runtime
from slipway.release.bundle.results import tasks

APPROACHES = {"pretrain": "self-supervised", "distill": "self-supervised"}
"""Objectives that learn from plain text; the others learn from answers that people or models gave."""


def _metric(kind: str, name: str, measure: Measure) -> dict[str, Any]:
    metric: dict[str, Any] = {"type": kind, "value": repr(measure.value), "slice": f"{name}, n = {measure.n}"}
    if measure.low is not None and measure.high is not None:
        metric["confidenceInterval"] = {"lowerBound": repr(measure.low), "upperBound": repr(measure.high)}
    return metric


def _model_card(material: Material) -> dict[str, Any]:
    """The `modelCard` of the schema, which the library has no class for."""
    report, about = material.evaluate, material.recipe.bundle
    waivers = [f"{one.line}: {one.by}, until {one.expires}" for one in material.recipe.release.gate.waivers]
    metrics = []
    for name, task in tasks(report):
        metrics.append(_metric(task.unit, name, task.measure))
        metrics += [_metric(task.unit, f"{name}: {key}", one) for key, one in sorted(task.references.items())]
        metrics += [_metric(task.unit, f"{name}: of {key}", one) for key, one in sorted(task.groups.items())]
    missing = [
        f"{name}: {probe.status}" for name, probe in sorted(material.safety.probes.items()) if probe.status != "run"
    ]
    for name, probe in sorted(material.safety.probes.items()):
        metrics += [_metric(f"safety: {name}", key, measure) for key, measure in sorted(probe.measures.items())]
    return {
        "bom-ref": "model-card",
        "modelParameters": {
            "approach": {"type": APPROACHES.get(material.train.objective, "supervised")},
            "task": "text-generation",
            "architectureFamily": "transformer",
            "modelArchitecture": str(material.architecture.get("model_type", "unknown")),
            "datasets": [{"ref": f"data:{source.source}"} for source in material.acquire.sources],
            "inputs": [{"format": "text"}],
            "outputs": [{"format": "text"}],
        },
        "quantitativeAnalysis": {"performanceMetrics": metrics},
        "considerations": {
            "useCases": [about.intended_use],
            "technicalLimitations": [about.limitations, *limits(material)],
        },
        "properties": [
            {"name": "slipway:evaluation_not_run", "value": "; ".join(sorted(report.not_run)) or "none"},
            {"name": "slipway:safety_not_run", "value": "; ".join(missing) or "none"},
            {"name": "slipway:waivers", "value": "; ".join(waivers) or "none"},
        ],
    }


def validate(text: str) -> None:
    """Check a bill of materials against the strict schema of CycloneDX 1.6; raises Refusal naming the first fault."""
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    if fault := JsonStrictValidator(SchemaVersion.V1_6).validate_str(text):
        raise Refusal(f"bom.cdx.json does not keep the schema of CycloneDX 1.6: {str(fault.data)[:400]}")


def _described(material: Material) -> dict[str, list[dict[str, Any]]]:
    """The `data` of the schema, which the library has no class for: `bom-ref` of a data component to what it holds."""
    found = material.acquire
    rows = [(f"data:{one.source}", one.source, one.location) for one in found.sources]
    rows += [(f"task:{one.name}", one.name, one.location) for one in found.tasks]
    return {
        ref: [{"type": "dataset", "name": name, "contents": {"properties": [_property("location", location)]}}]
        for ref, name, location in rows
    }


def _property(name: str, value: str) -> dict[str, str]:
    return {"name": f"slipway:{name}", "value": value}


def render(material: Material, files: Mapping[str, str], openness: OpennessReport) -> str:
    """The text of bom.cdx.json.

    Args:
        material: recipe and records.
        files: of the model, path to sha256.
        openness: of the bundle.

    Raises:
        Refusal: if it does not keep the schema.
        UserError: as `packages.runtime`.
    """
    from cyclonedx.model.bom import Bom
    from cyclonedx.output.json import JsonV1Dot6

    found = material.acquire
    model = parts.model(material, files, openness)
    data = [*map(parts.source, found.sources), *map(parts.task, found.tasks)]
    origins = [parts.origin(found.base, "base")] if found.base else []
    origins += [parts.origin(found.teacher, "teacher")] if found.teacher else []
    libraries = [parts.library(package) for package in runtime(material.root / "constraints.txt")]
    bom = Bom(components=[*data, *origins, *libraries])
    bom.metadata.component = model
    bom.metadata.tools.components.add(parts.component("application", "slipway", version=__version__, bom_ref="slipway"))
    bom.register_dependency(model, [*data, *origins, *libraries])
    document = json.loads(JsonV1Dot6(bom).output_as_string())
    document.pop("serialNumber", None)
    document["metadata"].pop("timestamp", None)
    document["metadata"]["component"]["modelCard"] = _model_card(material)
    described = _described(material)
    for one in document["components"]:
        if one["bom-ref"] in described:
            one["data"] = described[one["bom-ref"]]
    text = json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    validate(text)
    return text
