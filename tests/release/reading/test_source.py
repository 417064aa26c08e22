"""A release of the store as base or teacher: verified, pinned, and taken as pinned though the channel moves."""

import json

import pytest

from pipelines.acquire import main
from pipelines.frame import Frame
from slipway import chat, cli
from slipway.adapters.store import LocalStore
from slipway.data.documents import Turn
from slipway.data.tokens import bpe, tokenize
from slipway.errors import Refusal, UserError
from slipway.files import sha256_file
from slipway.release.publishing import publish
from slipway.release.reading.source import Releases
from slipway.release.signing import keys
from slipway.settings import Tokenize
from tests import release_project
from tests.data.tokens.conftest import quiet, row, write_clean
from tests.release_project import flip

WANTED = (".safetensors", ".json")


@pytest.fixture
def releases(site):
    return Releases(lambda: site.store, lambda: site.public, "stable")


@pytest.fixture
def project(site, tmp_path, monkeypatch, default_values):
    """Another project of the same publisher, whose base is what the channel points at."""
    root = tmp_path / "next"
    (root / ".slipway").mkdir(parents=True)
    monkeypatch.setenv("SLIPWAY_STORE", str(site.store.root))
    monkeypatch.setenv("SLIPWAY_KEY", str(site.key))
    monkeypatch.chdir(root)
    values = json.loads(json.dumps(default_values))
    values["acquire"] = {
        "sources": [{"kind": "jsonl", "name": "rows", "path": "rows.jsonl", "licence": "MIT"}],
        "base": {"path": "release://tiny", "licence": "Apache-2.0"},
    }
    (root / "params.yaml").write_text(json.dumps(values))
    (root / "dvc.yaml").write_text("stages: {}\n")
    (root / "rows.jsonl").write_text('{"text": "one"}\n')
    return Frame("acquire", root)


def place(site, name, version="v1"):
    return site.store.root / "releases" / "tiny" / version / name


def again(site, seed=1):
    """A second release with other weights."""
    release_project.bundle(site.root, seed=seed)
    return site.release()


def test_a_name_alone_is_what_the_channel_points_at(site, releases):
    first = site.release()
    listing = releases.listing("release://tiny", WANTED)
    assert listing.revision == f"v1@sha256:{first.manifest_sha256}"
    assert listing.files[0].path == "release://tiny/config.json"
    assert {file.path.rpartition("/")[2] for file in listing.files} >= {"model.safetensors", "config.json"}
    second = again(site)
    assert releases.listing("release://tiny", WANTED).revision == f"v2@sha256:{second.manifest_sha256}"
    assert releases.listing("release://tiny@v1", WANTED) == listing


def test_a_file_is_fetched_as_pinned(site, releases, tmp_path):
    site.release()
    listing = releases.listing("release://tiny", WANTED)
    again(site)
    (weights,) = [file for file in listing.files if file.path.endswith("model.safetensors")]
    pieces = []
    Releases(lambda: site.store, lambda: site.public, "stable").fetch(
        weights, listing.revision, tmp_path / "weights", pieces.append
    )
    assert (tmp_path / "weights").read_bytes() == place(site, "model.safetensors").read_bytes()
    assert sum(pieces) == weights.bytes


@pytest.mark.parametrize("name", ["model.safetensors", "README.md", "manifest.json", "model.sig"])
def test_an_altered_byte_anywhere_in_it_is_refused_by_name(site, releases, tmp_path, name):
    site.release()
    listing = releases.listing("release://tiny", WANTED)
    flip(place(site, name))
    fresh = Releases(lambda: site.store, lambda: site.public, "stable")
    with pytest.raises(Refusal, match=rf"v1/{name}"):
        fresh.listing("release://tiny", WANTED)
    with pytest.raises(Refusal, match=rf"v1/{name}"):
        fresh.fetch(listing.files[0], listing.revision, tmp_path / "file", lambda _: None)
    assert not (tmp_path / "file").exists()
    with pytest.raises(Refusal, match=rf"v1/{name}"):
        fresh.confirm([(file.path, file.sha256, listing.revision) for file in listing.files])


def test_another_key_is_refused(site, tmp_path):
    site.release()
    other = keys.public_pem(release_project.key_pair(tmp_path / "other.key"))
    with pytest.raises(Refusal, match=r"v1/model\.sig: the signature does not fit the public key"):
        Releases(lambda: site.store, lambda: other, "stable").listing("release://tiny@v1", WANTED)
    with pytest.raises(Refusal, match=r"stable\.json: the signature does not fit the public key"):
        Releases(lambda: site.store, lambda: other, "stable").listing("release://tiny", WANTED)


def test_an_expired_channel_is_refused_and_a_version_is_not(site, releases):
    claim = site.seal()
    publish.publish(site.store, claim, LocalStore(site.staged(claim)), site.signer, channel="stable", expires_days=-1)
    with pytest.raises(Refusal, match="expired"):
        releases.listing("release://tiny", WANTED)
    assert releases.listing("release://tiny@v1", WANTED).files


@pytest.mark.parametrize("path", ["release://", "release://Tiny", "release://tiny@", "release://tiny/config.json"])
def test_an_address_that_names_no_release_is_an_error(releases, path):
    with pytest.raises(UserError, match="write NAME or NAME@VERSION"):
        releases.listing(path, WANTED)


def test_nothing_released_and_a_copied_release_are_refused(site, releases):
    with pytest.raises(Refusal, match="the pointer is missing"):
        releases.listing("release://tiny", WANTED)
    with pytest.raises(Refusal, match="missing; this is no complete release"):
        releases.listing("release://tiny@v7", WANTED)
    site.release()
    place(site, "").rename(site.store.root / "releases" / "tiny" / "v9")
    with pytest.raises(Refusal, match="signed as tiny v1; someone copied it here"):
        releases.listing("release://tiny@v9", WANTED)


@pytest.mark.parametrize("revision", [None, "v1", "v1@sha256:00", "v1@sha256:" + "0" * 64])
def test_what_is_not_pinned_to_this_very_release_is_not_fetched(site, releases, tmp_path, revision):
    site.release()
    file = releases.listing("release://tiny", WANTED).files[0]
    with pytest.raises(Refusal, match="slipway lock"):
        releases.fetch(file, revision, tmp_path / "file", lambda _: None)
    with pytest.raises(Refusal, match="slipway lock"):
        releases.confirm([(file.path, file.sha256, revision)])


def test_the_lock_pins_a_release_and_a_build_takes_it_though_the_channel_moves(site, project):
    first = site.release()
    assert cli.main(["lock"]) == 0
    locked = json.loads((project.root / "inputs.lock").read_text())["base"]
    assert locked["path"] == "release://tiny"
    assert locked["revision"] == f"v1@sha256:{first.manifest_sha256}"
    again(site)
    report = main(project)
    assert report.base.version == locked["revision"]
    assert report.base.location == "release://tiny"
    placed = {path.name: path.read_bytes() for path in (project.root / "models/base").iterdir()}
    assert placed == {name: place(site, name).read_bytes() for name in ("config.json", "model.safetensors")}
    assert cli.main(["lock"]) == 0
    assert main(project).base.version.startswith("v2@")


def test_a_build_refuses_an_altered_release_also_when_its_files_were_kept(site, project):
    site.release()
    assert cli.main(["lock"]) == 0
    main(project)
    flip(place(site, "report.html"))
    with pytest.raises(Refusal, match=r"v1/report\.html: .*altered"):
        main(Frame("acquire", project.root))


def test_a_digest_that_the_release_did_not_sign_is_refused(site, project):
    site.release()
    assert cli.main(["lock"]) == 0
    lock = json.loads((project.root / "inputs.lock").read_text())
    lock["base"]["files"]["release://tiny/config.json"]["sha256"] = "0" * 64
    (project.root / "inputs.lock").write_text(json.dumps(lock))
    with pytest.raises(Refusal, match=r"release://tiny/config\.json: release v1 signed sha256"):
        main(project)
    assert not (project.root / "models").exists()


def test_the_command_line_names_what_a_wrong_key_refused(site, project, tmp_path, monkeypatch, capsys):
    site.release()
    monkeypatch.setenv("SLIPWAY_KEY", str(release_project.key_pair(tmp_path / "other.key")))
    assert cli.main(["lock"]) == 1
    assert "stable.json: the signature does not fit" in capsys.readouterr().err
    assert not (project.root / "inputs.lock").exists()


def test_a_release_with_reserved_control_tokens_is_taught_conversations(site, project):
    """From the store to packed conversations: the ids of the base, the template of Slipway."""
    bpe.save(bpe.train(["Sort the array. Return the index."] * 9, 300, chat.CONTROL), site.root / "bundle")
    release_project.bundle(site.root)
    site.release()
    assert cli.main(["lock"]) == 0
    assert main(project).base.files == 4
    rows = [row("chat", [Turn("user", f"Sort {n}?"), Turn("assistant", "Return the index.")]) for n in range(20)]
    write_clean(project.root, {"train": rows, "validation": rows[:3]})
    report = tokenize(Tokenize(origin="base", packing="whole", row_tokens=64), project.root, quiet)
    assert report.chat_template_sha256 == chat.SHA256
    assert report.tokenizer_sha256 == sha256_file(place(site, "tokenizer.json"))
    assert 0 < report.learnt["train"] < report.tokens["train"]


def test_verify_finds_a_release_by_name(site, project, capsys):
    site.release()
    assert cli.main(["verify", "tiny"]) == 0
    assert cli.main(["verify", "tiny@v1"]) == 0
    assert capsys.readouterr().out.count("tiny v1 (release 1): verified") == 2


class Shifting(LocalStore):
    """A mirror that gives other bytes the second time it is asked."""

    def __init__(self, root, key, later, after):
        super().__init__(root)
        self.key, self.later, self.left = key, later, after

    def read(self, key):
        if key == self.key:
            self.left -= 1
            if self.left < 0:
                return self.later, "tag"
        return super().read(key)


def test_a_pointer_is_read_once_so_that_no_older_one_follows(site):
    site.release()
    old = site.store.read("channels/tiny/stable.json")[0]
    again(site)
    mirror = Shifting(site.store.root, "channels/tiny/stable.json", old, 1)
    assert Releases(lambda: mirror, lambda: site.public, "stable").find("tiny").release.version == "v2"


def test_a_signature_that_changes_after_it_was_verified_is_refused(site):
    site.release()
    old = site.store.read("releases/tiny/v1/model.sig")[0]
    again(site)
    mirror = Shifting(site.store.root, "releases/tiny/v2/model.sig", old, 1)
    with pytest.raises(Refusal, match="releases/tiny/v2: changed while it was read"):
        Releases(lambda: mirror, lambda: site.public, "stable").listing("release://tiny", WANTED)
