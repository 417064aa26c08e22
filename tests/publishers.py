"""Publishers in processes of their own, which race one another or are killed at a chosen point; some withdraw.

A fork server imports everything once; a publisher starts in milliseconds and does what the steps `sign` and `publish`
do, on a real store. `kill_at=n` ends it by SIGKILL at its n-th file operation below its folders or request to a
server; n beyond its last means that it finishes and says how many there were.
"""

import multiprocessing
import os
import signal
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from slipway.adapters.store import LocalStore, S3Store
from slipway.errors import UserError
from slipway.release import statement
from slipway.release.bundle import manifest
from slipway.release.publishing import publish, recall, sealing, twins
from slipway.release.publishing.claim import Claim, claim_version
from slipway.release.signing import keys
from tests import gate_records

NAME, CHANNEL = "tiny", "stable"
PART = 4 << 10
_EVENTS = {"open", "os.rename", "os.link", "os.remove", "os.mkdir", "os.rmdir", "shutil.rmtree", "http.client.send"}


@dataclass(frozen=True)
class Job:
    """What one publisher does."""

    root: str
    """Project with a bundle."""
    url: str
    """`s3://bucket/prefix`, or a directory."""
    version: str = "auto"
    kill_at: int = 0
    """0: not killed, not counted."""
    withdraw: str | None = None
    """Version to withdraw, instead of publishing."""
    environment: tuple[tuple[str, str], ...] = ()


def store_of(url: str, root: str | None = None) -> LocalStore | S3Store:
    """The store at `url`, with parts small enough for tests; interrupted uploads are remembered in the project."""
    if url.startswith("s3://"):
        bucket, _, prefix = url.removeprefix("s3://").partition("/")
        return S3Store(bucket, prefix, part=PART, journal=Path(root, ".slipway", "uploads") if root else None)
    return LocalStore(url)


def seal(root: Path, store: LocalStore | S3Store, version: str, work: Path) -> tuple[Claim, Path]:
    """Claim and sign the bundle in `root`; the claim and the signed directory below `work`."""
    signer = keys.signer(root)
    digest = manifest.digest(root / "bundle")
    taken = recall.held(store, NAME, CHANNEL, keys.public_of(signer)).sequence
    claim = claim_version(store, NAME, version, digest, signer, above=taken)
    named = recall.held(store, NAME, CHANNEL, keys.public_of(signer)).pointer
    before = named.manifest_sha256 if named and named.sequence < claim.sequence else None

    def compose(identity: statement.Identity) -> bytes:
        return statement.write(
            root, identity, signer, created=datetime.now(UTC).isoformat(), approvals={},
            gate=gate_records.verdict(identity.manifest_sha256),
        )  # fmt: skip

    sealing.seal_release(store, claim, root / "bundle", work, signer, predecessor=before, compose=compose)
    return claim, sealing.staged_directory(work, claim)


def seal_and_publish(root: Path, store: LocalStore | S3Store, version: str) -> dict[str, Any]:
    """Claim, sign and publish the bundle in `root`; the claim and what publishing did."""
    work = root / ".slipway" / "releases" / manifest.digest(root / "bundle")
    claim, staged = seal(root, store, version, work)
    done = publish.publish(store, claim, LocalStore(staged), keys.signer(root), channel=CHANNEL, expires_days=90)
    sealing.discard(work)
    return {"claim": claim.model_dump(), "published": done.model_dump(mode="json")}


def withdraw(root: Path, store: LocalStore | S3Store, version: str) -> dict[str, Any]:
    """Withdraw a version; what that did."""
    from slipway.release.withdrawal.yank import Cause, yank

    cause = Cause(reason="it learned a password")
    done = yank(store, NAME, version, keys.signer(root), cause=cause, preferred=CHANNEL, expires_days=90)
    return {"withdrawn": done.model_dump(mode="json")}


def run(job: Job, line: Connection) -> None:
    """Body of a publisher's process; sends its outcome through `line`."""
    os.environ.update(dict(job.environment))
    os.nice(5)  # a reader beside many of them gets a share of a small machine
    sys.stdout = open(os.devnull, "w")  # noqa: SIM115  as long as the process lives
    twins.WORTH = PART  # as parts are small here, so that small files are copied inside the store
    seen = _count(job) if job.kill_at else [0]
    try:
        root, store = Path(job.root), store_of(job.url, job.root)
        outcome = withdraw(root, store, job.withdraw) if job.withdraw else seal_and_publish(root, store, job.version)
    except UserError as error:
        outcome = {"told": f"{type(error).__name__}: {error}"}
    line.send(outcome | {"events": seen[0]})
    line.close()


def _count(job: Job) -> list[int]:
    """Count what this process does to the outside from now on; SIGKILL at `job.kill_at`."""
    seen, places = [0], (job.root, job.url)

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event not in _EVENTS:
            return
        if event != "http.client.send" and not str(arguments[0]).startswith(places):
            return
        seen[0] += 1
        if seen[0] == job.kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)
    return seen


class Publisher:
    """A publisher at work."""

    def __init__(self, job: Job) -> None:
        here, there = _context().Pipe(duplex=False)
        self.line, self.process = here, _context().Process(target=run, args=(job, there), daemon=True)
        self.process.start()
        there.close()

    def result(self, timeout: float = 120) -> dict[str, Any] | None:
        """What it said, or None if it was killed before it could."""
        try:
            said: dict[str, Any] | None = self.line.recv() if self.line.poll(timeout) else None
        except EOFError:
            said = None
        self.process.join(timeout)
        assert not self.process.is_alive(), "a publisher hangs"
        return said

    def finished(self, timeout: float = 120) -> dict[str, Any]:
        """What it said, after checking that it did what it was to do."""
        said = self.result(timeout)
        assert said is not None, "it was killed"
        assert "published" in said or "withdrawn" in said, said
        return said


def _context() -> multiprocessing.context.ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.publishers_preload"])
    return context
