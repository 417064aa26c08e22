"""An S3 endpoint that fails one request in five: nothing is lost, doubled or half visible, and a rerun finishes."""

import random

import pytest

from slipway.adapters.store import LocalStore
from slipway.errors import UserError
from slipway.files import sha256_bytes
from slipway.release.publishing import pointer, publish
from slipway.release.reading import verify
from tests import release_project, s3_servers
from tests.release.conftest import Site

MIB = s3_servers.MIB
TIMEOUT = 1.5


@pytest.fixture(params=["moto", "real"])
def endpoint(request, monkeypatch):
    for name in ("SLIPWAY_KEY", "SLIPWAY_STORE"):
        monkeypatch.delenv(name, raising=False)
    # Pauses between tries are made short; what is tried again, and how often, is not touched.
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *_: 0.02)
    with s3_servers.server(request.param) as url:
        s3_servers.reach(monkeypatch, url)
        yield url


@pytest.mark.parametrize("seed", range(2))
def test_a_store_does_what_it_says_while_one_request_in_five_fails(endpoint, monkeypatch, tmp_path, seed):
    name = s3_servers.bucket(endpoint)
    big = random.Random(seed).randbytes(11 * MIB)
    (tmp_path / "big").write_bytes(big)
    with s3_servers.failing(endpoint, 0.2, seed, TIMEOUT) as proxy:
        s3_servers.reach(monkeypatch, proxy.url)
        store = s3_servers.store(name, timeout=TIMEOUT, journal=tmp_path / "uploads")
        store.create("big", tmp_path / "big", sha256=sha256_bytes(big))
        for number in range(8):
            store.create(f"small/{number}", str(number).encode())
            assert store.read(f"small/{number}")[0] == str(number).encode()
        store.copy("big", "copy")
        with store.open("copy") as stream:
            assert stream.read() == big
        with pytest.raises(FileExistsError):
            store.create("small/0", b"other")
        tag = None
        for number in range(8):
            assert store.swap("pointer", str(number).encode(), tag), "nobody else writes there"
            assert not store.swap("pointer", b"late", tag)
            tag = store.read("pointer")[1]
        assert sorted(store.list()) == ["big", "copy", "pointer", *(f"small/{n}" for n in range(8))]
        assert proxy.seen.total() > proxy.seen["ok"] > 0, proxy.seen
    assert s3_servers.uploads(endpoint, name) == []
    assert list((tmp_path / "uploads").iterdir()) == []


@pytest.mark.parametrize(("share", "seed"), [(0.2, 1), (0.6, 2)])
def test_publishing_succeeds_or_leaves_the_channel_and_a_rerun_finishes(endpoint, monkeypatch, tmp_path, share, seed):
    name = s3_servers.bucket(endpoint)
    clean = s3_servers.store(name)
    site = Site(release_project.make(tmp_path / "project"), clean)
    first = site.release()
    release_project.bundle(site.root, card="# Second\n")
    claim = site.seal()
    staged = LocalStore(site.staged(claim))
    if share > 0.5:
        monkeypatch.setattr("slipway.adapters.store.connection.ATTEMPTS", 4)
    with s3_servers.failing(endpoint, share, seed, TIMEOUT) as proxy:
        if share > 0.5:
            proxy.before = ("500", "503", "reset")  # waiting for timeouts is done at the smaller share
        for _ in range(40):
            s3_servers.reach(monkeypatch, proxy.url)
            broken = s3_servers.store(name, timeout=TIMEOUT, journal=tmp_path / "uploads")
            try:
                publish.publish(broken, claim, staged, site.signer, channel="stable", expires_days=90)
            except UserError:
                s3_servers.reach(monkeypatch, endpoint)
                held = pointer.read_pointer(clean, "tiny", "stable", site.public)
                if held.version == first.version:
                    continue
            break
        assert proxy.seen.total() > proxy.seen["ok"], proxy.seen
    s3_servers.reach(monkeypatch, endpoint)
    assert verify.verify_channel(clean, "tiny", "stable", site.public).release.version == claim.version
    assert verify.verify(clean, f"releases/tiny/{first.version}", site.public).release.version == first.version
    if share < 0.5:  # where more fails, giving up an upload may fail too; a bucket's lifecycle rule ends those
        assert s3_servers.uploads(endpoint, name) == []
    assert sorted(clean.list("channels")) == ["channels/tiny/stable.json"]
    assert len(clean.list("claims")) == 2


def test_a_dead_connection_ends_and_says_so(endpoint, monkeypatch, tmp_path):
    name = s3_servers.bucket(endpoint)
    with s3_servers.failing(endpoint, 0.0, 0, timeout=1.0) as proxy:
        s3_servers.reach(monkeypatch, proxy.url)
        s3_servers.store(name).create("a", b"1")
        proxy.share, proxy.before, proxy.after = 1.0, ("timeout",), ()
        monkeypatch.setattr("slipway.adapters.store.connection.ATTEMPTS", 2)
        patient = s3_servers.store(name, timeout=0.2)
        with pytest.raises(UserError, match=r"get_object failed: .*[Tt]ime"):
            patient.read("a")
