"""The release statement: what this release is, signed, beside the bundle.

An in-toto Statement v1 with SLSA provenance (https://slsa.dev/spec/v1.0/provenance) about the manifest. Here, and
only here, stands what varies from run to run: time, commit, run id, what training cost. It claims SLSA Build level 1
and no more: the key lies on the machine that built.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slipway.errors import Refusal
from slipway.records import GateVerdict, LedgerReport, Record
from slipway.release import gate_page, materials
from slipway.release.signing.envelope import seal, unseal
from slipway.release.signing.signature import IN_TOTO

if TYPE_CHECKING:
    from securesystemslib.signer import Signer

NAME = "statement.json"
PREDICATE = "https://slsa.dev/provenance/v1"
BUILD_TYPE = "urn:slipway:release:1"


class Identity(Record):
    """Which release this is."""

    name: str
    version: str
    sequence: int
    """Place in the line of releases of this name, from 1."""
    predecessor: str | None
    """Manifest digest of the release that the channel held before; None for the first."""
    manifest_sha256: str
    """The bundle digest."""


def write(
    root: Path,
    identity: Identity,
    signer: "Signer",
    *,
    created: str,
    gate: GateVerdict | None,
    approvals: Mapping[str, Any],
    ledger: LedgerReport | None = None,
    run_id: str | None = None,
) -> bytes:
    """The signed statement of a release, as bytes.

    Args:
        root: the project; recipe, locks, commit, data, base, what each stage read and made are named by digests.
        identity: which release this is.
        signer: of this project.
        created: time of signing, ISO 8601 with time zone.
        gate: the gate's verdict; GATE.html is made of it, and there is none without.
        approvals: who approved, as a record.
        ledger: what training cost.
        run_id: MLflow run of the build.
    """
    from google.protobuf.json_format import MessageToDict
    from in_toto_attestation.v1.resource_descriptor import ResourceDescriptor
    from in_toto_attestation.v1.statement import Statement

    predicate = {
        "buildDefinition": {
            "buildType": BUILD_TYPE,
            "externalParameters": {"release": identity.model_dump(mode="json")},
            "internalParameters": {"approvals": dict(approvals)}
            | ({"gate": gate.model_dump(mode="json"), "pages": [gate_page.NAME]} if gate else {"gate": {}})
            | ({"ledger": ledger.model_dump(mode="json")} if ledger else {}),
            "resolvedDependencies": materials.resolved(root),
        },
        "runDetails": {
            "builder": {"id": "urn:slipway:builder:own-machine"},
            "metadata": {"finishedOn": created} | ({"invocationId": run_id} if run_id else {}),
            "byproducts": materials.byproducts(root),
        },
    }
    subject = ResourceDescriptor(name="manifest.json", digest={"sha256": identity.manifest_sha256})
    statement = Statement([subject.pb], PREDICATE, predicate)
    statement.validate()
    # Protobuf's Struct would turn every integer of the predicate into a float.
    return seal(MessageToDict(statement.pb) | {"predicate": predicate}, IN_TOTO, signer)


def read(data: bytes, public: bytes, what: str = NAME) -> tuple[Identity, dict[str, Any]]:
    """Identity and whole content of a statement, after its signature was checked with `public` (PEM).

    Raises:
        Refusal: if the signature does not hold, or the content is no release statement.
    """
    content = unseal(data, IN_TOTO, public, what)
    try:
        parameters = content["predicate"]["buildDefinition"]["externalParameters"]
        identity = Identity.model_validate(parameters["release"])
        subject = [(entry["name"], entry["digest"]) for entry in content["subject"]]
        if content["predicateType"] != PREDICATE or subject != [
            ("manifest.json", {"sha256": identity.manifest_sha256})
        ]:
            raise Refusal(f"{what}: signed, but not about the manifest it stands beside")
        summary(content)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise Refusal(f"{what}: signed, but no release statement ({type(error).__name__}: {error})") from None
    return identity, content


def summary(content: Mapping[str, Any]) -> dict[str, Any]:
    """What a statement says that a verifier wants to see: time, gate, approvals, commit; empty where it is silent."""
    build, run = content["predicate"]["buildDefinition"], content["predicate"].get("runDetails", {})
    inside = build.get("internalParameters", {})
    git: Mapping[str, Any] = next(
        (entry for entry in build.get("resolvedDependencies", []) if entry.get("name") == "git"), {}
    )
    return {
        "signed_at": str(run.get("metadata", {}).get("finishedOn", "")),
        "gate": str(inside.get("gate", {}).get("verdict", "")),
        "approvals": str(inside.get("approvals", {}).get("summary", "")),
        "commit": git.get("digest", {}).get("gitCommit"),
        "dirty": git.get("annotations", {}).get("dirty"),
    }
