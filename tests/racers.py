"""Many publishers at once on one store, and a reader who follows the channel meanwhile.

field = racers.field(folder, 16, url, {})
race = racers.race(field, "auto")
"""

import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from slipway.adapters.store import LocalStore, S3Store
from slipway.files import sha256_bytes
from slipway.release.bundle import manifest
from slipway.release.publishing import pointer
from slipway.release.publishing.claim import Claim, claims
from slipway.release.reading import verify
from slipway.release.signing import keys
from tests import release_project
from tests.publishers import CHANNEL, NAME, Job, Publisher, store_of

FULL = 25
"""Every so many polls the reader verifies every byte."""


@dataclass
class Race:
    """How a race went."""

    said: list[dict[str, Any]]
    """What each publisher ended with."""
    polls: int
    full: int
    """Polls at which every byte was verified."""
    sequences: list[int]
    """What the channel named, in the order in which the reader saw it change."""
    seconds: float

    @property
    def published(self) -> list[dict[str, Any]]:
        return [said for said in self.said if "published" in said]

    @property
    def told(self) -> list[str]:
        return [said["told"] for said in self.said if "told" in said]


def field(folder: Path, count: int, url: str, environment: Mapping[str, str], *, same: bool = False) -> list[Job]:
    """Projects with one key whose bundles differ in the card, or are the `same`."""
    first = release_project.make(folder / "0")
    keys.generate(first / ".slipway" / "keys" / "release.key")
    jobs = []
    for number in range(count):
        root = folder / str(number)
        if number:
            shutil.copytree(first, root)
        if not same:
            alter(root, f"# Tiny {number}\n")
        jobs.append(Job(str(root), url, environment=tuple(environment.items())))
    return jobs


def alter(root: Path, card: str) -> None:
    """Another card, hence another bundle."""
    (root / "bundle" / "README.md").write_text(card)
    manifest.write(root / "bundle", NAME)


def race(jobs: list[Job], version: str, polls: int = 0) -> Race:
    """All publishers at once; the reader polls until they are done, and at least `polls` times."""
    store, public = store_of(jobs[0].url), keys.public_key(jobs[0].root)
    began = time.monotonic()
    publishers = [Publisher(replace(job, version=version)) for job in jobs]
    done, full, sequences = 0, 0, [0]
    while done < polls or any(publisher.process.is_alive() for publisher in publishers):
        everything = done % FULL == FULL - 1
        found = poll(store, public, everything=everything)
        assert found >= sequences[-1], f"the channel went back from {sequences[-1]} to {found}"
        if found != sequences[-1]:
            sequences.append(found)
        done, full = done + 1, full + everything
    said = [publisher.result() or {} for publisher in publishers]
    return Race(said, done, full, sequences[1:], time.monotonic() - began)


def poll(store: LocalStore | S3Store, public: bytes, *, everything: bool) -> int:
    """Sequence of the release that the channel names, 0 before the first; AssertionError or Refusal if it is not whole.

    Short form: the pointer's signature, the manifest by its digest, and every file that belongs there is listed with
    the size that the manifest says.
    """
    try:
        named = pointer.read_pointer(store, NAME, CHANNEL, public)
    except FileNotFoundError:
        return 0
    assert named.version is not None
    if everything:
        return max(named.sequence, verify.verify_channel(store, NAME, CHANNEL, public).release.sequence)
    prefix = pointer.release_prefix(NAME, named.version)
    data, _ = store.read(f"{prefix}/{manifest.NAME}")
    assert sha256_bytes(data) == named.manifest_sha256
    listed = manifest.parse(data, prefix).files
    held = {key.removeprefix(f"{prefix}/"): size for key, size in store.list(prefix).items()}
    missing = {*listed, *verify.BESIDE} - held.keys()
    assert not missing, f"{named.version} is named, but lacks {missing}"
    assert all(held[name] == entry.bytes for name, entry in listed.items())
    return named.sequence


def standing(url: str, public: bytes) -> list[Claim]:
    """All claims of a store, after checking that they have no gap and that every one is a release that verifies."""
    store = store_of(url)
    found = claims(store, NAME)
    assert [claim.sequence for claim in found] == list(range(1, len(found) + 1)), "a gap"
    for claim in found:
        verified = verify.verify(store, pointer.release_prefix(NAME, claim.version), public)
        assert verified.release.manifest_sha256 == claim.manifest_sha256
    return found
