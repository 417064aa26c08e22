"""bom.cdx.json: the bill of materials (CycloneDX 1.6): the model with its model card, its data, its software.

Strictly validated against the schema before it is written. Without serial number and timestamp, because
both would differ between two builds of the same bytes. "No licence stated" is left empty, not guessed.
"""

import json
from typing import TYPE_CHECKING, Any

from slipway import __version__
from slipway.errors import Refusal
from slipway.records import Measure, SourceRecord
from slipway.release.bundle.limits import limits
from slipway.release.bundle.material import Material
from slipway.release.bundle.packages import Package, runtime
from slipway.release.bundle.results import tasks

if TYPE_CHECKING:
    from cyclonedx.model.component import Component
    from cyclonedx.model.license import License

MODEL = "model"
APPROACHES = {"pretrain": "self-supervised", "distill": "self-supervised"}
"""Objectives that learn from plain text; the others learn from answers that people or models gave."""


def _licences(expression: str | None, words: str | None = None) -> "list[License]":
    from cyclonedx.contrib.license.factories import LicenseFactory
    from cyclonedx.model.license import DisjunctiveLicense

    if expression:
        return [LicenseFactory().make_from_string(expression)]
    return [DisjunctiveLicense(name=words)] if words else []


def _component(kind: str, name: str, **fields: Any) -> "Component":
    from cyclonedx.model import HashAlgorithm, HashType, Property
    from cyclonedx.model.component import Component, ComponentType

    digest, notes = fields.pop("digest", None), fields.pop("notes", {})
    return Component(
        type=ComponentType(kind),
        name=name,
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=digest)] if digest else [],
        properties=[Property(name=f"slipway:{key}", value=value) for key, value in sorted(notes.items())],
        **fields,
    )


def _data(source: SourceRecord) -> "Component":
    notes = {
        "documents": str(source.documents),
        "files": str(source.files),
        "kind": source.kind,
        "licence_evidence": source.licence_evidence,
        "location": source.location,
        "digest_of": "sorted lines `<sha256>  <path>`",
    }
    return _component(
        "data",
        source.source,
        version=source.version,
        bom_ref=f"data:{source.source}",
        digest=source.digest,
        licenses=_licences(source.licence),
        notes=notes,
    )


def _library(package: Package) -> "Component":
    from packageurl import PackageURL

    purl = PackageURL("pypi", None, package.name, package.version)
    return _component(
        "library",
        package.name,
        version=package.version,
        bom_ref=purl.to_string(),
        purl=purl,
        licenses=_licences(package.licence, package.licence_words),
        notes={"pinned": "true" if package.pinned else "false"},
    )


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


def render(material: Material, weights_sha256: str) -> str:
    """The text of bom.cdx.json, for weights with this digest; raises UserError as `packages.runtime`."""
    from cyclonedx.model.bom import Bom
    from cyclonedx.model.component import Component
    from cyclonedx.output.json import JsonV1Dot6

    recipe = material.recipe
    model = _component(
        "machine-learning-model",
        recipe.name,
        bom_ref=MODEL,
        description=recipe.bundle.summary,
        digest=weights_sha256,
        licenses=_licences(recipe.bundle.licence),
        notes={"parameters": str(material.train.parameters), "weights": "model.safetensors"},
    )
    data = [_data(source) for source in material.acquire.sources]
    libraries = [_library(package) for package in runtime(material.root / "constraints.txt")]
    bom = Bom(components=[*data, *libraries])
    bom.metadata.component = model
    builder: Component = _component("application", "slipway", version=__version__, bom_ref="slipway")
    bom.metadata.tools.components.add(builder)
    bom.register_dependency(model, [*data, *libraries])
    document = json.loads(JsonV1Dot6(bom).output_as_string())
    document.pop("serialNumber", None)
    document["metadata"].pop("timestamp", None)
    document["metadata"]["component"]["modelCard"] = _model_card(material)
    text = json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    validate(text)
    return text
