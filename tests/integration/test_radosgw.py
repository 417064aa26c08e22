"""Publishing to an S3 server over HTTP: moto's, and a real one (infra/radosgw) where the environment names it."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from slipway.adapters.store import LocalStore
from slipway.errors import Refusal
from slipway.files import sha256_bytes
from slipway.release.bundle import manifest
from slipway.release.publishing import publish
from slipway.release.publishing.claim import claim_version, claims
from slipway.release.reading import fetch, verify
from slipway.release.signing import keys
from tests import release_project, s3_servers
from tests.release.conftest import Site

MIB = s3_servers.MIB
SENDER = """
import sys
from pathlib import Path
from tests import s3_servers
store = s3_servers.store(sys.argv[1], journal=Path(sys.argv[3]), workers=2)
store.capabilities()
print("ready", flush=True)
store.create("big", Path(sys.argv[2]), sha256=sys.argv[4])
"""


@pytest.fixture(params=["moto", "real"])
def endpoint(request, monkeypatch):
    for name in ("SLIPWAY_KEY", "SLIPWAY_STORE"):
        monkeypatch.delenv(name, raising=False)
    with s3_servers.server(request.param) as url:
        s3_servers.reach(monkeypatch, url)
        yield url


@pytest.fixture
def site(endpoint, tmp_path) -> Site:
    return Site(release_project.make(tmp_path / "project"), s3_servers.store(s3_servers.bucket(endpoint)))


def enlarge(bundle: Path, seed: int, card: str = "# Tiny\n") -> None:
    """Give the bundle weights of 12 MiB, more than two parts, and a card."""
    values = np.random.default_rng(seed).normal(size=3 * MIB).astype(np.float32)
    save_file({"w": values}, bundle / "model.safetensors")
    (bundle / "README.md").write_text(card, "utf-8")
    (bundle / manifest.NAME).unlink()
    manifest.write(bundle, "tiny")


def test_a_release_arrives_verifies_and_is_found(site):
    enlarge(site.root / "bundle", 1)
    claim = site.release()
    found = verify.verify_channel(site.store, "tiny", "stable", site.public)
    assert (found.release.version, found.release.sequence) == (claim.version, 1)
    fetch.fetch(site.store, "tiny", "v1", site.root / "copy", site.public, channel="stable")
    assert verify.verify(LocalStore(site.root / "copy"), "", site.public).bytes == found.bytes


def test_unchanged_weights_are_copied_from_any_earlier_release(site):
    enlarge(site.root / "bundle", 1)
    first = site.release()
    enlarge(site.root / "bundle", 2)
    site.release()
    enlarge(site.root / "bundle", 1, card="# Third\n")
    published = site.send(site.seal())
    assert published.sent_bytes < MIB, "the weights lie in the first release, which the channel names no longer"
    assert verify.verify_channel(site.store, "tiny", "stable", site.public).release.version == "v3"
    assert verify.verify(site.store, f"releases/tiny/{first.version}", site.public).release.sequence == 1


def test_what_is_published_and_unchanged_is_neither_sent_nor_read_again(site, tmp_path):
    enlarge(site.root / "bundle", 1)
    claim = site.seal()
    staged, told = LocalStore(site.staged(claim)), {"channel": "stable", "expires_days": 90}
    first = publish.publish(site.store, claim, staged, site.signer, **told, seen=tmp_path / "seen")
    again = publish.publish(site.store, claim, staged, site.signer, **told, seen=tmp_path / "seen")
    assert first.read_back_bytes > 12 * MIB
    assert (again.sent, again.copied, again.pointer) == (0, 0, "unchanged")
    assert again.read_back_bytes < MIB
    assert publish.publish(site.store, claim, staged, site.signer, **told).read_back_bytes > 12 * MIB


def test_an_object_that_was_replaced_is_read_again_and_refused(site, tmp_path, endpoint):
    import boto3

    enlarge(site.root / "bundle", 1)
    claim = site.seal()
    staged, told = LocalStore(site.staged(claim)), {"channel": "stable", "expires_days": 90}
    publish.publish(site.store, claim, staged, site.signer, **told, seen=tmp_path / "seen")
    weights = bytearray((staged.root / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    key = "team/a/releases/tiny/v1/model.safetensors"
    boto3.client("s3", endpoint_url=endpoint).put_object(Bucket=site.store.bucket, Key=key, Body=bytes(weights))
    with pytest.raises(Refusal, match=r"model\.safetensors: sha256 is"):
        publish.publish(site.store, claim, staged, site.signer, **told, seen=tmp_path / "seen")


def test_of_racing_publishers_each_gets_a_version_of_its_own(endpoint, tmp_path):
    name, got = s3_servers.bucket(endpoint), []
    shared = s3_servers.store(name)
    signer = keys.file_signer(release_project.key_pair(tmp_path / "release.key"))

    def race(digest: str) -> None:
        got.append(claim_version(s3_servers.store(name), "tiny", "auto", digest, signer))

    threads = [threading.Thread(target=race, args=(f"{number:064x}",)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(claim.sequence for claim in got) == list(range(1, 13))
    assert [claim.sequence for claim in claims(shared, "tiny", keys.public_of(signer))] == list(range(1, 13))


@pytest.mark.parametrize("seed", range(3))
def test_a_killed_upload_sends_at_most_one_part_per_worker_again(endpoint, monkeypatch, tmp_path, seed):
    name, data = s3_servers.bucket(endpoint), random.Random(seed).randbytes(41 * MIB)
    (tmp_path / "big").write_bytes(data)
    with s3_servers.failing(endpoint, 0.0, 0, timeout=5.0) as proxy:
        s3_servers.reach(monkeypatch, proxy.url)
        arguments = [name, str(tmp_path / "big"), str(tmp_path / "uploads"), sha256_bytes(data)]
        child = subprocess.Popen(
            [sys.executable, "-c", SENDER, *arguments], stdout=subprocess.PIPE, env=os.environ | {"PYTHONPATH": "."},
            cwd=Path(__file__).parents[2],
        )  # fmt: skip
        assert child.stdout.readline() == b"ready\n"
        proxy.received, wanted = 0, random.Random(seed).randrange(1, 8) * s3_servers.PART
        while proxy.received < wanted and child.poll() is None:
            time.sleep(0.002)
        child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdout.close()
        time.sleep(0.3)  # what the server had taken in already is still answered
        store = s3_servers.store(name, journal=tmp_path / "uploads", workers=2)
        assert store.list() == {} or store.read("big")[0] == data
        try:
            store.create("big", tmp_path / "big", sha256=sha256_bytes(data))
        except FileExistsError:
            assert store.list() == {"big": len(data)}, "it was complete when the signal came"
        assert proxy.received <= len(data) + 2 * s3_servers.PART + MIB
        assert store.read("big")[0] == data
    assert s3_servers.uploads(endpoint, name) == []
