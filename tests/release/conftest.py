"""A project with keys and a store, and the rooms joined as the flow joins them, without MLflow and Prefect."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from slipway.adapters.store import LocalStore
from slipway.records import project_ledger
from slipway.release import statement
from slipway.release.bundle import manifest
from slipway.release.publishing import publish, recall, sealing
from slipway.release.publishing.claim import Claim, claim_version
from slipway.release.signing import keys
from slipway.settings import Price
from tests import gate_records, release_project


@dataclass
class Site:
    root: Path
    store: LocalStore
    price: Price | None = None
    """With one, releases state a ledger."""
    judged: bool = True
    """Whether releases state a verdict."""

    @property
    def key(self) -> Path:
        return keys.private_key(self.root)

    @property
    def signer(self):
        return keys.file_signer(self.key)

    @property
    def public(self) -> bytes:
        return keys.public_pem(self.key)

    @property
    def work(self) -> Path:
        return self.root / ".slipway" / "work" / manifest.digest(self.root / "bundle")

    def seal(self, version: str = "auto") -> Claim:
        digest, taken = manifest.digest(self.root / "bundle"), recall.held(self.store, "tiny", "stable", self.public)
        claim = claim_version(self.store, "tiny", version, digest, self.signer, above=taken.sequence, spent=taken.spent)
        named = recall.held(self.store, "tiny", "stable", self.public).pointer

        def compose(identity: statement.Identity) -> bytes:
            return statement.write(
                self.root, identity, self.signer, created="2026-01-01T00:00:00+00:00", approvals={},
                gate=gate_records.verdict(identity.manifest_sha256) if self.judged else None,
                ledger=project_ledger(self.root, self.price) if self.price else None,
            )  # fmt: skip

        before = named.manifest_sha256 if named else None
        sealing.seal_release(
            self.store, claim, self.root / "bundle", self.work, self.signer, predecessor=before, compose=compose
        )
        return claim

    def staged(self, claim: Claim) -> Path:
        return sealing.staged_directory(self.work, claim)

    def send(self, claim: Claim) -> publish.Published:
        return publish.publish(
            self.store, claim, LocalStore(self.staged(claim)), self.signer, channel="stable", expires_days=90
        )

    def release(self, version: str = "auto") -> Claim:
        claim = self.seal(version)
        self.send(claim)
        return claim


@pytest.fixture
def site(tmp_path, monkeypatch) -> Site:
    for name in ("SLIPWAY_KEY", "SLIPWAY_STORE"):
        monkeypatch.delenv(name, raising=False)
    return Site(release_project.make(tmp_path / "project"), LocalStore(tmp_path / "store"))
