"""The tombstone of a release that was withdrawn: `yanked.json` beside its manifest, signed.

The bytes stay, for a release is written once; whoever verifies is told not to use them, and why.
"""

import json
from typing import TYPE_CHECKING, Literal, get_args

from slipway.errors import Refusal
from slipway.records import Record
from slipway.release.reading.reader import Reader
from slipway.release.signing import keyring
from slipway.release.signing.envelope import seal

if TYPE_CHECKING:
    from securesystemslib.signer import Signer

NAME = "yanked.json"
TYPE = "application/vnd.slipway.yank+json"
Severity = Literal["low", "moderate", "high", "critical"]
SEVERITIES: tuple[Severity, ...] = get_args(Severity)


class Yanked(Record):
    """That a release was withdrawn, and what those who use it should do."""

    name: str
    version: str
    manifest_sha256: str
    reason: str
    """For those who use it, in a sentence or two."""
    time: str
    """ISO 8601."""
    replaced_by: str | None
    """Version that the channel names since."""
    severity: Severity | None = None
    """Of the fault, as its publisher judges it; None if it was not said."""
    advisory: str | None = None
    """What else describes the fault: a URL, or an id such as `CVE-…`."""


def key_of(prefix: str) -> str:
    """Where the tombstone of the release at `prefix` lies."""
    return f"{prefix}/{NAME}"


def exists(store: Reader, prefix: str) -> bool:
    """Whether anything lies where the tombstone of the release at `prefix` would; that alone forbids its use."""
    try:
        store.read(key_of(prefix))
    except FileNotFoundError:
        return False
    return True


def write(yanked: Yanked, signer: "Signer") -> bytes:
    """The signed tombstone."""
    return seal(yanked.model_dump(mode="json"), TYPE, signer)


def read(data: bytes, ring: keyring.Keyring, what: str = NAME) -> Yanked:
    """The tombstone after its signature was checked.

    Raises:
        Refusal: if it does not hold: a key that was retired stands for those alone that it had made by then.
    """
    payload, _ = ring.lasting(data, TYPE, what)
    try:
        return Yanked.model_validate_json(json.dumps(payload))
    except ValueError as error:
        raise Refusal(f"{what}: signed, but no tombstone ({type(error).__name__})") from None


def at(store: Reader, prefix: str, public: bytes) -> Yanked | None:
    """The tombstone of the release at `prefix`, None if there is none; `public` is any key of the publisher's line.

    Raises:
        Refusal: if it does not hold, or was signed for another release.
    """
    what = f"{store.url}/{key_of(prefix)}"
    try:
        data = store.read(key_of(prefix))[0]
    except FileNotFoundError:
        return None
    found = read(data, keyring.read(store, public), what)
    if [found.name, found.version] != prefix.split("/")[-2:]:
        raise Refusal(f"{what}: signed for {found.name} {found.version}; someone copied it here")
    return found


def refusal(store: Reader, key: str, ring: keyring.Keyring) -> Refusal:
    """Why a release with a tombstone is not used; one that does not hold forbids it too, for it cannot be told why."""
    what = f"{store.url}/{key}"
    try:
        found = read(store.read(key)[0], ring, what)
    except Refusal as fault:
        return Refusal(f"{fault}. Do not use this release until its publisher has explained it")
    return said(found, what)


def said(found: Yanked, what: str) -> Refusal:
    """What a tombstone says to those who would use the release."""
    instead = f"use {found.replaced_by} instead" if found.replaced_by else "wait for the next release"
    return Refusal(f"{what}: {found.name} {found.version} was withdrawn on {found.time}: {found.reason}; {instead}")
