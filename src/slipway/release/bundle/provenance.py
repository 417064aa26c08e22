"""provenance.json: an in-toto statement with SLSA provenance, unsigned here.

It says which recipe, lock and sources went in, what every stage read and wrote, and which files came out. It is
a claim of the builder; the release signs the manifest, and with it this file. No times and no host: those
vary from run to run and stand in the signed release statement.
"""

import json
from pathlib import Path
from typing import Any

from slipway import __version__
from slipway.errors import Refusal
from slipway.files import sha256_bytes, sha256_file
from slipway.recipe import Recipe
from slipway.release.bundle.material import Material

TYPE = "https://in-toto.io/Statement/v1"
PREDICATE = "https://slsa.dev/provenance/v1"
BUILD_TYPE = "urn:slipway:stage-graph:v1"


def recipe_json(recipe: Recipe) -> str:
    """The recipe as canonical JSON: what `recipe.json` holds and what provenance names by digest."""
    values = recipe.model_dump(mode="json", by_alias=True)
    return json.dumps(values, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def _resolved(material: Material, recipe_text: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = [
        {"name": "recipe.json", "digest": {"sha256": sha256_bytes(recipe_text.encode())}},
        {"name": "inputs.lock", "digest": {"sha256": sha256_file(material.root / "inputs.lock")}},
        {"name": "constraints.txt", "digest": {"sha256": sha256_file(material.root / "constraints.txt")}},
    ]
    for source in material.acquire.sources:
        notes = {"kind": source.kind, "licence": source.licence or "none stated", "version": source.version or "none"}
        rows.append({"name": source.source, "digest": {"sha256": source.digest}, "annotations": notes})
    for role, found in (("base", material.acquire.base), ("teacher", material.acquire.teacher)):
        if found:
            notes = {"role": role, "licence": found.licence, "version": found.version or "none"}
            rows.append({"name": found.location, "digest": {"sha256": found.digest}, "annotations": notes})
    for task in material.acquire.tasks:
        notes = {"kind": "evaluation", "licence": task.licence}
        rows.append({"name": task.location, "digest": {"sha256": task.digest}, "annotations": notes})
    return rows


def _stages(material: Material) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = [
        {
            "name": f"records/{stage}.json",
            "digest": {"sha256": sha256_bytes(record.to_json().encode())},
            "annotations": {"stage": stage, "inputs": record.inputs, "outputs": record.outputs},
        }
        for stage, record in material.records.items()
    ]
    for row in rows:
        if row["annotations"]["stage"] == "train":
            # Step and digest of each: what somebody who computes a stretch again compares with.
            row["annotations"]["checkpoints"] = [[step, digest] for step, digest in material.train.checkpoints]
    return rows


def validate(statement: dict[str, Any]) -> None:
    """Check a statement against the schemas of in-toto.

    Raises:
        Refusal: naming the field that is missing, unknown or of the wrong type.
    """
    from google.protobuf.json_format import ParseDict, ParseError
    from in_toto_attestation.predicates.provenance.v1.provenance_pb2 import Provenance
    from in_toto_attestation.v1.resource_descriptor import ResourceDescriptor
    from in_toto_attestation.v1.statement import Statement

    try:
        ParseDict(statement["predicate"], Provenance())
        subjects = [ResourceDescriptor(name=s["name"], digest=s["digest"]).pb for s in statement["subject"]]
        Statement(subjects, statement["predicateType"], statement["predicate"]).validate()
    except (ParseError, ValueError, KeyError) as error:
        raise Refusal(f"provenance.json is not a valid in-toto statement: {error}") from error
    if statement.get("_type") != TYPE or statement["predicateType"] != PREDICATE:
        raise Refusal(
            f"provenance.json: `_type` or `predicateType` is not that of SLSA provenance v1; expected {PREDICATE}"
        )


def render(material: Material, subjects: dict[str, str]) -> str:
    """The text of provenance.json.

    Args:
        material: recipe and records.
        subjects: path in the bundle -> sha256 of the files this is provenance of.
    """
    recipe_text = recipe_json(material.recipe)
    statement = {
        "_type": TYPE,
        "subject": [{"name": path, "digest": {"sha256": digest}} for path, digest in sorted(subjects.items())],
        "predicateType": PREDICATE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": {"recipe": json.loads(recipe_text)},
                "internalParameters": {
                    "signed": False,
                    "signature": "the release signs manifest.json, which lists this file",
                },
                "resolvedDependencies": _resolved(material, recipe_text),
            },
            "runDetails": {
                "builder": {"id": "urn:slipway:builder:unattested", "version": {"slipway": __version__}},
                "byproducts": _stages(material),
            },
        },
    }
    validate(statement)
    return json.dumps(statement, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def read(path: str | Path) -> dict[str, Any]:
    """Read and validate a provenance file; raises Refusal as `validate` does."""
    try:
        statement = json.loads(Path(path).read_bytes())
    except ValueError as error:
        raise Refusal(f"{path}: is not JSON ({error}); download the bundle again") from None
    validate(statement)
    return statement
