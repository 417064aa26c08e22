"""Single bits flipped in everything that a release consists of, and who must notice each.

`subjects` makes one real release of every kind of file and says how each file is checked; `missed` flips bits one
after the other and returns those that nobody noticed. The test and the benchmark differ in the number only.
"""

import json
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from slipway.adapters.store import LocalStore
from slipway.errors import Refusal, Waiting
from slipway.release.approvals import approval
from slipway.release.bundle import manifest
from slipway.release.publishing import claim as claiming
from slipway.release.publishing import pointer, sealing
from slipway.release.reading import verify
from slipway.release.signing import keyring, keys, rotation
from slipway.release.signing.envelope import seal
from slipway.release.withdrawal import tombstone
from slipway.settings import Approval, Price
from tests import release_project
from tests.release.conftest import Site


@dataclass(frozen=True)
class Subject:
    """A file, and what must refuse it when a bit of it is another."""

    path: Path
    check: Callable[[], object]
    refusal: type[Exception] = Refusal


def subjects(site: Site) -> list[Subject]:
    """Every file of a released version with ledger and verdict, pointer, claim, key log, approval and tombstone."""
    release_project.ledger(site.root)
    site.price = Price(per_device_hour=2.0, currency="EUR")
    claim = site.release()

    def channel() -> object:
        return verify.verify_channel(site.store, "tiny", "stable", site.public)

    channel()
    place = site.store.root / pointer.release_prefix(claim.name, claim.version)
    found = [Subject(path, channel) for path in sorted(place.rglob("*")) if path.is_file()]
    found.append(Subject(site.store.root / pointer.pointer_key("tiny", "stable"), channel))
    claimed = Subject(
        site.store.root / claiming.claim_key("tiny", claim.sequence),
        lambda: claiming.claims(site.store, "tiny", site.public),
    )
    claimed.check()
    found.append(claimed)
    sealing.discard(site.work)
    return [*found, *_key_log(site), _approval(site), _tombstone(site)]


def _key_log(site: Site) -> list[Subject]:
    """In a copy of the store: a rotation and the pointer signed by the new key, read by who knows the old one only."""
    copy = LocalStore(shutil.copytree(site.store.root, site.root / "rotated"))
    new = keys.file_signer(release_project.key_pair(site.root / "keys" / "new.key"))
    event = rotation.rotate(copy, site.signer, new).event

    def check() -> object:
        return verify.verify_channel(copy, "tiny", "stable", site.public)

    check()
    return [Subject(copy.root / key, check) for key in (event, pointer.pointer_key("tiny", "stable"))]


def _approval(site: Site) -> Subject:
    key = release_project.key_pair(site.root / "keys" / "ann.key")
    policy = Approval(required=1, approvers={"ann": "keys/ann.pub"})
    digest = manifest.digest(site.root / "bundle")
    recipe = release_project.values(approval=policy.model_dump(mode="json"))
    (site.root / "params.yaml").write_text(json.dumps(recipe))
    path = approval.approve(site.root, digest, "ann", key)

    def check() -> object:
        return approval.check(policy, site.root, digest)

    check()
    return Subject(path, check, Waiting)


def _tombstone(site: Site) -> Subject:
    """Read as `verify` does before it tells a user why a release is not to be used."""
    yanked = tombstone.Yanked(
        name="tiny", version="v0", manifest_sha256="0" * 64, reason="it learned a password",
        time="2026-01-01T00:00:00+00:00", replaced_by="v1",
    )  # fmt: skip
    path = site.root / tombstone.NAME
    path.write_bytes(seal(yanked.model_dump(mode="json"), tombstone.TYPE, site.signer))

    def check() -> object:
        return tombstone.read(path.read_bytes(), keyring.read(site.store, site.public))

    check()
    return Subject(path, check)


def missed(found: list[Subject], count: int, seed: int) -> list[str]:
    """Flip `count` bits, one at a time, taking the files in turn; those that were not refused, in words."""
    rng = random.Random(seed)
    unnoticed = []
    for number in range(count):
        subject = found[number % len(found)]
        whole = subject.path.read_bytes()
        bit = rng.randrange(len(whole) * 8)
        altered = bytearray(whole)
        altered[bit // 8] ^= 1 << bit % 8
        subject.path.write_bytes(altered)
        try:
            subject.check()
            around = whole[max(0, bit // 8 - 40) : bit // 8 + 10]
            unnoticed.append(f"{subject.path.name}: bit {bit % 8} of byte {bit // 8}, after {around!r}")
        except subject.refusal:
            pass
        finally:
            subject.path.write_bytes(whole)
    return unnoticed
