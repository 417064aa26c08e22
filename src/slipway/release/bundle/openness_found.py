"""What there is of each component of the Model Openness Framework: code, documents and parameters."""

from collections.abc import Collection
from dataclasses import dataclass

from slipway import __version__
from slipway.release.bundle.material import Material
from slipway.release.bundle.open_licences import is_open
from slipway.release.bundle.packages import Package, runtime
from slipway.release.bundle.render import many

MODELS = "transformers"
"""The library whose code a published model is: `config.json` names one of its architectures."""
NOT_HERE = (
    f"the code of Slipway {__version__} and of the project: the signed statement names its git commit, but the bundle "
    "neither holds it nor pins it by digest; publish it beside the release"
)


@dataclass(frozen=True)
class Found:
    """What there is of one component."""

    where: tuple[str, ...] = ()
    """Files of the bundle that are it or pin it."""
    licences: tuple[str | None, ...] = ()
    """Of all its parts; None for one that states none."""
    note: str = ""
    """What counts as it."""
    missing: str = ""
    """Why it is not in the bundle, and what would be needed; empty if it is."""
    closed: str = ""
    """Why it is not open, where licences alone do not say it."""


def packages(material: Material) -> list[Package]:
    """The packages in the bill of materials."""
    return runtime(material.root / "constraints.txt")


def running(material: Material) -> Found:
    """The code that runs the model."""
    if "auto_map" in material.architecture:
        return Found(missing="config.json asks for code of its own, which no release may hold")
    found = next((one for one in packages(material) if one.name == MODELS), None)
    if found is None or found.record_sha256 is None:
        return Found(missing=f"bom.cdx.json does not pin {MODELS} by digest")
    kind = material.architecture.get("model_type", "unknown")
    return Found(
        where=("config.json", "bom.cdx.json"),
        licences=(found.licence,),
        note=f"`{kind}` of {MODELS} {found.version}, pinned by the digest of its files in bom.cdx.json",
    )


def code(material: Material) -> dict[str, Found]:
    """Components that are code, by name."""
    run = running(material)
    listed = packages(material)
    closed = [one.name for one in listed if not (one.approved or is_open(one.licence))]
    loose = [one.name for one in listed if not (one.record_sha256 or one.archive_sha256)]
    libraries = Found(
        where=("bom.cdx.json",),
        licences=(),
        note=f"{many(len(listed), 'package')} with version, licence and digest",
        missing=f"bom.cdx.json does not pin {', '.join(loose) or 'any package'} by digest"
        if loose or not listed
        else "",
        closed=f"no licence known to be open is stated by {', '.join(closed)}" if closed else "",
    )
    return {
        "Model architecture": run,
        "Inference code": run,
        "Training code": Found(missing=NOT_HERE),
        "Evaluation code": Found(missing=NOT_HERE),
        "Data preprocessing code": Found(missing=NOT_HERE),
        "Supporting libraries and tools": libraries,
    }


def documents(material: Material) -> dict[str, Found]:
    """Components that are documents, by name."""
    licence = (material.recipe.bundle.licence,)
    samples, tasks = len(material.evaluate.samples), len(material.evaluate.tasks)
    shown = Found(
        ("records/evaluate.json", "report.html"), licence, f"{many(samples, 'sample')}, unchosen and unedited"
    )
    return {
        "Technical report": Found(
            ("report.html", "README.md"), licence, "how it was made, what it can do and how it is used"
        ),
        "Evaluation results": Found(
            ("records/evaluate.json", "records/evaluate_items.parquet"), licence, f"{many(tasks, 'task')}, item by item"
        ),
        "Model card": Found(("README.md",), licence),
        "Data card": Found(("DATA.md",), licence),
        "Sample model outputs": shown if samples else Found(missing="no samples were recorded"),
        "Research paper": Found(missing="a bundle holds none; publish one, or a report as detailed"),
    }


def parameters(material: Material, files: Collection[str]) -> dict[str, Found]:
    """Components that are parameters or settings, by name."""
    licence = material.recipe.bundle.licence
    weights = next((name for name in ("model.safetensors", "model.safetensors.index.json") if name in files), "")
    learnt = [material.acquire.base if material.train.start == "base" else None, material.acquire.teacher]
    origins = [one for one in learnt if one]
    closed = [f"{one.location} ({one.licence})" for one in origins if not is_open(one.licence)]
    chain = len(material.train.checkpoints)
    return {
        "Model parameters (final)": Found(
            (weights,) if weights else (),
            (licence, *(one.licence for one in origins)),
            closed=f"the weights derive from {', '.join(closed)}" if closed else "",
        ),
        "Model parameters (intermediate)": Found(
            missing=f"records/train.json has the digests of {many(chain, 'checkpoint')}; their bytes are "
            "not in the bundle, and whether they are at hand is known only at release (`release.checkpoints`)"
        ),
        "Model metadata": Found(("recipe.json", "records/train.json"), (licence,), "recipe and record of training"),
    }
