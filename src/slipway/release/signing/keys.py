"""The signing key: where it lies, how it is made on first use, how its public half is read.

Local use gets an EC P-256 pair under `.slipway/keys/`, made on first use. Another key comes from one of

    SLIPWAY_KEY       a private key file in PEM, or the PKCS#11 URI of a key in a token (`pkcs11:…`)
    SLIPWAY_KEY_PEM   the private key itself, as build services hand out secrets

and SLIPWAY_KEY_PASSWORD opens an encrypted one. A private key is read when it is needed; it is never logged, printed
or copied, and no error quotes it.
"""

import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

from slipway.errors import Refusal, UserError
from slipway.files import write_atomic

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from securesystemslib.signer import Signer

_CURVES = {"secp256r1", "secp384r1", "secp521r1"}
_TOKEN = "pkcs11:"  # noqa: S105  a scheme
FOLDER = Path(".slipway", "keys")


def signer(root: str | Path = ".", *, shared: bool = False) -> "Signer":
    """What this project signs with; arguments and errors as of `private_key`, or those of a token."""
    return outside() or file_signer(private_key(root, shared=shared))


def outside() -> "Signer | None":
    """The signer of a key that is no file (SLIPWAY_KEY_PEM, or a PKCS#11 URI in SLIPWAY_KEY); None if none is set.

    Raises:
        UserError: if both are set, or what is set is no usable key.
    """
    from securesystemslib.signer import CryptoSigner

    named, held = os.environ.get("SLIPWAY_KEY", ""), os.environ.get("SLIPWAY_KEY_PEM", "")
    if named and held:
        raise UserError("SLIPWAY_KEY and SLIPWAY_KEY_PEM are both set; unset one, so that it is clear which key signs")
    if held:
        return CryptoSigner(_load(held.encode(), "SLIPWAY_KEY_PEM"))
    if named.startswith(_TOKEN):
        from slipway.release.signing.pkcs11 import TokenSigner

        return TokenSigner(named)
    return None


def file_signer(private: Path) -> "Signer":
    """A signer with a private key file (PEM); raises as `public_pem` does."""
    from securesystemslib.signer import CryptoSigner

    return CryptoSigner(_private(private))


def public_of(signer: "Signer") -> bytes:
    """PEM of the public key that checks what `signer` signs."""
    return str(signer.public_key.keyval["public"]).encode()


def private_key(root: str | Path = ".", *, shared: bool = False) -> Path:
    """The private key file this project signs with, made if there is none.

    Args:
        root: the project.
        shared: the store is shared with others; then only a key that was named will do, for nobody would know a key
            made here.

    Raises:
        UserError: if `SLIPWAY_KEY` names no file, or the file is no private key of a supported curve.
        Refusal: if others than its owner may read it, or `shared` and no key is set.
    """
    path = named_file(root)
    if path is None:
        if shared:
            raise Refusal(
                "the store is shared, so set SLIPWAY_KEY to the private key to sign with (PEM, or pkcs11:…), or "
                "SLIPWAY_KEY_PEM"
            )
        path = Path(root) / FOLDER / "release.key"
        if not path.exists():
            generate(path)
    _private(path)
    return path


def named_file(root: str | Path) -> Path | None:
    """The file that `SLIPWAY_KEY` names; None where it is unset, empty or names a token; raises UserError."""
    named = os.environ.get("SLIPWAY_KEY")
    if not named or named.startswith(_TOKEN):
        return None
    path = Path(root) / named
    if not path.is_file():
        raise UserError(f"SLIPWAY_KEY names {named}, which is no file; set it to a private key in PEM or unset it")
    return path


def public_key(root: str | Path = ".") -> bytes:
    """PEM of the public half of this project's key; makes none, and needs the private one only where it was named.

    Raises:
        UserError: if there is neither; a verifier has the public key from the publisher by another way.
    """
    if (found := outside()) is not None:
        return public_of(found)
    if named := named_file(root):
        return public_pem(named)
    folder = Path(root) / FOLDER
    for name in ("release.pub", "release.key"):
        if (folder / name).is_file():
            return read_public(folder / name) if name == "release.pub" else public_pem(folder / name)
    raise UserError(
        f"{folder}/release.pub: no key to verify with; put the publisher's public key there, or name it with --key"
    )


def generate(path: Path) -> Path:
    """Make a P-256 pair: `path` (mode 0600, a new folder 0700) and the public half beside it with the ending `.pub`.

    Encrypted if SLIPWAY_KEY_PASSWORD is set. If another process is faster, its key stays and is used.

    Raises:
        UserError: if `path` ends in `.pub`.
    """
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    beside = path.with_suffix(".pub")
    if path == beside:
        raise UserError(f"{path}: the public half gets this ending; name the private key otherwise, e.g. with .key")
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if path.parent.parts[-2:] == FOLDER.parts:  # ours alone; any other folder's mode is not ours to change
        path.parent.chmod(0o700)
    key = ec.generate_private_key(ec.SECP256R1())
    password = _password()
    closed = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, closed)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    write_atomic(draft, pem, mode=0o600)
    try:
        os.link(draft, path)
    except FileExistsError:
        pass  # the faster process's key is as good
    finally:
        draft.unlink()
    write_atomic(beside, public_pem(path))
    return path


def public_pem(private: Path) -> bytes:
    """PEM of the public half of a private key file.

    Raises:
        UserError: if it is no private key of a supported curve, or SLIPWAY_KEY_PASSWORD does not open it.
        Refusal: if others than its owner may read it.
    """
    return _pem(_private(private).public_key())


def read_public(path: str | Path) -> bytes:
    """PEM of a public key file; raises UserError if it is none."""
    try:
        return canonical(Path(path).read_bytes(), str(path))
    except FileNotFoundError:
        raise UserError(f"{path}: no such public key") from None


def canonical(public: bytes, what: str) -> bytes:
    """A public key in the one PEM form that all digests of keys here are made of; raises UserError if it is none."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization

    try:
        return _pem(serialization.load_pem_public_key(public))
    except (ValueError, UnsupportedAlgorithm):
        raise UserError(f"{what}: not a public key in PEM; a private key is not asked for here") from None


def _pem(key: "object") -> bytes:
    from cryptography.hazmat.primitives import serialization

    encoding, form = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_bytes(encoding, form)  # type: ignore[attr-defined]


def _password() -> bytes | None:
    return os.environ.get("SLIPWAY_KEY_PASSWORD", "").encode() or None


def _private(path: Path) -> "EllipticCurvePrivateKey":
    """The key in a file that its owner alone may read."""
    with path.open("rb") as stream:
        # Of the opened file, so that no other can be put in its place between the two looks.
        if os.fstat(stream.fileno()).st_mode & 0o077:
            raise Refusal(f"{path}: others than its owner may read this private key; run `chmod 600 {path}`")
        return _load(stream.read(), str(path))


def _load(pem: bytes, what: str) -> "EllipticCurvePrivateKey":
    """The private key in `pem`; `what` names where it is from, and no error says more."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    password = _password() if b"ENCRYPTED" in pem else None
    if b"ENCRYPTED" in pem and password is None:
        raise UserError(f"{what}: this private key is encrypted; set SLIPWAY_KEY_PASSWORD to its passphrase")
    try:
        key = serialization.load_pem_private_key(pem, password)
    except (ValueError, TypeError) as error:
        why = "SLIPWAY_KEY_PASSWORD does not open it" if password else type(error).__name__
        raise UserError(f"{what}: not a private key in PEM ({why})") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name not in _CURVES:
        raise UserError(f"{what}: not an elliptic-curve key of P-256, P-384 or P-521, which model signing asks for")
    return key
