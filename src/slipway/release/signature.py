"""The OpenSSF model signature over a release directory: every file but the signature itself.

A verifier needs nothing of Slipway: `model_signing verify key DIR --signature DIR/model.sig --public_key KEY`.
Unlike that command, `read` ignores no path at all (the command passes over `.git`).
"""

import json
import os
import shutil
from pathlib import Path

from slipway.errors import Refusal
from slipway.files import walk
from slipway.release.envelope import unseal

NAME = "model.sig"
IN_TOTO = "application/vnd.in-toto+json"


def stage(bundle: Path, target: Path) -> None:
    """Make `target` a copy of `bundle`; what else lies there goes. No links: a bundle's files have one name each."""
    if target.exists():
        shutil.rmtree(target)
    for path in walk(bundle):
        copy = target / path.relative_to(bundle)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)


def sign(directory: Path, private: Path) -> Path:
    """Sign every file in `directory` (sha256, nothing ignored) and write `model.sig` into it."""
    from model_signing import hashing, signing

    config = hashing.Config().use_file_serialization(hashing_algorithm="sha256")
    config.set_ignored_paths(paths=[NAME], ignore_git_paths=False)
    draft = directory.parent / f".{NAME}.{os.getpid()}"
    signing.Config().use_elliptic_key_signer(private_key=private).set_hashing_config(config).sign(directory, draft)
    return draft.replace(directory / NAME)


def read(data: bytes, public: bytes, what: str = NAME) -> dict[str, str]:
    """Path -> sha256 of the files that a model signature covers, after it was checked with `public` (PEM).

    Raises:
        Refusal: if the signature does not hold, or was made in a way that leaves files out.
    """
    try:
        envelope = json.loads(data)["dsseEnvelope"]
    except (ValueError, KeyError, TypeError):
        raise Refusal(f"{what}: not a model signature; it was altered or cut") from None
    statement = unseal(json.dumps(envelope).encode(), IN_TOTO, public, what)
    try:
        predicate = statement["predicate"]
        serialization = predicate["serialization"]
        files = {entry["name"]: entry["digest"] for entry in predicate["resources"]}
        exact = (
            statement["predicateType"] == "https://model_signing/signature/v1.0"
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
