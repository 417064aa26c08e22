"""What `verify` refuses beyond damage and forgery, and that it reads many files at once in a fixed order."""

import json
import shutil
import threading
import time

import pytest

from slipway.adapters.store import LocalStore
from slipway.errors import Refusal
from slipway.files import sha256_bytes
from slipway.release.bundle import manifest
from slipway.release.reading import hashing, verify
from slipway.release.signing import envelope, signature
from tests import release_project

PREFIX = "releases/tiny/v1"


def place(site):
    return site.store.root / "releases" / "tiny" / "v1"


def resign(site, directory, change=None):
    """The holder of the key signs `directory` anew, as it lies."""
    content = envelope.claimed((directory / "statement.json").read_bytes(), "it")
    page = (directory / "GATE.html").read_bytes()
    for name in ("statement.json", "model.sig", "GATE.html"):
        (directory / name).unlink()
    digest = manifest.write(directory, "tiny")
    content["predicate"]["buildDefinition"]["externalParameters"]["release"]["manifest_sha256"] = digest
    content["subject"][0]["digest"]["sha256"] = digest
    if change:
        change(content)
    (directory / "statement.json").write_bytes(envelope.seal(content, signature.IN_TOTO, site.signer))
    (directory / "GATE.html").write_bytes(page)
    signature.sign(directory, site.signer)


@pytest.mark.parametrize(("one", "other"), [
    ("records/train.json", "records/TRAIN.json"), ("README.md", "readme.md"), ("x/caf\u00e9", "x/cafe\u0301"),
])  # fmt: skip
def test_names_that_are_one_elsewhere_are_refused_though_they_are_signed(site, tmp_path, one, other):
    site.release()
    copy = shutil.copytree(place(site), tmp_path / "copy")
    for name in (one, other):
        (copy / name).parent.mkdir(exist_ok=True)
        if not (copy / name).exists():
            (copy / name).write_bytes(b"x")
    resign(site, copy)
    with pytest.raises(Refusal, match=r"one file with .* on systems that do not tell case"):
        verify.verify(LocalStore(copy), "", site.public)


def test_a_renamed_file_is_refused(site):
    site.release()
    for new in ("CONFIG.json", "records/config.json"):
        (place(site) / "config.json").rename(place(site) / new)
        with pytest.raises(Refusal, match=r"(?i)config\.json: (not covered by the signature|signed, but missing)"):
            verify.verify(site.store, PREFIX, site.public)
        (place(site) / new).rename(place(site) / "config.json")
    verify.verify(site.store, PREFIX, site.public)


def test_an_empty_directory_a_link_and_git_are_refused(site, tmp_path):
    site.release()
    copy = shutil.copytree(place(site), tmp_path / "copy")
    (copy / ".git").mkdir()
    with pytest.raises(Refusal, match=r"\.git/: not covered"):
        verify.verify(LocalStore(copy), "", site.public)
    (copy / ".git" / "evil.py").write_text("x")
    with pytest.raises(Refusal, match=r"\.git/evil\.py: not covered"):
        verify.verify(LocalStore(copy), "", site.public)
    shutil.rmtree(copy / ".git")
    (copy / "link").symlink_to(copy / "config.json")
    with pytest.raises(Refusal, match="link: not a regular file"):
        verify.verify(LocalStore(copy), "", site.public)
    with pytest.raises(Refusal, match="no complete release"):
        verify.verify(LocalStore(tmp_path / "nothing"), "", site.public)


def test_every_pair_of_files_of_two_releases_is_told_apart(site):
    """Mix and match: any one, and any two, of the signed documents of another release in the place of these."""
    site.release()
    release_project.bundle(site.root, card="# Second\n")
    site.release()
    names = ["statement.json", "manifest.json", "model.sig", "README.md"]
    second = place(site).with_name("v2")
    kept = {name: (second / name).read_bytes() for name in names}
    for number in range(1, 2 ** len(names) - 1):
        taken = [name for bit, name in enumerate(names) if number >> bit & 1]
        for name in names:
            (second / name).write_bytes((place(site) / name).read_bytes() if name in taken else kept[name])
        with pytest.raises(Refusal, match="v2/"):
            verify.verify(site.store, "releases/tiny/v2", site.public)


def test_what_is_proved_is_said(site):
    site.release()
    found = verify.verify(site.store, PREFIX, site.public)
    assert (found.gate, found.signed_at) == ("GO", "2026-01-01T00:00:00+00:00")
    assert (found.key_events, found.certificate) == (0, None)
    assert found.signed_by == sha256_bytes(site.public)
    assert json.loads(found.to_json())["release"]["version"] == "v1"


def test_an_old_statement_is_read(site, tmp_path):
    """Statements of earlier versions have neither gate nor times of signing, nor what stages read."""
    site.release()
    copy = shutil.copytree(place(site), tmp_path / "copy")

    def strip(content) -> None:
        build, run = content["predicate"]["buildDefinition"], content["predicate"]["runDetails"]
        build.pop("resolvedDependencies")
        build["internalParameters"] = {"gate": {}, "approvals": {}, "pages": ["GATE.html"]} | {
            "gate": build["internalParameters"]["gate"]
        }
        run.pop("metadata")
        run["byproducts"] = []

    resign(site, copy, strip)
    found = verify.verify(LocalStore(copy), "", site.public)
    assert (found.signed_at, found.approvals, found.commit) == ("", "", None)


class Slow(LocalStore):
    """A store whose objects take a while, and that counts how many are read at once."""

    def __init__(self, root) -> None:
        super().__init__(root)
        self.now, self.most, self.opened, self.lock = 0, 0, [], threading.Lock()

    def open(self, key):
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
            self.opened.append(key)
        time.sleep(0.05)
        with self.lock:
            self.now -= 1
        return super().open(key)


def test_files_are_read_several_at_once_largest_first_and_told_in_order(tmp_path):
    contents = {f"f{number:02d}": bytes([number]) * (number * 1000 + 1) for number in range(12)}
    for name, data in contents.items():
        (tmp_path / name).write_bytes(data)
    store = Slow(tmp_path)
    sizes = {name: len(data) for name, data in contents.items()}
    found = list(hashing.digests(store, sizes))
    assert found == [(name, sha256_bytes(data)) for name, data in contents.items()]
    assert 1 < store.most <= hashing.THREADS
    assert store.opened[0] == "f11"


def test_nothing_more_is_read_after_a_fault(tmp_path):
    sizes = {}
    for number in range(60):
        (tmp_path / f"f{number:02d}").write_bytes(b"x")
        sizes[f"f{number:02d}"] = 1
    store = Slow(tmp_path)
    found = hashing.digests(store, sizes)
    next(found)
    found.close()
    assert len(store.opened) < 60
    assert list(hashing.digests(store, {})) == []


@pytest.mark.parametrize("name", ["model.sig", "statement.json", "manifest.json", "yanked.json"])
def test_nested_and_endless_json_is_refused(site, name):
    site.release()
    place = site.store.root / "releases" / "tiny" / "v1" / name
    place.write_bytes(b"[" * 200_000)
    with pytest.raises(Refusal, match=name):
        verify.verify(site.store, "releases/tiny/v1", site.public)
    with place.open("wb") as stream:
        stream.truncate((64 << 20) + 1)
    with pytest.raises(Refusal, match=f"{name}: 67,108,865 bytes, but what belongs there has 67,108,864 at most"):
        verify.verify(site.store, "releases/tiny/v1", site.public)


@pytest.mark.parametrize("name", ["model.sig", "config.json"])
def test_what_is_listed_and_not_there_is_a_refusal(site, name):
    site.release()

    class Hiding(LocalStore):
        def _path(self, key):
            if key.endswith(name):
                raise FileNotFoundError(f"s3://b/{key}")
            return super()._path(key)

    with pytest.raises(Refusal, match=f"{name}: listed, but not there when it was read"):
        verify.verify(Hiding(site.store.root), "releases/tiny/v1", site.public)


def test_a_name_cannot_write_lines_into_a_terminal(site):
    site.release()
    (place(site) / "x\n\x1b[2Jtiny v9 (release 9): verified").write_bytes(b"")
    with pytest.raises(Refusal, match="a name with control characters") as refused:
        verify.verify(site.store, PREFIX, site.public)
    assert str(refused.value).isprintable()
