"""The signing key: where it lies, how it is made on first use, how its public half is read.

Local use gets an EC P-256 pair under `.slipway/keys/`, made on first use. `SLIPWAY_KEY` names another private key
(PEM, unencrypted). A private key is read from its file when needed; it is never logged, printed or copied.
"""

import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

from slipway.errors import Refusal, UserError
from slipway.files import write_atomic

if TYPE_CHECKING:
    from securesystemslib.signer import Signer

_CURVES = {"secp256r1", "secp384r1", "secp521r1"}


def signer(root: str | Path = ".", *, shared: bool = False) -> "Signer":
    """What this project signs with; arguments and errors as of `private_key`."""
    return file_signer(private_key(root, shared=shared))


def file_signer(private: Path) -> "Signer":
    """A signer with a private key file (PEM); raises as `public_pem` does."""
    from cryptography.hazmat.primitives.serialization import load_pem_private_key
    from securesystemslib.signer import CryptoSigner

    public_pem(private)
    return CryptoSigner(load_pem_private_key(private.read_bytes(), None))


def public_of(signer: "Signer") -> bytes:
    """PEM of the public key that checks what `signer` signs."""
    return str(signer.public_key.keyval["public"]).encode()


def private_key(root: str | Path = ".", *, shared: bool = False) -> Path:
    """The private key this project signs with, made if there is none.

    Args:
        root: the project.
        shared: the store is shared with others; then only `SLIPWAY_KEY` will do, for nobody would know a key made here.

    Raises:
        UserError: if `SLIPWAY_KEY` names no file, or the file is no private key of a supported curve.
        Refusal: if others than its owner may read it, or `shared` and `SLIPWAY_KEY` is not set.
    """
    path = _named(root)
    if path is None:
        if shared:
            raise Refusal("the store is shared, so set SLIPWAY_KEY to the private key to sign with (PEM)")
        path = Path(root) / ".slipway" / "keys" / "release.key"
        if not path.exists():
            generate(path)
    public_pem(path)
    return path


def _named(root: str | Path) -> Path | None:
    """The file that `SLIPWAY_KEY` names; None where it is unset or empty."""
    named = os.environ.get("SLIPWAY_KEY")
    if not named:
        return None
    path = Path(root) / named
    if not path.is_file():
        raise UserError(f"SLIPWAY_KEY names {named}, which is no file; set it to a private key in PEM or unset it")
    return path


def public_key(root: str | Path = ".") -> bytes:
    """PEM of the public half of this project's key; makes none, and needs the private one only for `SLIPWAY_KEY`.

    Raises:
        UserError: if there is neither; a verifier has the public key from the publisher by another way.
    """
    if named := _named(root):
        return public_pem(named)
    folder = Path(root) / ".slipway" / "keys"
    for name in ("release.pub", "release.key"):
        if (folder / name).is_file():
            return read_public(folder / name) if name == "release.pub" else public_pem(folder / name)
    raise UserError(
        f"{folder}/release.pub: no key to verify with; put the publisher's public key there, or name it with --key"
    )


def generate(path: Path) -> Path:
    """Make a P-256 pair: `path` (mode 0600, folder 0700) and the public half beside it with the ending `.pub`.

    If another process is faster, its key stays and is used.
    """
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.parent.chmod(0o700)
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    write_atomic(draft, pem, mode=0o600)
    try:
        os.link(draft, path)
    except FileExistsError:
        pass  # the faster process's key is as good
    finally:
        draft.unlink()
    write_atomic(path.with_suffix(".pub"), public_pem(path))
    return path


def public_pem(private: Path) -> bytes:
    """PEM of the public half of a private key file; raises as `private_key` does."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    if private.stat().st_mode & 0o077:
        raise Refusal(f"{private}: others than its owner may read this private key; run `chmod 600 {private}`")
    try:
        key = serialization.load_pem_private_key(private.read_bytes(), None)
    except (ValueError, TypeError) as error:
        raise UserError(f"{private}: not an unencrypted private key in PEM ({type(error).__name__})") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name not in _CURVES:
        raise UserError(f"{private}: not an elliptic-curve key of P-256, P-384 or P-521, which model signing asks for")
    return key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def read_public(path: str | Path) -> bytes:
    """PEM of a public key file; raises UserError if it is none."""
    from cryptography.hazmat.primitives import serialization

    try:
        data = Path(path).read_bytes()
        key = serialization.load_pem_public_key(data)
    except FileNotFoundError:
        raise UserError(f"{path}: no such public key") from None
    except ValueError:
        raise UserError(f"{path}: not a public key in PEM; a private key is not asked for here") from None
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
