"""Signing with a key in a hardware token: a PKCS#11 URI (RFC 7512) names it, and the key never leaves the token.

    SLIPWAY_KEY='pkcs11:token=release;object=signing'   SLIPWAY_PKCS11_MODULE=/usr/lib/softhsm/libsofthsm2.so
    SLIPWAY_PKCS11_PIN=…

It needs the package python-pkcs11 and the maker's module. The PIN is read from the environment when it is needed, and
never from the URI, which ends up in shell histories.
"""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import unquote

from securesystemslib.signer import Key, SecretsHandler, Signature, Signer, SSlibKey

from slipway.errors import UserError

SCHEME = "pkcs11:"
_DIGESTS = {"secp256r1": "sha256", "secp384r1": "sha384", "secp521r1": "sha512"}
_KNOWN = {"token", "object", "id", "serial", "manufacturer", "model", "type", "library-manufacturer"}


def parse(uri: str) -> dict[str, str]:
    """Attributes of a PKCS#11 URI, percent-encoding undone.

    Raises:
        UserError: if it names no object, holds an attribute that is not known, or a PIN.
    """
    path, _, query = uri.removeprefix(SCHEME).partition("?")
    # `latin-1` keeps the bytes of an id as they are.
    pairs = [part.partition("=") for part in path.split(";") if part]
    found = {name: unquote(value, "latin-1" if name == "id" else "utf-8") for name, _, value in pairs}
    asked = {part.partition("=")[0]: unquote(part.partition("=")[2]) for part in query.split("&") if part}
    if "pin-value" in asked:
        raise UserError("SLIPWAY_KEY holds a PIN (pin-value); take it out and set SLIPWAY_PKCS11_PIN")
    if unknown := sorted(set(found) - _KNOWN | set(asked) - {"module-path"}):
        raise UserError(
            f"SLIPWAY_KEY: {', '.join(unknown)} in a pkcs11 URI is not known here; use token, object and id"
        )
    if not {"object", "id"} & set(found):
        raise UserError("SLIPWAY_KEY: the pkcs11 URI names no object; write pkcs11:token=TOKEN;object=LABEL")
    return found | ({"module": asked["module-path"]} if "module-path" in asked else {})


class TokenSigner(Signer):
    """Signs with an elliptic-curve key (P-256, P-384, P-521) in a token."""

    def __init__(self, uri: str) -> None:
        """Find the key.

        Raises:
            UserError: if package, module, token, PIN or key is missing or wrong.
        """
        from cryptography.hazmat.primitives.asymmetric import ec

        self._named = parse(uri)
        with self._session() as session:
            key = self._public(session)
        if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name not in _DIGESTS:
            raise UserError(f"{uri}: not an elliptic-curve key of P-256, P-384 or P-521, which model signing asks for")
        self._digest = _DIGESTS[key.curve.name]
        self._public_key = SSlibKey.from_crypto(key)

    @property
    def public_key(self) -> SSlibKey:
        """The public half."""
        return self._public_key

    @classmethod
    def from_priv_key_uri(
        cls,
        priv_key_uri: str,
        public_key: Key,  # noqa: ARG003  the token is asked
        secrets_handler: SecretsHandler | None = None,  # noqa: ARG003
    ) -> "TokenSigner":
        """As securesystemslib asks for it; the PIN comes from the environment all the same."""
        return cls(priv_key_uri)

    def sign(self, payload: bytes) -> Signature:
        """Sign `payload`; the token sees its digest only."""
        from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
        from pkcs11 import Mechanism, ObjectClass

        digest = hashlib.new(self._digest, payload).digest()
        with self._session() as session:
            key = self._object(session, ObjectClass.PRIVATE_KEY)
            raw = key.sign(digest, mechanism=Mechanism.ECDSA)
        half = len(raw) // 2
        made = encode_dss_signature(int.from_bytes(raw[:half], "big"), int.from_bytes(raw[half:], "big"))
        return Signature(self._public_key.keyid, made.hex())

    @contextmanager
    def _session(self) -> Iterator[Any]:
        """A session of the token's user."""
        try:
            import pkcs11
        except ImportError:
            raise UserError("a key in a token needs the package python-pkcs11: pip install python-pkcs11") from None
        module = self._named.get("module") or os.environ.get("SLIPWAY_PKCS11_MODULE")
        pin = os.environ.get("SLIPWAY_PKCS11_PIN")
        if not module or not pin:
            raise UserError("a key in a token needs SLIPWAY_PKCS11_MODULE (the maker's .so) and SLIPWAY_PKCS11_PIN")
        wanted: dict[str, Any] = {
            "token_label": self._named.get("token"),
            "token_serial": self._named["serial"].encode() if "serial" in self._named else None,
        }
        try:
            tokens = list(pkcs11.lib(module).get_tokens(**{k: v for k, v in wanted.items() if v}))
            if len(tokens) != 1:
                raise UserError(f"{module}: {len(tokens)} tokens fit SLIPWAY_KEY, expected one; name it with token=")
            with tokens[0].open(user_pin=pin) as session:
                yield session
        except (pkcs11.PKCS11Error, RuntimeError) as error:
            # The module's own words may hold what was typed; the kind of error says enough.
            raise UserError(
                f"{module}: the token said {type(error).__name__}; check SLIPWAY_KEY, module and PIN"
            ) from None

    def _object(self, session: Any, kind: Any) -> Any:
        from pkcs11 import Attribute

        asked: dict[Any, Any] = {Attribute.CLASS: kind}
        if label := self._named.get("object"):
            asked[Attribute.LABEL] = label
        if number := self._named.get("id"):
            asked[Attribute.ID] = number.encode("latin-1")
        found = list(session.get_objects(asked))
        if len(found) != 1:
            raise UserError(f"SLIPWAY_KEY: {len(found)} keys of the token fit (kind {kind.name}), expected one")
        return found[0]

    def _public(self, session: Any) -> Any:
        from cryptography.hazmat.primitives.serialization import load_der_public_key
        from pkcs11 import ObjectClass
        from pkcs11.util.ec import encode_ec_public_key

        return load_der_public_key(encode_ec_public_key(self._object(session, ObjectClass.PUBLIC_KEY)))
