"""Claims: which version belongs to which bundle, in a log that publishers race for without losing one another.

Claims under `claims/<name>/` are numbered and create-only: whoever writes number n has read 1 … n-1. That alone
decides which bundle owns a version. Nothing is published here.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

from slipway.errors import Refusal, UserError
from slipway.records import Record
from slipway.release.reader import Reader

RACES = 100
"""Lost races in a row after which something else must be wrong."""
AT_A_TIME = 16


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


def claims(store: Reader, name: str) -> list[Claim]:
    """All claims of a name, by sequence; raises Refusal for an object among them that is none."""

    def read(key: str) -> Claim:
        try:
            return Claim.model_validate_json(store.read(key)[0])
        except ValueError as error:
            raise Refusal(f"{store.url}/{key}: no claim ({type(error).__name__}); it was altered or cut") from None

    with ThreadPoolExecutor(AT_A_TIME) as pool:  # one request each, and there may be hundreds
        found = list(pool.map(read, store.list(f"claims/{name}")))
    return sorted(found, key=lambda claim: claim.sequence)


def claim_version(store: Store, name: str, version: str, manifest_sha256: str) -> Claim:
    """Give the bundle a version: the one it already has, else `version`, where `auto` is `v<sequence>`.

    Raises:
        Refusal: if the version belongs to another bundle.
    """
    for _ in range(RACES):
        taken = claims(store, name)
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
        if not wanted.replace(".", "").replace("-", "").replace("_", "").isalnum() or wanted.startswith((".", "-")):
            raise UserError(f"release.version {wanted!r}: only letters, digits, `.`, `-` and `_`")
        claim = Claim(name=name, version=wanted, sequence=sequence, manifest_sha256=manifest_sha256)
        try:
            store.create(f"claims/{name}/{sequence:06d}.json", claim.to_json().encode())
        except FileExistsError:
            continue  # someone was faster; read on and try the next number
        return claim
    raise UserError(f"{store.url}: lost {RACES} races for a version of {name}; is the store writable and consistent?")
