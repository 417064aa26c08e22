"""What is damaged on the way, here or in the store, never becomes part of a release that a channel points at."""

import os

import pytest

from slipway.adapters.store import LocalStore
from slipway.errors import Refusal
from slipway.release.publishing import publish, twins
from slipway.release.reading import verify
from tests import release_project


def second(site):
    release_project.bundle(site.root, card="# Second\n")
    return site.seal()


def test_a_damaged_signature_is_not_sent_and_a_rerun_signs_anew(site):
    claim = site.seal()
    (site.staged(claim) / "model.sig").write_bytes(b"")
    with pytest.raises(Refusal, match=r"model\.sig: not a model signature.*Nothing was sent"):
        site.send(claim)
    assert site.store.list("releases") == {}
    assert site.store.list("channels") == {}
    assert site.seal() == claim
    assert site.send(claim).pointer == "moved"
    verify.verify_channel(site.store, "tiny", "stable", site.public)


def test_the_staged_directory_of_another_release_is_not_sent(site):
    first = site.seal()
    claim = second(site)
    wrong = first.model_copy(update={"version": claim.version})
    staged = LocalStore(site.staged(claim))
    with pytest.raises(Refusal, match="not the one claimed as tiny v2"):
        publish.publish(site.store, wrong, staged, site.signer, channel="stable", expires_days=90)


@pytest.mark.parametrize("how", ["flipped", "gone"])
def test_a_damaged_twin_is_not_copied_but_sent_and_said(site, how, monkeypatch):
    monkeypatch.setattr(twins, "WORTH", 0)
    site.release()
    twin = site.store.root / "releases" / "tiny" / "v1" / "records" / "train.json"
    twin.unlink()
    if how == "flipped":
        twin.write_bytes(b"evil")
    published = site.send(second(site))
    assert published.damaged == ("releases/tiny/v1/records/train.json",)
    assert (published.sent, published.copied) == (6, 12)
    assert verify.verify_channel(site.store, "tiny", "stable", site.public).release.version == "v2"


@pytest.mark.parametrize("data", [None, b"rubbish"])
def test_a_damaged_manifest_of_the_release_before_means_no_twins(site, data, monkeypatch):
    monkeypatch.setattr(twins, "WORTH", 0)
    site.release()
    path = site.store.root / "releases" / "tiny" / "v1" / "manifest.json"
    path.unlink()
    if data:
        path.write_bytes(data)
    assert site.send(second(site)).copied == 0
    assert verify.verify_channel(site.store, "tiny", "stable", site.public).release.version == "v2"


def test_a_link_or_an_added_empty_directory_is_refused(site):
    site.release()
    place = site.store.root / "releases" / "tiny" / "v1"
    (place / "extra").mkdir()
    with pytest.raises(Refusal, match=r"extra/: not covered by the signature"):
        verify.verify(LocalStore(place), "", site.public)
    (place / "extra").rmdir()
    (place / "config.json").rename(place.parent / "config.json")
    (place / "config.json").symlink_to(place.parent / "config.json")
    with pytest.raises(Refusal, match=r"config\.json: not a regular file"):
        verify.verify(site.store, "releases/tiny/v1", site.public)


def test_a_directory_that_cannot_be_read_is_refused(site, monkeypatch):
    site.release()
    real = os.scandir

    def locked(path):
        # A mode would not keep the superuser out.
        if os.fspath(path).endswith("records"):
            raise PermissionError(13, "Permission denied", os.fspath(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", locked)
    with pytest.raises(Refusal, match=r"records: cannot be listed \(Permission denied\)"):
        verify.verify(site.store, "releases/tiny/v1", site.public)


def test_a_folder_left_empty_by_a_kill_does_not_stop_the_next_attempt(site):
    claim = site.seal()
    (site.store.root / "releases" / "tiny" / "v1" / "records").mkdir(parents=True)
    assert site.send(claim).pointer == "moved"
