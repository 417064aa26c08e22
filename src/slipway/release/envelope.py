"""Signed JSON: DSSE envelopes (https://github.com/secure-systems-lab/dsse) with elliptic-curve keys.

Statements, approvals and channel pointers are all sealed this way. What a payload means is for its reader.
"""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from slipway.errors import Refusal

if TYPE_CHECKING:
    from securesystemslib.signer import Signer


def seal(payload: Mapping[str, Any], payload_type: str, signer: "Signer") -> bytes:
    """Sign `payload` as canonical JSON; returns the envelope as JSON."""
    from securesystemslib.dsse import Envelope

    body = json.dumps(payload, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
    envelope = Envelope(body, payload_type, {})
    envelope.sign(signer)
    return (json.dumps(envelope.to_dict(), indent=2, sort_keys=True) + "\n").encode()


def unseal(data: bytes, payload_type: str, public: bytes, what: str) -> dict[str, Any]:
    """The payload of an envelope, after its signature was checked with `public` (PEM).

    Raises:
        Refusal: naming `what`, if the envelope is malformed, of another type, or not signed by this key.
    """
    try:
        envelope = json.loads(data)
        return _open(envelope, payload_type, public, what)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Refusal(
            f"{what}: not a signed envelope ({type(error).__name__}: {error}); it was altered or cut"
        ) from None


def _open(envelope: dict[str, Any], payload_type: str, public: bytes, what: str) -> dict[str, Any]:
    from cryptography.hazmat.primitives.serialization import load_pem_public_key
    from securesystemslib.dsse import Envelope
    from securesystemslib.exceptions import VerificationError
    from securesystemslib.signer import SSlibKey

    key = SSlibKey.from_crypto(load_pem_public_key(public))
    if len(envelope["signatures"]) != 1:
        raise Refusal(f"{what}: {len(envelope['signatures'])} signatures, expected one")
    # The id is only a hint, and model-signing leaves it out; which key counts is our caller's choice.
    opened = Envelope.from_dict({**envelope, "signatures": [{**envelope["signatures"][0], "keyid": key.keyid}]})
    try:
        opened.verify([key], 1)
    except VerificationError:
        raise Refusal(
            f"{what}: the signature does not fit the public key given; altered, or signed by another"
        ) from None
    if opened.payload_type != payload_type:
        raise Refusal(f"{what}: signed as {opened.payload_type}, expected {payload_type}")
    payload = json.loads(opened.payload)
    if not isinstance(payload, dict):
        raise Refusal(f"{what}: the signed payload is no object")
    return payload
