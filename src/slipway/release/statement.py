"""The release statement: what this release is, signed, beside the bundle.

An in-toto Statement v1 with SLSA provenance (https://slsa.dev/spec/v1.0/provenance) about the manifest. Here, and
only here, stands what varies from run to run: time, commit, run id, what training cost. It claims SLSA Build level 1
and no more: the key lies on the machine that built.
"""

import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slipway.errors import Refusal
from slipway.files import sha256_file
from slipway.records import GateVerdict, LedgerReport, Record
from slipway.release import gate_page
from slipway.release.envelope import seal, unseal
from slipway.release.signature import IN_TOTO

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


def git_state(root: Path) -> dict[str, Any]:
    """Commit and changed tracked files; `{"commit": None}` outside a repository."""

    def ask(*arguments: str) -> str | None:
        try:
            done = subprocess.run(
                ["git", *arguments], cwd=root, capture_output=True, text=True, check=False, timeout=60
            )
        except FileNotFoundError:
            return None
        return done.stdout if done.returncode == 0 else None

    commit = ask("rev-parse", "HEAD")
    if commit is None:
        return {"commit": None, "dirty": None, "changed": []}
    changed = sorted(line[3:] for line in (ask("status", "--porcelain", "--untracked-files=no") or "").splitlines())
    return {"commit": commit.strip(), "dirty": bool(changed), "changed": changed}


def _materials(root: Path, git: Mapping[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [
        {"name": name, "digest": {"sha256": sha256_file(root / name)}}
        for name in ("params.yaml", "inputs.lock", "dvc.yaml", "dvc.lock", "constraints.txt")
        if (root / name).is_file()
    ]
    if git["commit"]:
        annotations = {"dirty": git["dirty"], "changed": git["changed"]}
        found.append({"name": "git", "digest": {"gitCommit": git["commit"]}, "annotations": annotations})
    return found


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
        root: the project; its recipe, locks, commit and reports are named with their digests.
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

    reports = sorted((root / "reports").glob("*.json"))
    predicate = {
        "buildDefinition": {
            "buildType": BUILD_TYPE,
            "externalParameters": {"release": identity.model_dump(mode="json")},
            "internalParameters": {"approvals": dict(approvals)}
            | ({"gate": gate.model_dump(mode="json"), "pages": [gate_page.NAME]} if gate else {"gate": {}})
            | ({"ledger": ledger.model_dump(mode="json")} if ledger else {}),
            "resolvedDependencies": _materials(root, git_state(root)),
        },
        "runDetails": {
            "builder": {"id": "urn:slipway:builder:own-machine"},
            "metadata": {"finishedOn": created} | ({"invocationId": run_id} if run_id else {}),
            "byproducts": [
                {"name": f"reports/{path.name}", "digest": {"sha256": sha256_file(path)}} for path in reports
            ],
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
    except (KeyError, TypeError, ValueError) as error:
        raise Refusal(f"{what}: signed, but no release statement ({type(error).__name__}: {error})") from None
    return identity, content
