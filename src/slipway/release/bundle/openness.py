"""How open a release is: its class in the Model Openness Framework, and the lines of the Open Source AI Definition.

Framework: White et al., "The Model Openness Framework", arXiv 2403.13784; classes and components are those of its
version 1.0. Licences are judged as the authors' Model Openness Tool does it: any open licence counts, and one that is
made for another kind of thing is noted. Definition: Open Source Initiative, "The Open Source AI Definition 1.0",
https://opensource.org/ai/open-source-ai-definition.

Counted is what lies in the bundle, or what the bundle pins by digest and names with an open licence at a public place.
The pipeline's own code is neither: the signed statement names its commit, the bundle does not hold it.
"""

from collections.abc import Collection

from slipway.records import OpennessComponent, OpennessReport
from slipway.records.openness import Class
from slipway.release.bundle.definition import definition
from slipway.release.bundle.material import Material
from slipway.release.bundle.open_licences import ANY, APPROVED, DATA, is_open
from slipway.release.bundle.openness_data import data
from slipway.release.bundle.openness_found import Found, code, documents, parameters

NAME = "openness.json"
FRAMEWORK = "Model Openness Framework 1.0"
DEFINITION = "Open Source AI Definition 1.0"
COMPONENTS: tuple[tuple[str, str, str, bool], ...] = (
    ("Model architecture", "code", "III", False),
    ("Model parameters (final)", "data", "III", False),
    ("Technical report", "document", "III", False),
    ("Evaluation results", "document", "III", False),
    ("Model card", "document", "III", False),
    ("Data card", "document", "III", False),
    ("Sample model outputs", "document", "III", True),
    ("Training code", "code", "II", False),
    ("Inference code", "code", "II", False),
    ("Evaluation code", "code", "II", False),
    ("Evaluation data", "data", "II", False),
    ("Supporting libraries and tools", "code", "II", False),
    ("Research paper", "document", "I", False),
    ("Datasets", "data", "I", False),
    ("Data preprocessing code", "code", "I", False),
    ("Model parameters (intermediate)", "data", "I", False),
    ("Model metadata", "data", "I", True),
)
"""Name, kind, least open class that asks for it, and whether it is optional."""


def openness(material: Material, files: Collection[str]) -> OpennessReport:
    """Judge a bundle.

    Args:
        material: recipe and records.
        files: paths of the files that the bundle will have; only these are counted.
    """
    found = code(material) | documents(material) | data(material) | parameters(material, files)
    components = tuple(_judged(row, found[row[0]], files) for row in COMPONENTS)
    by_name = {one.name: one for one in components}
    lines = definition(material, by_name, files)
    return OpennessReport(
        framework=FRAMEWORK,
        mof_class=_class(components),
        components=components,
        definition=DEFINITION,
        osaid_met=all(line.met for line in lines),
        osaid=lines,
    )


def _judged(row: tuple[str, str, str, bool], found: Found, files: Collection[str]) -> OpennessComponent:
    name, kind, asked_by, optional = row
    absent = [path for path in found.where if path not in files]
    if found.missing or absent or not found.where:
        status, note = "missing", found.missing or f"the bundle has no {', '.join(absent) or 'such file'}"
    elif not all(is_open(one) for one in found.licences) or found.closed:
        closed = sorted({one or "none stated" for one in found.licences if not is_open(one)})
        status, note = "not open", found.closed or f"licence not known to be open: {', '.join(closed)}"
    else:
        status, note = "included", "; ".join(part for part in (found.note, _fit(kind, found)) if part)
    single = set(found.licences)
    return OpennessComponent.model_validate(
        {
            "name": name, "kind": kind, "asked_by": asked_by, "optional": optional, "status": status,
            "where": tuple(path for path in found.where if path in files),
            "licence": next(iter(single)) if len(single) == 1 else None, "note": note,
        }
    )  # fmt: skip


def _fit(kind: str, found: Found) -> str:
    """A reserve: the licence is open, but made for another kind of thing."""
    mine = (DATA if kind == "data" else APPROVED) | ANY
    other = sorted({one for one in found.licences if one in (APPROVED | DATA | ANY) - mine})
    if not other or kind == "document":
        return ""
    told = "is an open licence, but not one" if len(other) == 1 else "are open licences, but not"
    return f"{', '.join(other)} {told} made for {kind}"


def _class(components: Collection[OpennessComponent]) -> Class:
    """The most open class all of whose components, and those of the classes below, are included."""
    reached: Class = "none"
    for name in ("III", "II", "I"):
        if any(one.status != "included" for one in components if one.asked_by == name and not one.optional):
            break
        reached = name
    return reached
