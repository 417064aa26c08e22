"""Publishing and verifying: what arrives is what was signed, versions are unique, the channel never goes back."""

import shutil
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta

import pytest

from slipway.adapters.store import LocalStore
from slipway.errors import Refusal, UserError
from slipway.release.bundle import manifest
from slipway.release.publishing import moving, publish, twins
from slipway.release.publishing.claim import claim_version, claims
from slipway.release.reading import verify
from slipway.release.signing import keys
from tests import release_project

PREFIX = "releases/tiny/v1"


def place(site, version="v1"):
    return site.store.root / "releases" / "tiny" / version


def test_a_release_is_the_bundle_with_statement_and_signature(site):
    claim = site.release()
    assert (claim.version, claim.sequence) == ("v1", 1)
    held = {path.removeprefix(f"{PREFIX}/") for path in site.store.list(PREFIX)}
    assert held == set(manifest.entries(site.root / "bundle")) | {"statement.json", "GATE.html", "model.sig"}
    verified = verify.verify_channel(site.store, "tiny", "stable", site.public)
    assert verified.release.manifest_sha256 == manifest.digest(site.root / "bundle")
    assert verified.release.predecessor is None


def test_a_plain_copy_verifies_here_and_with_model_signing(site, tmp_path):
    site.release()
    copy = shutil.copytree(place(site), tmp_path / "copy")
    public = tmp_path / "key.pub"
    public.write_bytes(site.public)
    assert verify.verify(LocalStore(copy), "", site.public).release.version == "v1"
    command = ["verify", "key", str(copy), "--signature", str(copy / "model.sig"), "--public_key", str(public)]
    done = subprocess.run(
        [sys.executable, "-m", "model_signing", *command], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    release_project.flip(copy / "config.json")
    done = subprocess.run(
        [sys.executable, "-m", "model_signing", *command], capture_output=True, text=True, check=False
    )
    assert done.returncode != 0


def files_of_a_release():
    return ["model.safetensors", "README.md", "records/train.json", "manifest.json", "statement.json", "model.sig"]


@pytest.mark.parametrize("name", files_of_a_release())
def test_a_flipped_bit_is_refused_and_the_file_named(site, name):
    site.release()
    path = place(site) / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(Refusal, match=rf"v1/{name}"):
        verify.verify(site.store, PREFIX, site.public)


@pytest.mark.parametrize("name", files_of_a_release())
def test_a_missing_file_is_refused_and_named(site, name):
    site.release()
    (place(site) / name).unlink()
    with pytest.raises(Refusal, match=rf"v1/{name}: .*missing"):
        verify.verify(site.store, PREFIX, site.public)


@pytest.mark.parametrize(
    "name", ["evil.py", ".git/evil.py", ".gitattributes", ".tmp/x", ".swap.lock", "records/extra.json"]
)
def test_an_added_file_is_refused_and_named(site, name):
    site.release()
    (place(site) / name).parent.mkdir(exist_ok=True)
    (place(site) / name).write_bytes(b"x")
    with pytest.raises(Refusal, match=rf"{name}: not covered by the signature"):
        verify.verify(LocalStore(place(site)), "", site.public)
    with pytest.raises(Refusal, match=rf"{name}: not covered by the signature"):
        verify.verify(site.store, PREFIX, site.public)


def test_another_key_is_refused(site, tmp_path):
    site.release()
    release_project.key_pair(tmp_path / "other.key")
    with pytest.raises(Refusal, match=r"model\.sig: the signature does not fit the public key"):
        verify.verify(site.store, PREFIX, (tmp_path / "other.pub").read_bytes())


def test_files_of_two_releases_cannot_be_mixed(site):
    site.release()
    release_project.bundle(site.root, card="# Second\n")
    site.release()
    for name in ("statement.json", "manifest.json", "model.sig"):
        target = place(site, "v2") / name
        kept = target.read_bytes()
        target.write_bytes((place(site) / name).read_bytes())
        with pytest.raises(Refusal, match="v2/"):
            verify.verify(site.store, "releases/tiny/v2", site.public)
        target.write_bytes(kept)
    verify.verify(site.store, "releases/tiny/v2", site.public)


def test_an_old_release_in_the_place_of_the_new_is_refused(site):
    site.release()
    release_project.bundle(site.root, card="# Second\n")
    site.release()
    shutil.rmtree(place(site, "v2"))
    shutil.copytree(place(site), place(site, "v2"))
    with pytest.raises(Refusal, match="not the one that the channel names"):
        verify.verify_channel(site.store, "tiny", "stable", site.public)


def test_an_expired_or_foreign_pointer_is_refused(site):
    site.release()
    later = datetime.now(UTC) + timedelta(days=91)
    with pytest.raises(Refusal, match=r"stable\.json: expired"):
        verify.verify_channel(site.store, "tiny", "stable", site.public, later)
    site.store.create("channels/tiny/beta.json", site.store.read("channels/tiny/stable.json")[0])
    with pytest.raises(Refusal, match="signed for tiny/stable"):
        verify.verify_channel(site.store, "tiny", "beta", site.public)
    with pytest.raises(Refusal, match="nothing was released"):
        verify.verify_channel(site.store, "tiny", "none", site.public)


def test_unchanged_files_are_copied_in_the_store(site, monkeypatch):
    monkeypatch.setattr(twins, "WORTH", 0)
    site.release()
    release_project.bundle(site.root, card="# Second\n")
    claim = site.seal()
    published = site.send(claim)
    # The card, statement, its page, signature and manifest are new; all else lies in v1.
    assert (published.sent, published.copied) == (5, 13)
    assert (place(site) / "model.safetensors").stat().st_ino == (place(site, "v2") / "model.safetensors").stat().st_ino
    found = verify.verify_channel(site.store, "tiny", "stable", site.public).release
    assert (found.version, found.sequence) == ("v2", 2)
    assert found.predecessor == verify.verify(site.store, PREFIX, site.public).release.manifest_sha256


def test_small_files_are_sent_which_takes_fewer_requests_than_a_copy(site, monkeypatch):
    monkeypatch.setattr(twins, "WORTH", 16_000)
    site.release()
    release_project.bundle(site.root, card="# Second\n")
    published = site.send(site.seal())
    assert published.copied == 1, "model.safetensors"
    assert published.sent + published.copied == 18


def test_the_same_bundle_is_published_once(site):
    site.release()
    before = {path: path.stat().st_mtime_ns for path in site.store.root.rglob("*") if path.is_file()}
    published = site.send(site.seal())
    assert (published.sent, published.copied, published.pointer) == (0, 0, "unchanged")
    assert {path: path.stat().st_mtime_ns for path in site.store.root.rglob("*") if path.is_file()} == before


def test_a_version_belongs_to_one_bundle(site):
    site.release("1.0")
    release_project.bundle(site.root, card="# Second\n")
    with pytest.raises(Refusal, match=r"tiny 1\.0 is another bundle already.*raise release\.version"):
        site.release("1.0")
    assert site.release("1.1").sequence == 2
    with pytest.raises(UserError, match="only letters"):
        claim_version(site.store, "tiny", "../x", "00" * 32, site.signer)


def test_racing_publishers_get_different_versions(tmp_path):
    digests = [f"{number:064x}" for number in range(24)]
    signer = keys.file_signer(release_project.key_pair(tmp_path / "release.key"))
    got = []

    def race(digest: str) -> None:
        got.append(claim_version(LocalStore(tmp_path / "store"), "tiny", "auto", digest, signer))

    threads = [threading.Thread(target=race, args=(digest,)) for digest in [*digests, *digests]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {claim.sequence for claim in got} >= set(range(1, 25))
    held = claims(LocalStore(tmp_path / "store"), "tiny", keys.public_of(signer))
    by_version = {claim.version: claim.manifest_sha256 for claim in held}
    # The same bundle from two machines in the same instant may get two versions; two bundles never share one.
    assert set(by_version.values()) == set(digests)
    assert all(by_version[claim.version] == claim.manifest_sha256 for claim in got)


def test_the_channel_never_goes_back(site):
    first = site.seal()
    kept = shutil.copytree(site.staged(first), site.root / "kept")
    release_project.bundle(site.root, card="# Second\n")
    site.release()
    late = publish.publish(site.store, first, LocalStore(kept), site.signer, channel="stable", expires_days=90)
    assert late.pointer == "superseded"
    assert verify.verify_channel(site.store, "tiny", "stable", site.public).release.version == "v2"
    verify.verify(site.store, PREFIX, site.public)


def test_a_pointer_is_renewed_at_half_time(site):
    claim = site.release()
    half = datetime.now(UTC) + timedelta(days=46)
    assert moving.move_pointer(site.store, claim, site.signer, channel="stable", expires_days=90) == "unchanged"
    assert moving.move_pointer(site.store, claim, site.signer, channel="stable", expires_days=90, now=half) == "renewed"
    verify.verify_channel(site.store, "tiny", "stable", site.public, half + timedelta(days=80))


def test_a_file_altered_after_signing_is_not_sent(site):
    claim = site.seal()
    release_project.flip(site.staged(claim) / "model.safetensors")
    with pytest.raises(Refusal, match=r"model\.safetensors: sha256 is"):
        site.send(claim)
    assert site.store.list("channels") == {}


def test_a_file_altered_before_signing_is_not_signed(site):
    release_project.flip(site.root / "bundle" / "config.json")
    with pytest.raises(Refusal, match=r"config\.json: sha256 is .* altered"):
        site.seal()
    assert site.store.list("releases") == {}


def test_a_wrong_object_in_the_place_of_a_file_stops_the_release(site):
    claim = site.seal()
    site.store.create(f"{PREFIX}/config.json", b"evil")
    with pytest.raises(Refusal, match=r"v1/config\.json: sha256 is [^$]*The channel was not moved"):
        site.send(claim)
    assert site.store.list("channels") == {}


def test_a_foreign_object_beside_the_files_stops_the_release(site):
    claim = site.seal()
    site.store.create(f"{PREFIX}/evil.py", b"evil")
    with pytest.raises(Refusal, match=r"evil\.py: not of this release"):
        site.send(claim)


@pytest.mark.parametrize("count", range(0, 14, 3))
def test_an_interrupted_publish_is_finished_from_another_machine(site, count):
    """The second machine has the bundle and the key, but neither journal nor staged files."""
    claim = site.seal()
    names = [
        *(n for n in manifest.entries(site.root / "bundle") if n != "manifest.json"),
        "statement.json",
        "model.sig",
    ]
    for name in names[:count]:
        site.store.create(f"{PREFIX}/{name}", site.staged(claim) / name)
    shutil.rmtree(site.work)
    with pytest.raises(Refusal, match="no complete release"):
        verify.verify(site.store, PREFIX, site.public)
    assert site.seal() == claim
    assert site.send(claim).present == count
    verify.verify_channel(site.store, "tiny", "stable", site.public)
