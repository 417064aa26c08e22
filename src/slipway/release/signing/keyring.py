"""The key log of a store, and what follows from it: which key signs now, and what an older one may still stand for.

The log lies in the store as `keys/000001.json`, `keys/000002.json` …, each written once (`signing.key_events`). A
retired key stands for exactly what its rotation lists: one that is stolen later makes no other. Each event carries the
digest of the one before, so whoever trusts one key of the line trusts one log.

    >>> ring = read(store, anchor)        # the key that the verifier was given, old or new
    >>> ring.current                      # signs pointers and tombstones now
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from slipway.errors import Refusal, UserError
from slipway.files import sha256_bytes
from slipway.release.reading.reader import Reader
from slipway.release.signing.envelope import as_json, unseal
from slipway.release.signing.key_events import FOLDER, TYPE, Revoke, Rotate, parse

__all__ = [
    "FOLDER",
    "GRACE",
    "TYPE",
    "Keyring",
    "Revoke",
    "Rotate",
    "load_copy",
    "of_release",
    "read",
    "resolve",
    "seen",
    "signing",
]

GRACE = timedelta(minutes=15)
"""After a rotation, for which a pointer of the key before is taken: until all of them are signed anew."""
_RELEASE = re.compile(r"((?:.*/)?)releases/[^/]+/[^/]+/?")


@dataclass(frozen=True)
class Keyring:
    """What a log says, seen from one key of its line."""

    keys: tuple[bytes, ...]
    """PEM of each key of the line, oldest first."""
    retired: Mapping[str, Rotate]
    """sha256 of a key's PEM -> the rotation that ended its time."""
    revoked: Mapping[str, Revoke]
    log: tuple[bytes, ...]
    events: tuple[Rotate | Revoke, ...]

    @property
    def current(self) -> bytes:
        """PEM of the key that signs now; raises Refusal if it was revoked and has no successor."""
        key = self.keys[-1]
        if found := self.revoked.get(sha256_bytes(key)):
            raise Refusal(
                f"the signing key was revoked on {found.time} ({found.reason}) and has no successor; do not use this "
                "channel, and ask the publisher for a new key by another way"
            )
        return key

    def pick(self, hint: str | None) -> bytes:
        """The key with this sha256, or the newest: a hint only says which one to check a signature with."""
        return next((key for key in self.keys if sha256_bytes(key) == hint), self.keys[-1])

    def permit(self, key: bytes, signature_sha256: str, what: str) -> None:
        """That a model signature by `key` counts: the bytes of it, for a thief could sign an old bundle as a new one.

        Raises:
            Refusal: saying since when it does not, why, and what to do.
        """
        name = sha256_bytes(key)
        if (found := self.revoked.get(name)) and signature_sha256 not in found.trusted.values():
            raise Refusal(
                f"{what}: signed by key {name[:16]}…, which was revoked on {found.time}: {found.reason}. Do not use "
                "this release; use one that was signed with the present key"
            )
        # For a revoked one too: it may revoke itself, and who stole it would name what he forged.
        if (end := self.retired.get(name)) and signature_sha256 not in end.signed.values():
            raise Refusal(
                f"{what}: signed by key {name[:16]}…, which was retired on {end.time} and had not signed this release "
                "by then; somebody else holds that key. Do not use this release, and tell its publisher"
            )

    def present(self, data: bytes, payload_type: str, what: str, now: datetime | None = None) -> dict[str, Any]:
        """The payload of what the present key signs; for a while after a rotation, of what the key before had signed.

        Raises:
            Refusal: if it was signed by another, or by a key whose time is over.
        """
        try:
            return unseal(data, payload_type, self.current, what)
        except Refusal:
            end = self.events[-1] if self.events else None
            if not isinstance(end, Rotate):
                raise
            payload = unseal(data, payload_type, end.old.encode(), what)
        if (now or datetime.now(UTC)) - datetime.fromisoformat(end.time) > GRACE:
            raise Refusal(
                f"{what}: signed by the key that was retired on {end.time}; it is an old copy, or the rotation was "
                "interrupted: the publisher finishes it with `slipway keys rotate`"
            )
        return payload

    def lasting(self, data: bytes, payload_type: str, what: str) -> tuple[dict[str, Any], bytes]:
        """The payload of what stays good when the key changes (claims, tombstones, advisories), and the key.

        Any key of the line may have signed it; one that was retired, only what its rotation lists. A revocation voids
        none of it: a withdrawal is not taken back with the key that it was signed with, and a claim gives no trust.

        Raises:
            Refusal: if none of these keys signed it, or one did after its time.
        """
        unlike: Refusal | None = None
        for key in reversed(self.keys):
            try:
                payload = unseal(data, payload_type, key, what)
            except Refusal as fault:
                unlike = unlike or fault  # of the present key: it says best what is wrong
                continue
            end = self.retired.get(name := sha256_bytes(key))
            if end and sha256_bytes(data) not in end.objects.values():
                raise Refusal(
                    f"{what}: signed by key {name[:16]}…, which was retired on {end.time} and had not signed this by "
                    "then; somebody else holds that key, or it was signed while the key was changed"
                )
            return payload, key
        raise unlike or Refusal(f"{what}: there is no key to check it with")


def read(store: Reader, anchor: bytes, top: str = "", copy: Sequence[bytes] = ()) -> Keyring:
    """The keyring of a store, for a verifier who trusts `anchor`.

    Args:
        store: that holds the log.
        anchor: PEM of a key of the line, old or new.
        top: of the store's keys, ends with `/` unless it is empty.
        copy: of the log, that the verifier has from elsewhere; the longer of the two counts.

    Raises:
        Refusal: if the log has a gap, a fork or a foreign signature, or does not lead to `anchor`.
    """
    where = f"{store.url}/{top}{FOLDER}"
    found = []
    for number, key in enumerate(sorted(store.list(f"{top}{FOLDER}")), start=1):
        if key != f"{top}{FOLDER}/{number:06d}.json":
            raise Refusal(f"{store.url}/{key}: expected {number:06d}.json; the key log has a gap or a foreign file")
        found.append(store.read(key)[0])
    shorter, longer = sorted((found, list(copy)), key=len)
    if longer[: len(shorter)] != shorter:
        raise Refusal(f"{where}: not the key log that was given with --keys; one of them was forged, trust neither")
    return resolve(longer, anchor, where)


def seen(store: Reader, public: bytes) -> int:
    """Events of the key log that whoever signs with `public` has seen; raises as `signing`."""
    return len(signing(store, public).events)


def signing(store: Reader, public: bytes) -> Keyring:
    """The keyring for whoever signs with `public`.

    Raises:
        Refusal: if that key does not sign for this store any more.
    """
    ring = read(store, public)
    if ring.current != public:
        raise Refusal(
            f"{store.url}: key {sha256_bytes(public)[:16]}… was retired on {ring.retired[sha256_bytes(public)].time}; "
            "sign with the key that followed it (SLIPWAY_KEY)"
        )
    return ring


def of_release(store: Reader, prefix: str, anchor: bytes, copy: Sequence[bytes] = ()) -> Keyring:
    """The keyring for the release at `prefix`: of the store it lies in, or only of `copy` for a bare directory."""
    inside = _RELEASE.fullmatch(prefix.strip("/"))
    return read(store, anchor, inside[1], copy) if inside else resolve(copy, anchor, "the key log given")


def resolve(log: Sequence[bytes], anchor: bytes, what: str) -> Keyring:
    """What the events of a log say; raises Refusal as `read` does."""
    keys: list[bytes] = []
    retired: dict[str, Rotate] = {}
    revoked: dict[str, Revoke] = {}
    events: list[Rotate | Revoke] = []
    for number, data in enumerate(log, start=1):
        here = f"{what}/{number:06d}.json"
        event = parse(data, number, sha256_bytes(log[number - 2]) if number > 1 else None, here)
        signing = (event.old if isinstance(event, Rotate) else event.by).encode()
        keys = keys or [signing]
        signer = sha256_bytes(signing)
        if signing != keys[-1] and not (isinstance(event, Revoke) and event.key == signer and signing in keys):
            raise Refusal(f"{here}: not by the key that was current then; the key log was forged, trust none of it")
        if keys[-1] == signing and signer in revoked:
            raise Refusal(f"{here}: by a key that had been revoked; the key log was forged, trust none of it")
        if isinstance(event, Rotate):
            new = event.new.encode()
            if new in keys:
                raise Refusal(f"{here}: goes back to a key of before; the key log was forged, trust none of it")
            unseal(data, TYPE, signing, here, new)
            retired[signer] = event
            keys.append(new)
        else:
            if event.key not in map(sha256_bytes, keys):
                raise Refusal(f"{here}: revokes key {event.key[:16]}…, which is none of this log")
            unseal(data, TYPE, signing, here)
            revoked.setdefault(event.key, event)
        events.append(event)
    keys = keys or [anchor]
    if anchor not in keys:
        raise Refusal(
            f"{what}: the key log does not lead to the key given ({sha256_bytes(anchor)[:16]}…); it is another "
            "publisher's store or key, or the log's end is hidden"
        )
    return Keyring(tuple(keys), retired, revoked, tuple(log), tuple(events))


def load_copy(path: str | Path) -> tuple[bytes, ...]:
    """A copy of a log: what `slipway keys export` wrote, or the folder `keys` of a store; raises UserError."""
    path = Path(path)
    try:
        if path.is_dir():
            return tuple(file.read_bytes() for file in sorted(path.glob("*.json")))
        # `as_json` gives back the bytes that lie in the store; other bytes would not follow one another.
        return tuple(as_json(envelope) for envelope in json.loads(path.read_bytes()))
    except (OSError, ValueError, TypeError) as error:
        raise UserError(f"{path}: no copy of a key log ({type(error).__name__}); see `slipway keys export`") from None
