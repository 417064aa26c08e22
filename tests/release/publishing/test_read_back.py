"""What is not read again, and what ends that: a change, a week, a folder that was not given."""

import os
import time

import pytest

from slipway.adapters.store import LocalStore
from slipway.errors import Refusal
from slipway.files import sha256_bytes
from slipway.release.bundle import manifest
from slipway.release.publishing import publish
from slipway.release.publishing.read_back import GOOD_FOR, ReadBack
from tests import release_project
from tests.counting_store import Counting


@pytest.fixture
def store(tmp_path) -> Counting:
    store = Counting(tmp_path / "store")
    for name in ("a", "b"):
        store.create(f"folder/{name}", name.encode())
    return store


SIZES = {"folder/a": 1, "folder/b": 1, "folder/none": 1}
DIGESTS = {"folder/a": sha256_bytes(b"a"), "folder/b": sha256_bytes(b"b")}


def test_what_was_read_is_remembered_by_the_next_process(store, tmp_path):
    assert ReadBack(tmp_path / "seen", store).hash(SIZES, "test")[0] == DIGESTS, "what is not there is left out"
    store.opened.clear()
    assert ReadBack(tmp_path / "seen", store).hash(SIZES, "test") == (DIGESTS, 0)
    assert store.opened == ["folder/none"]


def test_without_a_folder_everything_is_read(store):
    for _ in range(2):
        store.opened.clear()
        ReadBack(None, store).hash(SIZES, "test")
        assert sorted(store.opened) == sorted(SIZES)


def test_what_changed_is_read_again(store, tmp_path):
    ReadBack(tmp_path / "seen", store).hash(SIZES, "test")
    (store.root / "folder" / "a").write_bytes(b"x")
    os.utime(store.root / "folder" / "a", ns=(1, 1))
    found, _ = ReadBack(tmp_path / "seen", store).hash(SIZES, "test")
    assert found["folder/a"] == sha256_bytes(b"x")


def test_after_a_week_everything_is_read_again_and_torn_lines_do_not_count(store, tmp_path, monkeypatch):
    ReadBack(tmp_path / "seen", store).hash(SIZES, "test")
    with next((tmp_path / "seen").iterdir()).open("a") as stream:
        stream.write('{"key": "folder/a", "sha256": "forged')
    assert ReadBack(tmp_path / "seen", store).digest("folder/a") == DIGESTS["folder/a"]
    later = time.time() + GOOD_FOR + 1
    monkeypatch.setattr("slipway.release.publishing.read_back.time.time", lambda: later)
    assert ReadBack(tmp_path / "seen", store).digest("folder/a") is None


def test_a_release_that_was_altered_in_the_store_is_refused_though_it_was_read_back_before(site, tmp_path):
    claim = site.seal()
    staged, told = LocalStore(site.staged(claim)), {"channel": "stable", "expires_days": 90, "seen": tmp_path / "seen"}
    publish.publish(site.store, claim, staged, site.signer, **told)
    release_project.flip(site.store.root / "releases" / "tiny" / "v1" / "model.safetensors")
    with pytest.raises(Refusal, match=r"v1/model\.safetensors: sha256 is [^$]*The channel was not moved"):
        publish.publish(site.store, claim, staged, site.signer, **told)


def test_a_large_file_is_taken_from_a_release_that_the_channel_names_no_longer(site):
    bundle = site.root / "bundle"
    for number, seed in enumerate((1, 2, 1), start=1):
        release_project.bundle(site.root, card=f"# Number {number}\n")
        (bundle / "big.json").write_text(f'{{"seed": {seed}, "filler": "{"x" * (1 << 20)}"}}', "utf-8")
        (bundle / manifest.NAME).unlink()
        manifest.write(bundle, "tiny")
        site.release()
    places = [site.store.root / "releases" / "tiny" / version / "big.json" for version in ("v1", "v2", "v3")]
    assert places[0].stat().st_ino == places[2].stat().st_ino != places[1].stat().st_ino
