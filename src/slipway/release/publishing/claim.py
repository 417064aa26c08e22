"""Claims: which version belongs to which bundle, in a log that publishers race for without losing one another.

Claims under `claims/<name>/` are numbered, signed and create-only: whoever writes number n has read 1 … n-1. That alone
decides which bundle owns a version. Nothing is published here.

What lies among them and is not signed by the publisher counts for nothing. Publishing stops at it, for its number
cannot be told from one that is taken, and names the object to be removed; reading and withdrawing go on without it.
"""

import json
import re
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from slipway.errors import Refusal, UserError
from slipway.files import sha256_bytes
from slipway.records import Record
from slipway.release.reading.reader import Reader
from slipway.release.signing import keyring
from slipway.release.signing.envelope import seal
from slipway.release.signing.keys import public_of

if TYPE_CHECKING:
    from securesystemslib.signer import Signer

FOLDER = "claims"
TYPE = "application/vnd.slipway.claim+json"

RACES = 100
"""Lost races in a row after which something else must be wrong."""
AT_A_TIME = 16
_VERSION = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")


class Store(Reader, Protocol):
    """What publishing asks of a store beyond reading; `slipway.adapters.store` has two of them."""

    def tags(self, prefix: str = "") -> dict[str, str]: ...
    def create(
        self, key: str, content: bytes | Path, sha256: str | None = None, note: Callable[[int], None] | None = None
    ) -> None: ...
    def copy(self, source: str, key: str) -> None: ...
    def swap(self, key: str, content: bytes, tag: str | None) -> bool: ...


class Claim(Record):
    """A version that belongs to a bundle, and to no other ever after."""

    name: str
    version: str
    sequence: int
    manifest_sha256: str


@dataclass(frozen=True)
class Entry:
    """A claim as it lies in a store."""

    claim: Claim
    sha256: str
    """Of the object."""
    signer: bytes
    """PEM of the key that signed it."""


@dataclass(frozen=True)
class Log:
    """The claims of a name."""

    entries: tuple[Entry, ...]
    """By sequence."""
    faults: tuple[str, ...]
    """What lies among them and is no claim of this publisher: which object, why, and what to do."""

    @property
    def claims(self) -> list[Claim]:
        return [entry.claim for entry in self.entries]


def claim_key(name: str, sequence: int) -> str:
    """Where a claim lies."""
    return f"{FOLDER}/{name}/{sequence:06d}.json"


def claims(store: Reader, name: str, public: bytes) -> list[Claim]:
    """All claims of a name, by sequence; `public` is any key of the publisher's line.

    Raises:
        Refusal: naming an object among them that is none.
    """
    return _strict(examine(store, name, public))


def examine(store: Reader, name: str, public: bytes) -> Log:
    """As `claims`, but what does not hold is left out and told."""
    return _examine(store, name, keyring.read(store, public), {})


def _strict(log: Log) -> list[Claim]:
    if log.faults:
        raise Refusal(log.faults[0])
    return log.claims


def _examine(store: Reader, name: str, ring: keyring.Keyring, known: dict[str, Entry]) -> Log:
    """`known` holds what was read before and gets the rest: what is written once is read once."""

    def read(key: str) -> Entry | Refusal:
        if key.endswith("/"):
            return Refusal(f"{store.url}/{key}: an empty folder; no publisher made it. Remove it, and run this again")
        try:
            return _entry(store.read(key)[0], ring, name, key, f"{store.url}/{key}")
        except Refusal as fault:
            return fault
        except FileNotFoundError:
            return Refusal(f"{store.url}/{key}: listed, but not there when it was read; its store hides it, or changes")

    with ThreadPoolExecutor(AT_A_TIME) as pool:  # one request each, and there may be hundreds
        missing = sorted(store.list(f"{FOLDER}/{name}").keys() - known.keys())
        found = dict(zip(missing, pool.map(read, missing), strict=True))
    known.update({key: entry for key, entry in found.items() if isinstance(entry, Entry)})
    entries = sorted(known.values(), key=lambda entry: entry.claim.sequence)
    return Log(tuple(entries), tuple(str(fault) for fault in found.values() if isinstance(fault, Refusal)))


def _entry(data: bytes, ring: keyring.Keyring, name: str, key: str, what: str) -> Entry:
    remedy = (
        "Find out who wrote that there, remove it, and run this again; but if you sign with another key than this "
        "store's (SLIPWAY_KEY), set that right instead"
    )
    try:
        payload, signer = ring.lasting(data, TYPE, what)
        claim = Claim.model_validate_json(json.dumps(payload))
    except Refusal as fault:
        unsigned = " (Slipway did not sign claims at first: if it is yours, begin a new store)" if _bare(data) else ""
        raise Refusal(f"{fault}. It claims nothing{unsigned}. {remedy}") from None
    except ValueError as error:
        raise Refusal(f"{what}: signed, but no claim ({type(error).__name__}). {remedy}") from None
    # The name decides what a claim is of, and a signed one may have been copied here from elsewhere.
    if (claim.name, claim_key(name, claim.sequence)) != (name, key) or not _VERSION.fullmatch(claim.version):
        raise Refusal(
            f"{what}: claims {claim.name} {claim.version} as number {claim.sequence}; no publisher wrote that there. "
            f"{remedy}"
        )
    return Entry(claim, sha256_bytes(data), signer)


def _bare(data: bytes) -> bool:
    """Whether it is a claim as Slipway wrote them before they were signed."""
    try:
        Claim.model_validate_json(data)
    except ValueError:
        return False
    return True


def claim_version(
    store: Store,
    name: str,
    version: str,
    manifest_sha256: str,
    signer: "Signer",
    *,
    above: int = 0,
    spent: Collection[str] = (),
) -> Claim:
    """Give the bundle a version: the one it already has, else `version`, where `auto` is `v<sequence>`.

    Args:
        store: where it is claimed.
        name: of the release.
        version: wanted.
        manifest_sha256: bundle digest.
        signer: of the publisher.
        above: highest number that is known to be taken; a store that lost claims does not give it again.
        spent: versions that are known to be taken, or withdrawn; as `above`.

    Raises:
        Refusal: if the version belongs to another bundle, something lies among the claims that is none, or the key
            does not sign for this store any more.
    """
    ring = keyring.signing(store, public_of(signer))
    known: dict[str, Entry] = {}
    for _ in range(RACES):
        taken = _strict(_examine(store, name, ring, known))
        for claim in taken:
            if claim.manifest_sha256 == manifest_sha256:
                return claim
        sequence = max([above, *(claim.sequence for claim in taken)]) + 1
        wanted = f"v{sequence}" if version == "auto" else version
        if wanted in spent or any(claim.version == wanted for claim in taken):
            raise Refusal(
                f"{store.url}: {name} {wanted} is another bundle already, and a version is written once; "
                "raise release.version in params.yaml"
            )
        if not _VERSION.fullmatch(wanted):
            raise UserError(f"release.version {wanted!r}: only letters, digits, `.`, `-` and `_`")
        claim = Claim(name=name, version=wanted, sequence=sequence, manifest_sha256=manifest_sha256)
        try:
            store.create(claim_key(name, sequence), seal(claim.model_dump(mode="json"), TYPE, signer))
        except FileExistsError:
            continue  # someone was faster; read on and try the next number
        return claim
    raise UserError(f"{store.url}: lost {RACES} races for a version of {name}; is the store writable and consistent?")
