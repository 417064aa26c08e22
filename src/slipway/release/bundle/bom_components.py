"""Components of the bill of materials: the model and what it descends from, data, and the software behind it.

A digest stands under `hashes` where it is one of bytes that anybody can hash: the weights, a task file, a package's
archive. A digest over a list of files is a property and says what it is of, so that nobody takes it for the other.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from slipway.files import weights_of
from slipway.records import BaseRecord, OpennessReport, SourceRecord, TaskRecord
from slipway.release.bundle.material import Material
from slipway.release.bundle.packages import Package

if TYPE_CHECKING:
    from cyclonedx.model.component import Component
    from cyclonedx.model.license import License

WHOLE = "model.safetensors"
LISTING = "sorted lines `<sha256>  <path>` of its files"
MODEL = "machine-learning-model"


def _licences(expression: str | None, words: str | None = None) -> "list[License]":
    from cyclonedx.contrib.license.factories import LicenseFactory
    from cyclonedx.model.license import DisjunctiveLicense

    if expression:
        return [LicenseFactory().make_from_string(expression)]
    return [DisjunctiveLicense(name=words)] if words else []


def component(kind: str, name: str, **fields: Any) -> "Component":
    """A component; `digest` is the sha256 of its bytes, `notes` are properties of ours, what is None is left out."""
    from cyclonedx.model import HashAlgorithm, HashType, Property
    from cyclonedx.model.component import Component, ComponentType

    digest, notes = fields.pop("digest", None), fields.pop("notes", {})
    stated = [(key, value) for key, value in sorted(notes.items()) if value is not None]
    return Component(
        type=ComponentType(kind),
        name=name,
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=digest)] if digest else [],
        properties=[Property(name=f"slipway:{key}", value=value) for key, value in stated],
        **fields,
    )


def model(material: Material, files: Mapping[str, str], openness: OpennessReport) -> "Component":
    """The model, with the base that its training started from as its ancestor.

    `files` are those of the model, path to sha256. Weights in one file are named by its digest, others by one over all.
    """
    from cyclonedx.model.component import Pedigree

    recipe, start = material.recipe, material.acquire.base if material.train.start == "base" else None
    pedigree = Pedigree(ancestors=[origin(start, "base", ref="ancestor:base")]) if start else None
    notes = {
        "openness_mof_class": openness.mof_class,
        "openness_osaid": "met" if openness.osaid_met else "not met",
        "parameters": str(material.train.parameters),
        "weights": WHOLE if WHOLE in files else "model.safetensors.index.json",
        "weights_sha256": weights_of(files),
        "weights_sha256_of": None if WHOLE in files else "sorted lines `<sha256>  <path>` of its parts and their index",
    }
    return component(
        MODEL,
        recipe.name,
        bom_ref="model",
        description=recipe.bundle.summary,
        digest=files.get(WHOLE),
        licenses=_licences(recipe.bundle.licence),
        pedigree=pedigree,
        notes=notes,
    )


def origin(found: BaseRecord, role: str, ref: str | None = None) -> "Component":
    """Weights of others: the base that training started from, or the teacher."""
    notes = {"bytes": str(found.bytes), "files": str(found.files), "role": role}
    return component(
        MODEL,
        found.location,
        version=found.version,
        bom_ref=ref or role,
        licenses=_licences(found.licence),
        notes=notes | {"files_sha256": found.digest, "files_sha256_of": LISTING},
    )


def source(found: SourceRecord) -> "Component":
    """A source of training data."""
    notes = {
        "documents": str(found.documents),
        "files": str(found.files),
        "files_sha256": found.digest,
        "files_sha256_of": LISTING,
        "kind": found.kind,
        "licence_evidence": found.licence_evidence,
        "location": found.location,
    }
    return component(
        "data",
        found.source,
        version=found.version,
        bom_ref=f"data:{found.source}",
        licenses=_licences(found.licence),
        notes=notes,
    )


def task(found: TaskRecord) -> "Component":
    """A task file that the model was evaluated on, and that training data was cleaned of."""
    notes = {"items": str(found.items), "kind": "evaluation", "location": found.location}
    return component(
        "data",
        found.name,
        bom_ref=f"task:{found.name}",
        digest=found.digest,
        licenses=_licences(found.licence),
        notes=notes,
    )


def library(package: Package) -> "Component":
    """An installed package."""
    from packageurl import PackageURL

    purl = PackageURL("pypi", None, package.name, package.version)
    notes = {
        "pinned": "true" if package.pinned else "false",
        "record_sha256": package.record_sha256,
        "record_sha256_of": f"{LISTING}, as its wheel's RECORD lists them" if package.record_sha256 else None,
    }
    return component(
        "library",
        package.name,
        version=package.version,
        bom_ref=purl.to_string(),
        purl=purl,
        digest=package.archive_sha256,
        licenses=_licences(package.licence, package.licence_words),
        notes=notes,
    )
