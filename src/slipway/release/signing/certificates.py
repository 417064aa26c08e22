"""Certificates: a release signed by a key that an authority vouches for, checked offline against that authority.

`SLIPWAY_CERTIFICATE` names the chain (PEM: the certificate of the signing key first, then its issuers; the root may be
left out). `model.sig` then carries the chain, as `model_signing verify certificate` expects it. A verifier who trusts
the authority needs no public key: the certificate's own key checks the rest.

Nothing here proves when a signature was made, so no certificate is refused for having expired since. That the time in
the signed statement lies within the certificate's, `check_time` says.
"""

import json
import os
from base64 import b64decode
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slipway.errors import Refusal, UserError
from slipway.release.signing.keys import canonical

if TYPE_CHECKING:
    from cryptography import x509


@dataclass(frozen=True)
class Vouched:
    """A signing key that an authority vouches for."""

    public: bytes
    """PEM."""
    subject: str
    identities: tuple[str, ...]
    """Mailboxes, URIs and host names in the certificate."""
    begin: datetime
    end: datetime

    def check_time(self, created: str, what: str) -> None:
        """That a release which says it was signed at `created` (ISO 8601) was signed while the certificate was good.

        Raises:
            Refusal: if it was not, or does not say when.
        """
        try:
            when = datetime.fromisoformat(created)
            within = self.begin <= when <= self.end
        except (ValueError, TypeError):
            raise Refusal(f"{what}: does not say when it was signed, as a certificate asks for") from None
        if not within:
            raise Refusal(
                f"{what}: signed at {created}, but the certificate was good from {self.begin.isoformat()} to "
                f"{self.end.isoformat()}; ask the publisher for a release that is signed with a valid one"
            )


def configured(public: bytes) -> tuple[bytes, ...]:
    """The chain that `SLIPWAY_CERTIFICATE` names, DER, the signing key's certificate first; empty if it is unset.

    Raises:
        UserError: if the file holds no chain, or not one for the key `public` (PEM).
    """
    from cryptography.hazmat.primitives.serialization import Encoding

    named = os.environ.get("SLIPWAY_CERTIFICATE")
    if not named:
        return ()
    chain = _load(Path(named), "SLIPWAY_CERTIFICATE")
    if _key(chain[0]) != canonical(public, named):
        raise UserError(
            f"{named}: its first certificate is not of the key that signs; put the signing key's certificate first, or "
            "unset SLIPWAY_CERTIFICATE"
        )
    if not _is_chain(chain):
        raise UserError(f"{named}: not a chain; each certificate must be issued by the one after it")
    _signs_code(_usage(chain[0]))
    return tuple(certificate.public_bytes(Encoding.DER) for certificate in chain)


def carried(signature: bytes, what: str) -> tuple[bytes, ...]:
    """The chain that a model signature carries, DER; empty if it was made with a bare key.

    Raises:
        Refusal: if it is no model signature.
    """
    try:
        material = json.loads(signature)["verificationMaterial"]
        held = material["x509CertificateChain"]["certificates"] if "x509CertificateChain" in material else []
        return tuple(b64decode(entry["rawBytes"], validate=True) for entry in held)
    except (ValueError, KeyError, TypeError, RecursionError):
        raise Refusal(f"{what}: not a model signature; it was altered or cut") from None


def leaf_key(chain: tuple[bytes, ...], what: str) -> bytes:
    """PEM of the key of a chain's first certificate; raises Refusal if these are no certificates, or no chain."""
    from cryptography import x509

    try:
        certificates = [x509.load_der_x509_certificate(data) for data in chain]
        if not _is_chain(certificates):
            raise Refusal(f"{what}: its certificates are no chain; they were altered")
        return _key(certificates[0])
    except _faults() as error:
        raise Refusal(f"{what}: its certificates cannot be read ({error}); they were altered") from None


def vouched(signature: bytes, roots: str | Path, what: str, identity: str | None = None) -> Vouched:
    """The key behind a model signature, once its chain was checked against the authorities in `roots` (PEM).

    Args:
        signature: content of model.sig.
        roots: file of the certificates that the verifier trusts.
        what: names the signature in errors.
        identity: mailbox, URI or host name that the certificate must be issued to.

    Raises:
        Refusal: if there is no chain, it does not lead to `roots`, is not for signing code, or names somebody else.
    """
    from cryptography import x509
    from cryptography.x509 import verification

    raw = carried(signature, what)
    if not raw:
        raise Refusal(f"{what}: signed with a bare key, without a certificate; verify it with --key")
    trusted = _load(Path(roots), "--certificate-chain")
    try:
        chain = [x509.load_der_x509_certificate(data) for data in raw]
        leaf = chain[0]
        builder = verification.PolicyBuilder().store(verification.Store(trusted))
        # As model-signing does: at the first moment of its time, for no later one is proved.
        builder = builder.time((leaf.not_valid_before_utc + timedelta(seconds=1)).replace(tzinfo=None))
        builder = builder.extension_policies(ca_policy=_authorities(), ee_policy=_signers())
        found = builder.build_client_verifier().verify(leaf, chain[1:])
        names = _identities(found.chain[0])
    except _faults() as error:
        raise Refusal(
            f"{what}: its certificate is not vouched for by {roots} ({' '.join(str(error).split())[:200]}); do not use "
            "this release"
        ) from None
    if identity is not None and identity not in names:
        raise Refusal(f"{what}: the certificate is of {', '.join(names) or 'nobody'}, not of {identity}")
    return Vouched(
        _key(leaf), leaf.subject.rfc4514_string(), names, leaf.not_valid_before_utc, leaf.not_valid_after_utc
    )


def _authorities() -> Any:
    """What an issuer must say of itself: that it is one."""
    from cryptography import x509
    from cryptography.x509.verification import Criticality, ExtensionPolicy

    policy = ExtensionPolicy.permit_all()
    return policy.require_present(x509.BasicConstraints, Criticality.AGNOSTIC, None)


def _signers() -> Any:
    """What a signing certificate must say of itself: that its key signs code."""
    from cryptography import x509
    from cryptography.x509.verification import Criticality, ExtensionPolicy

    def check(_policy: Any, _certificate: Any, usage: Any) -> None:
        _signs_code(usage)

    policy = ExtensionPolicy.permit_all()
    return policy.require_present(x509.ExtendedKeyUsage, Criticality.AGNOSTIC, check)


def _usage(certificate: "x509.Certificate") -> Any:
    from cryptography import x509

    return next((found.value for found in certificate.extensions if found.oid == x509.ExtendedKeyUsage.oid), None)


def _signs_code(usage: Any) -> None:
    from cryptography.x509.oid import ExtendedKeyUsageOID

    if usage is None or ExtendedKeyUsageOID.CODE_SIGNING not in usage:
        raise Refusal("the certificate is not for signing code (extended key usage codeSigning)")


def _is_chain(certificates: list["x509.Certificate"]) -> bool:
    """Whether each certificate was issued by the one after it; a root issues itself."""
    last = certificates[-1]
    try:
        for child, parent in pairwise(certificates):
            child.verify_directly_issued_by(parent)
        if last.issuer == last.subject:
            last.verify_directly_issued_by(last)
    except _faults():
        return False
    return True


def _faults() -> tuple[type[Exception], ...]:
    """What reading and checking altered certificates may raise."""
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.x509.verification import VerificationError

    strange = (x509.InvalidVersion, x509.DuplicateExtension, x509.UnsupportedGeneralNameType)
    return (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm, VerificationError, *strange)


def _load(path: Path, option: str) -> list["x509.Certificate"]:
    from cryptography import x509

    try:
        return x509.load_pem_x509_certificates(path.read_bytes())
    except FileNotFoundError:
        raise UserError(f"{path}: no such file of certificates ({option})") from None
    except ValueError:
        raise UserError(f"{path}: holds no certificates in PEM ({option})") from None


def _key(certificate: "x509.Certificate") -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return certificate.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def _identities(certificate: "x509.Certificate") -> tuple[str, ...]:
    from cryptography import x509

    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    kinds = (x509.RFC822Name, x509.UniformResourceIdentifier, x509.DNSName)
    return tuple(sorted(name for kind in kinds for name in names.get_values_for_type(kind)))
