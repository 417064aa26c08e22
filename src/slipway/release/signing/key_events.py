"""The events of a key log: a *rotation* and a *revocation*, signed, each with the digest of the one before.

A rotation is signed by the old key (which permits it) and by the new one (which proves that its holder has it), and
lists what the old key had made. A revocation says since when and why a key is not trusted. What follows from a log says
`signing.keyring`.
"""

import json
from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter, ValidationError

from slipway.errors import Refusal, UserError
from slipway.records import Record
from slipway.release.signing.envelope import as_json, claimed
from slipway.release.signing.keys import canonical

FOLDER = "keys"
TYPE = "application/vnd.slipway.keys+json"

Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Rotate(Record):
    """That a new key takes the place of the old one."""

    event: Literal["rotate"] = "rotate"
    number: int
    previous: Digest | None
    """sha256 of the event before, as it lies in the store; None for the first."""
    time: str
    """ISO 8601, as the publisher's machine said."""
    old: str
    """PEM."""
    new: str
    """PEM."""
    signed: dict[str, Digest]
    """`NAME@VERSION` -> sha256 of the model.sig that the old key made; it stands for nothing else from now on."""
    objects: dict[str, Digest] = {}
    """Key in the store -> sha256 of the claims, tombstones and advisories that it made; as `signed`."""


class Revoke(Record):
    """That a key is not trusted any more."""

    event: Literal["revoke"] = "revoke"
    number: int
    previous: Digest | None
    time: str
    by: str
    """PEM of the key that signs this: the one that is current, or the revoked one itself."""
    key: Digest
    """sha256 of the revoked key's PEM."""
    reason: str
    trusted: dict[str, Digest]
    """`NAME@VERSION` -> sha256 of the model.sig of releases that stay good in spite of it."""


Event = Annotated[Rotate | Revoke, Field(discriminator="event")]
_EVENT: TypeAdapter[Rotate | Revoke] = TypeAdapter(Event)


def parse(data: bytes, number: int, previous: str | None, what: str) -> Rotate | Revoke:
    """An event as it says of itself; its signatures are not checked yet. Raises Refusal if it does not follow."""
    said = claimed(data, what)
    try:
        event = _EVENT.validate_json(json.dumps(said))
        pems = [p.encode() for p in ((event.old, event.new) if isinstance(event, Rotate) else (event.by,))]
        zoned = datetime.fromisoformat(event.time).utcoffset() is not None
        exact = zoned and as_json(json.loads(data)) == data and all(canonical(p, what) == p for p in pems)
    except (ValidationError, ValueError, UserError) as error:
        raise Refusal(f"{what}: no event of a key log that this Slipway knows ({type(error).__name__})") from None
    if not exact or (event.number, event.previous) != (number, previous):
        raise Refusal(f"{what}: does not follow the event before it; the key log has a gap or a fork, trust none of it")
    return event
