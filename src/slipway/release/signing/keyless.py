"""A counter-signature with an identity instead of a key: Sigstore (https://docs.sigstore.dev), public or your own.

It is made over a release as it lies and kept beside it, never inside: the release stands by its own key, and a reader
without network needs nothing else. It is the plain bundle of model-signing, so its own command checks it too.

A trust config (Sigstore's ClientTrustConfig, JSON) names a deployment: where certificates and log entries come from,
and the roots by which they are checked. With it nothing is fetched to check a signature. Without it the public one
is meant, whose roots come from the network.
"""

import ipaddress
import json
import tempfile
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from slipway.errors import Refusal, UserError
from slipway.files import write_atomic
from slipway.release.signing import oidc

if TYPE_CHECKING:
    from model_signing import hashing
    from sigstore.models import ClientTrustConfig

SETTINGS = {"method": "files", "hash_type": "sha256", "allow_symlinks": False, "ignore_paths": []}
"""How every file is signed, whole and with nothing ignored."""
_ISSUER = "1.3.6.1.4.1.57264.1.1"
"""The extension of a certificate that names the issuer of the token."""


@dataclass(frozen=True)
class Signed:
    """What a counter-signature says of itself, after it was verified."""

    identity: str
    issuer: str
    """Who vouches for the identity."""
    entry: int
    """Its place in the transparency log."""


def countersign(directory: Path, out: Path, trust: Path | None = None) -> Signed:
    """Sign every file of the release in `directory` with the caller's identity; the bundle goes to `out`.

    What comes back is verified before it is written: a log that answers nonsense leaves no file.

    Raises:
        UserError: without an identity, if `out` is there or lies inside the release, if the trust config is of no use,
            or if Sigstore is not reached or refuses.
    """
    from model_signing import signing

    if _inside(out, directory):
        raise UserError(f"{out}: lies inside the release, which is signed and closed; name a file beside it")
    if out.exists():
        raise UserError(f"{out}: is there; look at it with --check, or name another file")
    config = _config(trust, directory) if trust else None
    if trust and config:
        _check_destination(config, trust)
    token = oidc.token()
    with tempfile.TemporaryDirectory() as folder:
        draft = Path(folder, "bundle.json")
        try:
            made = signing.Config().use_sigstore_signer(identity_token=token, trust_config=trust)
            made.set_hashing_config(_hashing()).sign(directory, draft)
        except Exception as error:  # noqa: BLE001  the library promises no kind of error; none of them is a signature
            raise oidc.failure(error, token) from None
        try:
            signed = _signed(draft.read_bytes(), config)
        except Exception as error:  # noqa: BLE001  whatever is wrong with it, nobody could check it
            raise UserError(
                f"Sigstore answered, but its answer does not verify ({oidc.line(error, token)}); nothing was written. "
                "Ask who runs it, and whether the trust config is theirs"
            ) from None
        write_atomic(out, draft.read_bytes())
    return signed


def check(directory: Path, bundle: Path, identity: str, issuer: str, trust: Path | None = None) -> None:
    """That `bundle` is a counter-signature over all of `directory` by `identity`, vouched for by `issuer`.

    Raises:
        UserError: if there is no bundle, or the trust config is of no use.
        Refusal: if it is not, or could not be looked at: without a trust config the roots come from the network.
    """
    from model_signing import verifying

    if not bundle.is_file():
        raise UserError(f"{bundle}: no such file; `slipway countersign` makes one")
    if trust:
        _config(trust, directory)
    with tempfile.TemporaryDirectory() as folder:
        try:
            content = json.loads(bundle.read_bytes())
            held = Path(folder, "bundle.json")
            held.write_text(json.dumps(content), "utf-8")  # a name that came twice now has one meaning for all of us
            looking = verifying.Config().set_hashing_config(_hashing())
            looking.use_sigstore_verifier(identity=identity, oidc_issuer=issuer, trust_config=trust)
            looking.verify(directory, held)
            exact = _settings(content) == SETTINGS
        except Exception as error:  # noqa: BLE001  whatever went wrong, it was not verified: fail closed
            raise Refusal(f"{bundle}: not verified as signed by {identity} ({oidc.line(error)})") from None
    if not exact:
        raise Refusal(
            f"{bundle}: signed by {identity}, but with settings that may leave files out; ask for one made by "
            "`slipway countersign`, or by `model_signing sign sigstore --no-ignore-git-paths`"
        )


def _hashing() -> "hashing.Config":
    """Every file, whole, by sha256. Of itself the library passes over `.git*`, when it verifies too."""
    from model_signing import hashing

    config = hashing.Config().use_file_serialization(hashing_algorithm="sha256")
    return config.set_ignored_paths(paths=[], ignore_git_paths=False)


def _settings(bundle: Mapping[str, Any]) -> dict[str, object]:
    """How the files of a bundle were chosen and hashed, as it says."""
    payload = json.loads(b64decode(bundle["dsseEnvelope"]["payload"]))
    return {"ignore_paths": []} | payload["predicate"]["serialization"]


def _signed(data: bytes, config: "ClientTrustConfig | None") -> Signed:
    """Verify a bundle as signed by whom it names, and say who that is. Without a trust config: the public one."""
    from cryptography import x509
    from sigstore.models import Bundle, ClientTrustConfig
    from sigstore.verify import Verifier, policy

    bundle = Bundle.from_json(data)
    found = bundle.signing_certificate.extensions
    name = next(iter(found.get_extension_for_class(x509.SubjectAlternativeName).value)).value
    identity = name.decode() if isinstance(name, bytes) else str(name)
    issuer = found.get_extension_for_oid(x509.ObjectIdentifier(_ISSUER)).value
    if not isinstance(issuer, x509.UnrecognizedExtension):
        raise ValueError("the certificate does not say who vouches for the identity")
    named = policy.Identity(identity=identity, issuer=issuer.value.decode())
    Verifier(trusted_root=(config or ClientTrustConfig.production()).trusted_root).verify_dsse(bundle, named)
    entry = json.loads(data)["verificationMaterial"]["tlogEntries"][0]["logIndex"]
    return Signed(oidc.plain(identity), oidc.plain(issuer.value.decode()), int(entry))


def _inside(path: Path, directory: Path) -> bool:
    return path.resolve().is_relative_to(directory.resolve())


def _config(trust: Path, directory: Path) -> "ClientTrustConfig":
    """The trust config in a file.

    Raises:
        UserError: if it is none, or comes with the release that it is to vouch for.
    """
    from sigstore.errors import Error
    from sigstore.models import ClientTrustConfig

    if _inside(trust, directory):
        raise UserError(
            f"{trust}: lies inside the release, and whoever altered one could alter the other; take the trust config "
            "from those who run the Sigstore"
        )
    try:
        config = ClientTrustConfig.from_json(trust.read_text("utf-8"))
        config.trusted_root.get_fulcio_certs()
    except (OSError, ValueError, Error) as error:
        raise UserError(
            f"{trust}: not a trust config of Sigstore (ClientTrustConfig v0.1, JSON: {oidc.line(error)}); those who "
            "run the Sigstore hand it out"
        ) from None
    return config


def _check_destination(config: "ClientTrustConfig", trust: Path) -> None:
    """That the token goes to a place that can be told from another: https, or this machine."""
    try:
        url = urlsplit(config.signing_config.get_fulcio().url)
    except Exception as error:  # noqa: BLE001  the library promises no kind of error
        raise UserError(f"{trust}: names nobody who issues certificates today ({oidc.line(error)})") from None
    if url.scheme != "https" and not _loopback(url.hostname or ""):
        raise UserError(
            f"{trust}: the token would be sent to {url.geturl()} in the clear; the certificate authority needs an "
            "https address"
        )


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
