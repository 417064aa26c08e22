"""The OpenSSF model signature over a release directory: every file but the signature itself.

A verifier needs nothing of Slipway: `model_signing verify key DIR --signature DIR/model.sig --public_key KEY`.
Unlike that command, `read` ignores no path at all (the command passes over `.git`).
"""

import json
import shutil
from base64 import b64encode
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slipway.errors import Refusal
from slipway.files import copy_hashed, sha256_bytes, sha256_file, walk, write_atomic
from slipway.release.signing import certificates
from slipway.release.signing.envelope import unseal
from slipway.release.signing.keys import public_of

if TYPE_CHECKING:
    from securesystemslib.signer import Signer

NAME = "model.sig"
IN_TOTO = "application/vnd.in-toto+json"
MEDIA_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"
PREDICATE = "https://model_signing/signature/v1.0"


def stage(bundle: Path, target: Path) -> dict[str, str]:
    """Make `target` a copy of `bundle`; what else lies there goes. No links: a bundle's files have one name each.

    Returns: path -> sha256 of the bytes that were copied.
    """
    if target.exists():
        shutil.rmtree(target)
    found = {}
    for path in walk(bundle):
        name = path.relative_to(bundle).as_posix()
        found[name] = copy_hashed(path, target / name)
    return found


def sign(directory: Path, signer: "Signer", known: Mapping[str, str] | None = None) -> Path:
    """Sign every file in `directory` (sha256, nothing ignored) and write `model.sig` into it.

    Args:
        directory: a release; a signature that lies there already is none of its files.
        signer: an elliptic-curve key.
        known: path -> sha256 of files that were hashed while they were written; the others are read.
    """
    known = known or {}
    files = {path.relative_to(directory).as_posix(): path for path in walk(directory)}
    digests = {name: known.get(name) or sha256_file(path) for name, path in files.items() if name != NAME}
    write_atomic(directory / NAME, _bundle(_statement(directory.name, digests), signer))
    return directory / NAME


def _statement(name: str, digests: Mapping[str, str]) -> bytes:
    """The in-toto statement of the model signing specification, version 1.0: one resource per file, sorted."""
    resources = [{"name": path, "algorithm": "sha256", "digest": digest} for path, digest in sorted(digests.items())]
    root = sha256_bytes(b"".join(bytes.fromhex(entry["digest"]) for entry in resources))
    statement = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": name, "digest": {"sha256": root}}],
        "predicateType": PREDICATE,
        "predicate": {
            "serialization": {
                "method": "files",
                "hash_type": "sha256",
                "allow_symlinks": False,
                "ignore_paths": [NAME],
            },
            "resources": resources,
        },
    }
    return json.dumps(statement, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _bundle(payload: bytes, signer: "Signer") -> bytes:
    """A Sigstore bundle (v0.3) over `payload`, made with a key, with its certificates if it has any; in no log."""
    from securesystemslib.dsse import Envelope

    envelope = Envelope(payload, IN_TOTO, {})
    made = envelope.sign(signer)
    bundle = {
        "mediaType": MEDIA_TYPE,
        "verificationMaterial": _material(public_of(signer), certificates.configured(public_of(signer))),
        "dsseEnvelope": {
            "payload": b64encode(payload).decode(),
            "payloadType": IN_TOTO,
            "signatures": [{"sig": b64encode(bytes.fromhex(made.signature)).decode()}],
        },
    }
    return (json.dumps(bundle, indent=2, sort_keys=True) + "\n").encode()


def _material(public: bytes, chain: Sequence[bytes]) -> dict[str, Any]:
    """What a verifier is told of the key: its digest, or the certificates (DER) that vouch for it."""
    if not chain:
        return {"publicKey": {"hint": sha256_bytes(public)}}
    held = [{"rawBytes": b64encode(certificate).decode()} for certificate in chain]
    return {"x509CertificateChain": {"certificates": held}}


def signed_by(data: bytes, what: str = NAME) -> str:
    """sha256 of the PEM of the key that a model signature says it was made with; nothing is proved yet.

    Raises:
        Refusal: if it is no model signature.
    """
    if chain := certificates.carried(data, what):
        return sha256_bytes(certificates.leaf_key(chain, what))
    try:
        return str(json.loads(data)["verificationMaterial"]["publicKey"]["hint"])
    except (ValueError, KeyError, TypeError, RecursionError):
        raise Refusal(f"{what}: not a model signature; it was altered or cut") from None


def _check_frame(bundle: Mapping[str, Any], data: bytes, public: bytes, what: str) -> None:
    """Refuse what no signature covers if it is not as `_bundle` or model-signing writes it."""
    chain = certificates.carried(data, what)
    material = bundle.get("verificationMaterial")
    exact = (
        set(bundle) == {"mediaType", "verificationMaterial", "dsseEnvelope"}
        and bundle["mediaType"] == MEDIA_TYPE
        and isinstance(material, dict)
        and material.get("tlogEntries", []) == []
        and {name: value for name, value in material.items() if name != "tlogEntries"} == _material(public, chain)
        and (not chain or certificates.leaf_key(chain, what) == public)
    )
    if not exact:
        raise Refusal(f"{what}: signed, but not with the public key given, or altered outside of what is signed")


def read(data: bytes, public: bytes, what: str = NAME) -> dict[str, str]:
    """Path -> sha256 of the files that a model signature covers, after it was checked with `public` (PEM).

    Raises:
        Refusal: if the signature does not hold, or was made in a way that leaves files out.
    """
    try:
        bundle = json.loads(data)
        envelope = bundle["dsseEnvelope"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise Refusal(f"{what}: not a model signature; it was altered or cut") from None
    statement = unseal(json.dumps(envelope).encode(), IN_TOTO, public, what)
    _check_frame(bundle, data, public, what)
    try:
        predicate = statement["predicate"]
        serialization = predicate["serialization"]
        files = {entry["name"]: entry["digest"] for entry in predicate["resources"]}
        exact = (
            statement["predicateType"] == PREDICATE
            and serialization["method"] == "files"
            and serialization["hash_type"] == "sha256"
            and serialization.get("ignore_paths", []) in ([], [NAME])
            and len(files) == len(predicate["resources"])
        )
    except (KeyError, TypeError) as error:
        raise Refusal(f"{what}: not a model signature ({error} is missing)") from None
    if not exact:
        raise Refusal(f"{what}: signed with other settings (whole files, sha256, nothing ignored are asked for)")
    return files
