"""What a key made in a store: a rotation lists it, for that is all that the key stands for afterwards."""

import contextlib
from typing import NamedTuple

from slipway.errors import Refusal
from slipway.files import sha256_bytes
from slipway.release.bundle import manifest
from slipway.release.publishing import claim as claiming
from slipway.release.publishing.pointer import release_prefix
from slipway.release.reading.reader import Reader
from slipway.release.signing import keyring, signature
from slipway.release.withdrawal import advisory, tombstone


class Made(NamedTuple):
    """What lies in a store, as far as a rotation must know of it."""

    signed: dict[str, str]
    """`NAME@VERSION` -> sha256 of the model.sig that the key made."""
    objects: dict[str, str]
    """Key in the store -> sha256 of the claims, tombstones and advisories that it made."""
    begun: list[str]
    """Releases that are not complete."""
    bad: list[str]
    """Releases whose signature is missing or does not hold."""


def made_by(store: Reader, ring: keyring.Keyring, public: bytes) -> Made:
    """What `public` signed; raises Refusal for what lies among the claims and is none."""
    found = Made({}, {}, [], [])
    for name in sorted({key.split("/")[1] for top in (claiming.FOLDER, "releases") for key in store.list(top)}):
        log = claiming.examine(store, name, public)
        if log.faults:
            raise Refusal(log.faults[0])
        for entry in log.entries:
            if entry.signer == public:
                found.objects[claiming.claim_key(name, entry.claim.sequence)] = entry.sha256
            _examine(store, ring, public, entry.claim, found)
        # Whoever removes a claim must not take from what was released under it, or from its tombstone, its standing.
        held = {key.split("/")[2] for key in store.list(f"releases/{name}") if key.count("/") > 2}
        for version in sorted(held - {claim.version for claim in log.claims}):
            lost = claiming.Claim(name=name, version=version, sequence=0, manifest_sha256="")
            _examine(store, ring, public, lost, found._replace(begun=[], bad=[]))
    for key in sorted(store.list("advisories")):
        if key.endswith(".dsse.json"):
            found.objects.update(_signed(store, ring, public, key, advisory.TYPE))
    return found


def _examine(store: Reader, ring: keyring.Keyring, public: bytes, claim: claiming.Claim, found: Made) -> None:
    """Add what `public` signed of a release."""
    prefix, label = release_prefix(claim.name, claim.version), f"{claim.name}@{claim.version}"
    held = {key.removeprefix(f"{prefix}/") for key in store.list(prefix)}
    if tombstone.NAME in held:
        found.objects.update(_signed(store, ring, public, tombstone.key_of(prefix), tombstone.TYPE))
    if not held:
        return  # claimed, and nothing was sent: whoever takes it up signs with the new key
    if manifest.NAME not in held:  # it comes last
        found.begun.append(label)
        return
    if signature.NAME not in held:
        found.bad.append(label)
        return
    data, what = store.read(f"{prefix}/{signature.NAME}")[0], f"{store.url}/{prefix}/{signature.NAME}"
    try:
        key = ring.pick(signature.signed_by(data, what))
        signature.read(data, key, what)
    except Refusal:
        found.bad.append(label)
        return
    if key == public:
        found.signed[label] = sha256_bytes(data)


def _signed(store: Reader, ring: keyring.Keyring, public: bytes, key: str, payload_type: str) -> dict[str, str]:
    """The object and its sha256 if `public` signed it; what nobody did stands for nothing, before as after."""
    data = store.read(key)[0]
    with contextlib.suppress(Refusal):
        if ring.lasting(data, payload_type, key)[1] == public:
            return {key: sha256_bytes(data)}
    return {}
