"""The transparency log of a private Sigstore for tests, as Rekor's: a Merkle tree (RFC 6962) with signed checkpoints.

Version 1 of the protocol promises the time of an entry by itself; version 2 leaves times to an RFC 3161 authority.
"""

import hashlib
import json
import time
from base64 import b64decode, b64encode
from collections.abc import Sequence
from typing import Any

import rfc8785
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

from tests.sigstore_authorities import ECDSA, Denied, key_id, new_key

NAME = "log.example.org"


def leaf(body: bytes) -> bytes:
    """Hash of an entry."""
    return hashlib.sha256(b"\0" + body).digest()


def root(leaves: Sequence[bytes]) -> bytes:
    """Hash of the tree over `leaves` (at least one)."""
    if len(leaves) == 1:
        return leaves[0]
    half = 1 << (len(leaves) - 1).bit_length() - 1
    return hashlib.sha256(b"\1" + root(leaves[:half]) + root(leaves[half:])).digest()


def path(index: int, leaves: Sequence[bytes]) -> list[bytes]:
    """What proves that the leaf at `index` is in the tree, from below."""
    if len(leaves) == 1:
        return []
    half = 1 << (len(leaves) - 1).bit_length() - 1
    if index < half:
        return [*path(index, leaves[:half]), root(leaves[half:])]
    return [*path(index - half, leaves[half:]), root(leaves[:half])]


class Log:
    """Entries in the order in which they came, with the key that signs for them."""

    def __init__(self) -> None:
        self.key, self.clock = new_key(), time.time
        self.bodies: list[bytes] = [b"the entry that was there before"]

    def _appended(self, body: bytes) -> tuple[int, list[bytes], list[bytes]]:
        """Index, proof and leaves, after `body` was entered."""
        if body in self.bodies:
            raise Denied("an equivalent entry already exists in the transparency log")
        self.bodies.append(body)
        leaves = [leaf(held) for held in self.bodies]
        return len(leaves) - 1, path(len(leaves) - 1, leaves), leaves

    def _checkpoint(self, leaves: Sequence[bytes]) -> str:
        """What the log says of itself at this size, as a signed note."""
        note = f"{NAME}\n{len(leaves)}\n{b64encode(root(leaves)).decode()}\n"
        signature = key_id(self.key)[:4] + self.key.sign(note.encode(), ECDSA)
        return f"{note}\n\N{EM DASH} {NAME} {b64encode(signature).decode()}\n"

    def enter_v1(self, proposed: dict[str, Any]) -> dict[str, Any]:
        """An entry of kind `dsse` 0.0.1, with the promise that is also its time."""
        if (proposed.get("kind"), proposed.get("apiVersion")) != ("dsse", "0.0.1"):
            raise Denied("this log takes entries of kind dsse 0.0.1")
        content = proposed["spec"]["proposedContent"]
        envelope, (verifier,) = json.loads(content["envelope"]), content["verifiers"]
        body = rfc8785.dumps(_dsse_body(content["envelope"].encode(), envelope, verifier))
        index, proof, leaves = self._appended(body)
        entry = {
            "body": b64encode(body).decode(), "integratedTime": int(self.clock()),
            "logID": key_id(self.key).hex(), "logIndex": index,
        }  # fmt: skip
        promise = self.key.sign(rfc8785.dumps(entry), ECDSA)
        inclusion = {
            "checkpoint": self._checkpoint(leaves), "hashes": [held.hex() for held in proof], "logIndex": index,
            "rootHash": root(leaves).hex(), "treeSize": len(leaves),
        }  # fmt: skip
        verification = {"inclusionProof": inclusion, "signedEntryTimestamp": b64encode(promise).decode()}
        return {leaf(body).hex(): entry | {"verification": verification}}

    def enter_v2(self, proposed: dict[str, Any]) -> dict[str, Any]:
        """An entry of kind `hashedrekord` 0.0.2, without a time."""
        asked = proposed["hashedRekordRequestV002"]
        verifier = asked["signature"]["verifier"]
        key = x509.load_der_x509_certificate(b64decode(verifier["x509Certificate"]["rawBytes"])).public_key()
        _hold(key, asked["signature"]["content"], b64decode(asked["digest"]), ec.ECDSA(Prehashed(hashes.SHA256())))
        spec = {"data": {"algorithm": "SHA2_256", "digest": asked["digest"]}, "signature": asked["signature"]}
        kind = {"kind": "hashedrekord", "version": "0.0.2"}
        body = rfc8785.dumps({"apiVersion": "0.0.2", "kind": "hashedrekord", "spec": {"hashedRekordV002": spec}})
        index, proof, leaves = self._appended(body)
        inclusion = {
            "logIndex": str(index), "treeSize": str(len(leaves)), "rootHash": b64encode(root(leaves)).decode(),
            "hashes": [b64encode(held).decode() for held in proof],
            "checkpoint": {"envelope": self._checkpoint(leaves)},
        }  # fmt: skip
        return {
            "logIndex": str(index), "logId": {"keyId": b64encode(key_id(self.key)).decode()}, "kindVersion": kind,
            "inclusionProof": inclusion, "canonicalizedBody": b64encode(body).decode(),
        }  # fmt: skip


def _dsse_body(raw: bytes, envelope: dict[str, Any], verifier: str) -> dict[str, Any]:
    """The entry for an envelope, whose signature must hold for the certificate `verifier` (base64 of PEM)."""
    payload = b64decode(envelope["payload"])
    kind = envelope["payloadType"].encode()
    signed = b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)
    key = x509.load_pem_x509_certificate(b64decode(verifier)).public_key()
    for signature in envelope["signatures"]:
        _hold(key, signature["sig"], signed, ECDSA)
    signatures = [{"signature": signature["sig"], "verifier": verifier} for signature in envelope["signatures"]]
    spec = {
        "envelopeHash": {"algorithm": "sha256", "value": hashlib.sha256(raw).hexdigest()},
        "payloadHash": {"algorithm": "sha256", "value": hashlib.sha256(payload).hexdigest()},
        "signatures": signatures,
    }
    return {"apiVersion": "0.0.1", "kind": "dsse", "spec": spec}


def _hold(key: Any, signature: str, data: bytes, how: ec.ECDSA) -> None:
    try:
        key.verify(b64decode(signature), data, how)
    except InvalidSignature:
        raise Denied("the signature does not hold for the certificate") from None
