"""A store behind https: published to and fetched from, and refused at once where the certificate is not trusted."""

import random
import time

import pytest

from slipway.adapters.store import LocalStore
from slipway.errors import UserError
from slipway.release.publishing import publish
from slipway.release.reading import fetch
from tests import release_project, s3_servers
from tests.release.conftest import Site


@pytest.fixture
def https(tmp_path, monkeypatch):
    """URL of a server, and its certificate, which nobody trusts yet."""
    for name in ("SLIPWAY_KEY", "SLIPWAY_STORE", "AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    with s3_servers.https(tmp_path) as (url, certificate):
        s3_servers.reach(monkeypatch, url)
        yield url, certificate


def test_a_release_is_published_and_fetched_over_https(https, tmp_path, monkeypatch):
    url, certificate = https
    monkeypatch.setenv("AWS_CA_BUNDLE", str(certificate))
    site = Site(release_project.make(tmp_path / "project"), s3_servers.store(s3_servers.bucket(url)))
    claim = site.seal()
    staged = LocalStore(site.staged(claim))
    published = publish.publish(site.store, claim, staged, site.signer, channel="stable", expires_days=90)
    assert published.pointer == "moved"
    fetched = fetch.fetch(site.store, "tiny", None, tmp_path / "here", site.public, channel="stable")
    assert (fetched.version, fetched.files, fetched.reused) == ("v1", len(staged.list()), 0)


def test_large_files_travel_over_https(https, tmp_path, monkeypatch):
    url, certificate = https
    monkeypatch.setenv("AWS_CA_BUNDLE", str(certificate))
    store = s3_servers.store(s3_servers.bucket(url))
    for size in (3, 11):  # in one request, and in parts
        data = random.Random(size).randbytes(size * s3_servers.MIB)
        (tmp_path / "file").write_bytes(data)
        store.create(f"{size}", tmp_path / "file")
        store.copy(f"{size}", f"copy of {size}")
        assert store.read(f"copy of {size}")[0] == data


def refused(folder, said):
    store, began = s3_servers.store("models"), time.monotonic()
    (folder / "file").write_bytes(b"weights")
    for call in (
        lambda: store.create("a", b"x"),
        lambda: store.create("a", folder / "file"),
        lambda: store.read("a"),
        store.list,
    ):
        with pytest.raises(UserError, match=said):
            call()
    assert time.monotonic() - began < 10, "it is not tried again"


def test_a_certificate_that_is_not_trusted_is_refused_at_once(https, tmp_path):
    refused(tmp_path, r"https://127\.0\.0\.1.*self-signed certificate.*not sent.*AWS_CA_BUNDLE")


def test_a_trusted_certificate_of_another_server_is_refused(tmp_path, monkeypatch):
    with s3_servers.https(tmp_path, "127.0.0.2") as (url, certificate):
        s3_servers.reach(monkeypatch, url)
        monkeypatch.setenv("AWS_CA_BUNDLE", str(certificate))
        refused(tmp_path, r"'127\.0\.0\.1' doesn't match '127\.0\.0\.2'.*not sent")


def test_a_server_that_speaks_no_tls_is_said(tmp_path, monkeypatch):
    with s3_servers.server("moto") as url:
        s3_servers.reach(monkeypatch, url.replace("http:", "https:"))
        refused(tmp_path, r"not sent.*speak https at all")
