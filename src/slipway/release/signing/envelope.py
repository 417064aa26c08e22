"""Signed JSON: DSSE envelopes (https://github.com/secure-systems-lab/dsse) with elliptic-curve keys.

Statements, approvals and channel pointers are all sealed this way. What a payload means is for its reader.
"""

import json
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from slipway.errors import Refusal

if TYPE_CHECKING:
    from securesystemslib.signer import Signer


def seal(payload: Mapping[str, Any], payload_type: str, *signers: "Signer") -> bytes:
    """Sign `payload` as canonical JSON with each of `signers`; returns the envelope as JSON."""
    from securesystemslib.dsse import Envelope

    body = json.dumps(payload, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
    envelope = Envelope(body, payload_type, {})
    for signer in signers:
        envelope.sign(signer)
    return as_json(envelope.to_dict())


def as_json(envelope: Mapping[str, Any]) -> bytes:
    """An envelope in the one form that `seal` writes."""
    return (json.dumps(envelope, indent=2, sort_keys=True) + "\n").encode()


def claimed(data: bytes, what: str) -> dict[str, Any]:
    """What an envelope says without any signature being checked: to learn which key to check it with.

    Raises:
        Refusal: if it is no envelope with an object in it.
    """
    try:
        payload = json.loads(b64decode(json.loads(data)["payload"], validate=True))
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise _malformed(what, error) from None
    if not isinstance(payload, dict):
        raise Refusal(f"{what}: the payload is no object; it was altered")
    return payload


def unseal(data: bytes, payload_type: str, public: bytes, what: str, *others: bytes) -> dict[str, Any]:
    """The payload of an envelope, after its signature was checked with `public` (PEM), and one each with `others`.

    Raises:
        Refusal: naming `what`, if the envelope is malformed, of another type, or not signed by exactly these keys.
    """
    try:
        envelope = json.loads(data)
        return _open(envelope, payload_type, (public, *others), what)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _malformed(what, error) from None


def _malformed(what: str, error: Exception) -> Refusal:
    return Refusal(f"{what}: not a signed envelope ({type(error).__name__}: {error}); it was altered or cut")


def _check_frame(envelope: dict[str, Any], keyids: set[str], what: str) -> None:
    """Refuse what no signature covers if it is not as `seal` writes it: a flipped bit there would go unnoticed."""
    coded = [envelope["payload"], *(signature["sig"] for signature in envelope["signatures"])]
    exact = (
        set(envelope) == {"payload", "payloadType", "signatures"}
        and all(set(signature) - {"keyid"} == {"sig"} for signature in envelope["signatures"])
        and all(signature.get("keyid", "") in {"", *keyids} for signature in envelope["signatures"])
        and all(b64encode(b64decode(text)).decode() == text for text in coded)
    )
    if not exact:
        raise Refusal(f"{what}: signed, but its envelope is not as it was written; altered, or signed by another key")


def _open(envelope: dict[str, Any], payload_type: str, publics: Sequence[bytes], what: str) -> dict[str, Any]:
    from cryptography.hazmat.primitives.serialization import load_pem_public_key
    from securesystemslib.dsse import Envelope
    from securesystemslib.exceptions import VerificationError
    from securesystemslib.signer import SSlibKey

    keys = [SSlibKey.from_crypto(load_pem_public_key(public)) for public in publics]
    held = envelope["signatures"]
    if len(held) != len(keys):
        raise Refusal(f"{what}: {len(held)} signatures, expected {len(keys)}")
    # The id is only a hint, and model-signing leaves it out; which key counts is our caller's choice.
    named = [{**held[0], "keyid": keys[0].keyid}] if len(keys) == 1 else [dict(entry) for entry in held]
    opened = Envelope.from_dict({**envelope, "signatures": named})
    try:
        opened.verify([*keys], len(keys))
    except VerificationError:
        raise Refusal(
            f"{what}: the signature does not fit the public key given; altered, or signed by another"
        ) from None
    _check_frame(envelope, {key.keyid for key in keys}, what)
    if opened.payload_type != payload_type:
        raise Refusal(f"{what}: signed as {opened.payload_type}, expected {payload_type}")
    payload = json.loads(opened.payload)
    if not isinstance(payload, dict):
        raise Refusal(f"{what}: the signed payload is no object")
    return payload
