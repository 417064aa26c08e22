"""Many publishers at once on one store, and a reader who follows the channel meanwhile.

field = racers.field(folder, 16, url, {})
race = racers.race(field, "auto")
"""

import shutil
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

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
    """Those that found a release."""
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


def race(jobs: list[Job], version: str, polls: int = 0, at_once: int | None = None, readers: int = 1) -> Race:
    """All publishers at once, or `at_once` at a time; readers poll until they are done, at least `polls` times."""
    following = [Follower(jobs[0].url, keys.public_key(jobs[0].root)) for _ in range(readers)]
    began, done = time.monotonic(), 0
    waiting, publishers, running = [replace(job, version=version) for job in jobs], [], []
    with ThreadPoolExecutor(readers) as pool:
        while waiting or running or done < polls:
            running = [publisher for publisher in running if publisher.process.is_alive()]
            begun = [Publisher(waiting.pop(0)) for _ in range(min(len(waiting), (at_once or len(jobs)) - len(running)))]
            publishers, running = publishers + begun, running + begun
            found = max(pool.map(Follower.poll, following))
            assert found or running, "nobody released anything"
            done = sum(reader.polls for reader in following)
    said = [publisher.result() or {} for publisher in publishers]
    full = sum(reader.full for reader in following)
    return Race(said, done, full, following[0].sequences[1:], time.monotonic() - began)


class Follower:
    """A reader who looks again and again at what a channel names; AssertionError or Refusal if that is not whole.

    A poll costs two requests, one before the first release: the pointer, and the listing of the release, in which every
    file must have the size that the manifest says. When the pointer has changed: its signature too (a listing of the
    key log), and a manifest that was not read yet. Both are kept only as the very bytes that were checked.
    """

    def __init__(self, url: str, public: bytes) -> None:
        self._store, self._public = store_of(url), public
        self._data = b""
        self._pointer: pointer.Pointer | None = None
        self._sizes: dict[str, dict[str, int]] = {}
        self.sequences = [0]
        """What the channel named, in the order in which it was seen to change."""
        self.polls, self.full, self.early = 0, 0, 0
        """Polls that found a release; those of them at which every byte was verified; and polls before the first."""

    def poll(self) -> int:
        """Sequence of the release that the channel names, 0 before the first; it never goes back."""
        found = self._poll()
        assert found >= self.sequences[-1], f"the channel went back from {self.sequences[-1]} to {found}"
        if found != self.sequences[-1]:
            self.sequences.append(found)
        return found

    def _poll(self) -> int:
        try:
            named = self._named()
        except FileNotFoundError:
            self.early += 1
            return 0
        self.polls += 1
        assert named.version is not None
        if self.polls % FULL == 0:
            self.full += 1
            whole = verify.verify_channel(self._store, NAME, CHANNEL, self._public).release
            assert whole.sequence >= named.sequence
            return whole.sequence
        prefix = pointer.release_prefix(NAME, named.version)
        held = {key.removeprefix(f"{prefix}/"): size for key, size in self._store.list(prefix).items()}
        missing = {*self._listed(named, prefix), *verify.BESIDE} - held.keys()
        assert not missing, f"{named.version} is named, but lacks {missing}"
        assert all(held[name] == size for name, size in self._listed(named, prefix).items())
        return named.sequence

    def _named(self) -> pointer.Pointer:
        data, tag = self._store.read(pointer.pointer_key(NAME, CHANNEL))
        if data != self._data or self._pointer is None:
            self._pointer, seen = pointer.read_tagged(self._store, NAME, CHANNEL, self._public)
            self._data = data if seen == tag else b""  # it moved once more in between: checked again next time
        return self._pointer

    def _listed(self, named: pointer.Pointer, prefix: str) -> dict[str, int]:
        if (digest := str(named.manifest_sha256)) not in self._sizes:
            data, _ = self._store.read(f"{prefix}/{manifest.NAME}")
            assert sha256_bytes(data) == digest
            self._sizes[digest] = {name: entry.bytes for name, entry in manifest.parse(data, prefix).files.items()}
        return self._sizes[digest]


def standing(url: str, public: bytes) -> list[Claim]:
    """All claims of a store, after checking that they have no gap and that every one is a release that verifies."""
    store = store_of(url)
    found = claims(store, NAME, public)
    assert [claim.sequence for claim in found] == list(range(1, len(found) + 1)), "a gap"
    for claim in found:
        verified = verify.verify(store, pointer.release_prefix(NAME, claim.version), public)
        assert verified.release.manifest_sha256 == claim.manifest_sha256
    return found
