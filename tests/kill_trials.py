"""SIGKILL in the middle of a release, then what a reader sees, then the rerun: nothing lost, doubled or half-visible.

    with trials(folder, "local") as trial:
        trial.at(37, "card")

A trial copies a project and a store that hold v1, kills the publisher of v2 and examines both. Its cases: only the
`card` changed (weights are copied inside the store), the `weights` changed (they are sent, on S3 in parts), it is the
`first` release, or v2 is there and somebody withdraws it (`yank`).
"""

import os
import random
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest

from slipway.adapters.store import LocalStore, S3Store
from slipway.errors import Refusal
from slipway.release.bundle import manifest
from slipway.release.publishing import pointer
from slipway.release.publishing.claim import claims
from slipway.release.reading import verify
from slipway.release.signing import keys
from slipway.release.withdrawal import tombstone
from tests import counting_s3, release_project
from tests.publishers import CHANNEL, NAME, Job, Publisher, store_of

CASES = ("card", "weights", "first", "yank")


@dataclass
class Outcome:
    """What one trial showed; anything that must not be raises AssertionError instead."""

    killed: bool
    saw: str
    """What the reader was given after the kill: `old`, `new`, `none` (before a first release), or `told` that it was
    withdrawn."""
    parts_held: int = 0
    """Parts of unfinished uploads that the server held after the kill."""
    parts_again: int = 0
    """Those of them that the rerun sent once more."""
    left: int = 0
    """Parts of copies inside the server that nobody will finish; no reader sees them, and they are freed in a week."""


@dataclass
class Trials:
    """Projects and stores to copy for each trial."""

    folder: Path
    server: counting_s3.Server | None
    events: dict[str, int] = field(default_factory=dict)
    """Case -> how many points there are to be killed at."""
    seconds: float = 0.0
    """How long the slowest case takes when nobody kills it."""
    number: int = 0

    def _url(self, name: str) -> str:
        return f"s3://{counting_s3.BUCKET}/{name}" if self.server else str(self.folder / name / "store")

    @property
    def _environment(self) -> tuple[tuple[str, str], ...]:
        return tuple(self.server.environment.items()) if self.server else ()

    def prepare(self) -> None:
        """Make the project of each case, with v1 in its store and v2 in its bundle; count the points."""
        for case in CASES:
            root = release_project.make(self.folder / case / "project")
            keys.generate(root / ".slipway" / "keys" / "release.key")
            if case != "first":
                Publisher(Job(str(root), self._url(case), environment=self._environment)).finished()
                release_project.bundle(root, seed=case == "weights", card="# Second\n")
            if case == "yank":
                Publisher(Job(str(root), self._url(case), environment=self._environment)).finished()
            copy, url = self._copy(case)
            began = time.monotonic()
            said = Publisher(self._job(case, copy, url, 10**9)).finished()
            self.seconds = max(self.seconds, time.monotonic() - began)
            self.events[case] = said["events"]

    def _job(self, case: str, root: Path, url: str, kill_at: int = 0) -> Job:
        withdraw = "v2" if case == "yank" else None
        return Job(str(root), url, kill_at=kill_at, withdraw=withdraw, environment=self._environment)

    def _copy(self, case: str) -> tuple[Path, str]:
        self.number += 1
        name = f"trial-{self.number}"
        shutil.copytree(self.folder / case, self.folder / name)
        if self.server:
            copy_prefix(self.server, case, name)
        return self.folder / name / "project", self._url(name)

    def at(self, point: int, case: str) -> Outcome:
        """Kill at this point and examine."""
        return self._trial(case, point, None)

    def after(self, seconds: float, case: str) -> Outcome:
        """Kill after this time and examine."""
        return self._trial(case, 0, seconds)

    def _trial(self, case: str, point: int, seconds: float | None) -> Outcome:
        root, url = self._copy(case)
        publisher = Publisher(self._job(case, root, url, point))
        if seconds is not None:
            time.sleep(seconds)
            if publisher.process.is_alive():
                os.kill(publisher.process.pid or 0, signal.SIGKILL)
        publisher.result()
        outcome = Outcome(publisher.process.exitcode == -signal.SIGKILL, "")
        store, public = store_of(url), keys.public_key(root)
        outcome.saw = seen(store, public, case)
        before = claims(store, NAME, public)
        held = parts_held(self.server, url) if self.server else {}
        mark = len(self.server.requests()) if self.server else 0
        said = Publisher(self._job(case, root, url)).finished()
        if case == "yank":
            withdrawn(store, public, said)
        else:
            finished(store, root, public, said, before, first=case == "first")
        if self.server:
            outcome.parts_held = sum(len(parts) for parts in held.values())
            outcome.parts_again = parts_again(self.server.requests(mark), held)
            outcome.left = sum(len(parts) for parts in parts_held(self.server, url).values())
        shutil.rmtree(root.parent)
        return outcome

    def chosen(self, count: int, seed: int) -> list[tuple[int, str]]:
        """`count` points, spread over all cases, none twice unless there are fewer."""
        rng = random.Random(seed)
        every = [(point, case) for case, events in self.events.items() for point in range(1, events + 1)]
        return rng.sample(every, min(count, len(every)))


@contextmanager
def trials(folder: Path, kind: str) -> Iterator[Trials]:
    """Trials on a `local` store or on `s3`."""
    folder.mkdir(parents=True, exist_ok=True)
    if kind == "local":
        made = Trials(folder, None)
        made.prepare()
        yield made
        return
    with counting_s3.running(folder / "server") as server:
        kept = {name: os.environ.get(name) for name in server.environment}
        os.environ.update(server.environment)
        try:
            made = Trials(folder, server)
            made.prepare()
            yield made
        finally:
            for name, value in kept.items():
                os.environ.pop(name) if value is None else os.environ.update({name: value})


def seen(store: LocalStore | S3Store, public: bytes, case: str) -> str:
    """What the channel gives a reader after a kill; raises AssertionError or Refusal for half a release."""
    new = "v1" if case == "first" else "v2"
    if case != "first":
        verify.verify(store, f"releases/{NAME}/v1", public)
    prefix = pointer.release_prefix(NAME, new)
    held = store.list(prefix)
    whole = f"{prefix}/{manifest.NAME}" in held
    if whole:
        verify.verify(store, prefix, public, withdrawn=True)
    if case == "first" and pointer.current(store, NAME, CHANNEL, public) is None:
        return "none"
    if tombstone.key_of(prefix) in held and pointer.read_pointer(store, NAME, CHANNEL, public).version == new:
        with pytest.raises(Refusal, match=r"was withdrawn on .*: it learned a password"):
            verify.verify_channel(store, NAME, CHANNEL, public)
        return "told"
    version = verify.verify_channel(store, NAME, CHANNEL, public).release.version
    assert version != new or whole
    return "new" if version == new else "old"


def withdrawn(store: LocalStore | S3Store, public: bytes, said: dict[str, Any]) -> None:
    """The rerun ended with v2 withdrawn, once, and the channel at v1."""
    named = pointer.read_pointer(store, NAME, CHANNEL, public)
    assert (named.version, named.serial, named.withdrawn) == ("v1", 3, ("v2",))
    assert verify.verify_channel(store, NAME, CHANNEL, public).release.version == "v1"
    with pytest.raises(Refusal, match="was withdrawn on"):
        verify.verify(store, pointer.release_prefix(NAME, "v2"), public)
    verify.verify(store, pointer.release_prefix(NAME, "v2"), public, withdrawn=True)
    assert said["withdrawn"]["unlike"] == []
    assert store.list(said["withdrawn"]["advisory"].rpartition("/")[0])
    assert len(claims(store, NAME, public)) == 2


def finished(
    store: LocalStore | S3Store, root: Path, public: bytes, said: dict[str, Any], before: list[Any], *, first: bool
) -> None:
    """The rerun ended with the release that was begun, once and whole."""
    held = claims(store, NAME, public)
    assert len(held) == (1 if first else 2), held
    assert held[: len(before)] == before, "a claim was lost or altered"
    assert held[-1].manifest_sha256 == manifest.digest(root / "bundle")
    assert said["claim"] == held[-1].model_dump()
    named = verify.verify_channel(store, NAME, CHANNEL, public).release
    assert (named.version, named.sequence) == (held[-1].version, len(held))
    if not first:
        old = verify.verify(store, f"releases/{NAME}/v1", public).release
        assert named.predecessor == old.manifest_sha256
    versions = {key.split("/")[2] for key in store.list("releases")}
    assert versions == {claim.version for claim in held}, "something of no release was left behind"
    expected = {claim.version for claim in held}
    for version in expected:
        verify.verify(store, pointer.release_prefix(NAME, version), public)


def copy_prefix(server: counting_s3.Server, source: str, target: str) -> None:
    """Copy every object of a store inside the server."""
    client = boto3.client("s3", endpoint_url=server.url)
    for item in client.list_objects_v2(Bucket=counting_s3.BUCKET, Prefix=f"{source}/").get("Contents", []):
        key = target + item["Key"].removeprefix(source)
        client.copy_object(
            Bucket=counting_s3.BUCKET, Key=key, CopySource={"Bucket": counting_s3.BUCKET, "Key": item["Key"]}
        )


def parts_held(server: counting_s3.Server, url: str) -> dict[str, dict[int, int]]:
    """Key -> number -> bytes of the parts of unfinished uploads of this store."""
    client = boto3.client("s3", endpoint_url=server.url)
    prefix = url.removeprefix(f"s3://{counting_s3.BUCKET}/") + "/"
    found: dict[str, dict[int, int]] = {}
    for upload in client.list_multipart_uploads(Bucket=counting_s3.BUCKET, Prefix=prefix).get("Uploads", []):
        if not upload["Key"].startswith(prefix):
            continue
        parts = client.list_parts(Bucket=counting_s3.BUCKET, Key=upload["Key"], UploadId=upload["UploadId"])
        found[upload["Key"]] = {part["PartNumber"]: part["Size"] for part in parts.get("Parts", [])}
    return found


def parts_again(requests: list[dict[str, Any]], held: dict[str, dict[int, int]]) -> int:
    """How many of the parts held before were sent once more; a part copied inside the server has no bytes."""
    again = 0
    for request in requests:
        if request["method"] == "PUT" and "partNumber=" in request["query"] and request["bytes"]:
            query = dict(pair.partition("=")[::2] for pair in request["query"].split("&"))
            key = request["path"].removeprefix(f"/{counting_s3.BUCKET}/")
            again += int(query["partNumber"]) in held.get(key, {})
    return again
