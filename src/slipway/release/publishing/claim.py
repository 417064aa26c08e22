"""Claims: which version belongs to which bundle, in a log that publishers race for without losing one another.

Claims under `claims/<name>/` are numbered and create-only: whoever writes number n has read 1 … n-1. That alone
decides which bundle owns a version. Nothing is published here.
"""

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

from slipway.errors import Refusal, UserError
from slipway.records import Record
from slipway.release.reading.reader import Reader

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


def claim_key(name: str, sequence: int) -> str:
    """Where a claim lies."""
    return f"claims/{name}/{sequence:06d}.json"


def claims(store: Reader, name: str) -> list[Claim]:
    """All claims of a name, by sequence; raises Refusal for an object among them that is none."""
    return _claims(store, name, {})


def _claims(store: Reader, name: str, known: dict[str, Claim]) -> list[Claim]:
    """As `claims`; `known` holds what was read before and gets the rest: what is written once is read once."""

    def read(key: str) -> Claim:
        try:
            claim = Claim.model_validate_json(store.read(key)[0])
        except ValueError as error:
            raise Refusal(f"{store.url}/{key}: no claim ({type(error).__name__}); it was altered or cut") from None
        # Nobody signs claims, and we sign what they say: one that names another release must not make us sign that.
        if (claim.name, claim_key(name, claim.sequence)) != (name, key) or not _VERSION.fullmatch(claim.version):
            raise Refusal(
                f"{store.url}/{key}: claims {claim.name} {claim.version} as number {claim.sequence}; no publisher "
                "wrote that there. Find out who did, and remove it"
            )
        return claim

    with ThreadPoolExecutor(AT_A_TIME) as pool:  # one request each, and there may be hundreds
        missing = store.list(f"claims/{name}").keys() - known.keys()
        known.update(zip(missing, pool.map(read, missing), strict=True))
    return sorted(known.values(), key=lambda claim: claim.sequence)


def claim_version(store: Store, name: str, version: str, manifest_sha256: str) -> Claim:
    """Give the bundle a version: the one it already has, else `version`, where `auto` is `v<sequence>`.

    Raises:
        Refusal: if the version belongs to another bundle.
    """
    known: dict[str, Claim] = {}
    for _ in range(RACES):
        taken = _claims(store, name, known)
        for claim in taken:
            if claim.manifest_sha256 == manifest_sha256:
                return claim
        sequence = len(taken) + 1
        wanted = f"v{sequence}" if version == "auto" else version
        if any(claim.version == wanted for claim in taken):
            raise Refusal(
                f"{store.url}: {name} {wanted} is another bundle already, and a version is written once; "
                "raise release.version in params.yaml"
            )
        if not _VERSION.fullmatch(wanted):
            raise UserError(f"release.version {wanted!r}: only letters, digits, `.`, `-` and `_`")
        claim = Claim(name=name, version=wanted, sequence=sequence, manifest_sha256=manifest_sha256)
        try:
            store.create(claim_key(name, sequence), claim.to_json().encode())
        except FileExistsError:
            continue  # someone was faster; read on and try the next number
        return claim
    raise UserError(f"{store.url}: lost {RACES} races for a version of {name}; is the store writable and consistent?")
