"""A counter-signature with an identity instead of a key: Sigstore (https://docs.sigstore.dev), where it can be reached.

It is made over a release as it lies and kept beside it, never inside: the release stands by its own key, and a reader
without network needs nothing else. It is the plain bundle of model-signing, so its own command checks it too.
"""

import os
import tempfile
from pathlib import Path

from slipway.errors import Refusal, UserError
from slipway.files import write_atomic

TOKEN = "SLIPWAY_IDENTITY_TOKEN"  # noqa: S105  the name of a variable


def _token() -> str:
    """The identity token of the caller: from the environment, else what a build service hands out."""
    from sigstore.oidc import detect_credential

    if token := os.environ.get(TOKEN) or detect_credential():
        return str(token)
    raise UserError(
        f"no identity to sign with: set {TOKEN} to an OpenID Connect token made for Sigstore, or run in a build "
        "service that hands one out; no browser is opened"
    )


def countersign(directory: Path, out: Path) -> Path:
    """Sign every file of the release in `directory` with the caller's identity; the bundle goes to `out`.

    Raises:
        UserError: without an identity, if `out` lies inside the release, or if Sigstore is not reached or refuses.
    """
    from model_signing import hashing, signing

    if out.resolve().is_relative_to(directory.resolve()):
        raise UserError(f"{out}: lies inside the release, which is signed and closed; name a file beside it")
    token = _token()
    config = hashing.Config().use_file_serialization(hashing_algorithm="sha256")
    config.set_ignored_paths(paths=[], ignore_git_paths=False)
    with tempfile.TemporaryDirectory() as folder:
        draft = Path(folder, "bundle.json")
        try:
            made = signing.Config().use_sigstore_signer(identity_token=token).set_hashing_config(config)
            made.sign(directory, draft)
        except Exception as error:  # noqa: BLE001  the library promises no kind of error; none of them is a signature
            raise UserError(
                f"Sigstore was not reached, or refused ({_line(error)}); nothing was written. The release stands by "
                "its own key; try again with network and a token that has not expired"
            ) from None
        write_atomic(out, draft.read_bytes())
    return out


def check(directory: Path, bundle: Path, identity: str, issuer: str) -> None:
    """That `bundle` is a counter-signature over `directory` by `identity`, vouched for by `issuer`.

    Raises:
        Refusal: if it is not, or could not be looked at: Sigstore's roots come from the network or its cache.
    """
    from model_signing import verifying

    if not bundle.is_file():
        raise UserError(f"{bundle}: no such file; `slipway countersign` makes one")
    try:
        verifying.Config().use_sigstore_verifier(identity=identity, oidc_issuer=issuer).verify(directory, bundle)
    except Exception as error:  # noqa: BLE001  whatever went wrong, it was not verified: fail closed
        raise Refusal(f"{bundle}: not verified as signed by {identity} ({_line(error)})") from None


def _line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]
