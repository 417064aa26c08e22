"""Releases on a hub, over real HTTP to a hub on localhost: one commit, races, a crash, read back, withdrawn."""

import shutil

import pytest

from slipway.adapters import hub as hubs
from slipway.errors import Refusal, UserError
from slipway.release.reading import verify
from slipway.release.signing.envelope import seal
from slipway.release.withdrawal import tombstone
from tests import release_project
from tests.adapters import hub_stub
from tests.release.conftest import site  # noqa: F401  a fixture

ATTRIBUTES = b"*.safetensors filter=lfs diff=lfs merge=lfs -text\n*.parquet filter=lfs diff=lfs merge=lfs -text\n"
NAME = "owner/tiny"


@pytest.fixture
def hub(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
    monkeypatch.setenv("HF_TOKEN", "hf_testing")
    with hub_stub.serve() as served:
        monkeypatch.setenv("HF_ENDPOINT", served.url)
        yield served


@pytest.fixture
def repository(hub):
    made = hub.add("models", NAME)
    made.commit({".gitattributes": ATTRIBUTES, "old.txt": b"of somebody"}, title="initial commit")
    return made


@pytest.fixture
def signed(site):  # noqa: F811
    """A signed directory, as it goes to the store."""
    return site.staged(site.seal())


def send(directory, version="v1"):
    return hubs.send(NAME, directory, title=f"tiny {version}: bundle {'ab' * 32}")


def test_a_release_is_one_commit_that_verifies_as_it_lies_there(hub, repository, site, signed, capfd):  # noqa: F811
    before = repository.branches["main"]
    sent = send(signed)
    hubs.tag(sent, "v1")
    assert repository.log(sent.commit)[1][0] == before, "one commit"
    assert set(repository.commits[sent.commit]) - {".gitattributes"} == {
        path.relative_to(signed).as_posix() for path in signed.rglob("*") if path.is_file()
    }, "what lay there before is gone"
    assert sent.url == f"hub://{NAME}@{sent.commit}"
    verified = verify.verify(hubs.open_hub(sent.url), "", site.public)
    assert (verified.release.version, verified.files) == ("v1", len(list(hubs.open_hub(sent.url).list())))
    assert repository.tags == {"v1": sent.commit}
    assert all(token == "Bearer hf_testing" for _, path, token, _ in hub.asked if "/cdn/" not in path)
    assert "hf_testing" not in "".join(capfd.readouterr())


def test_what_the_hub_holds_is_not_sent_again(hub, repository, site, signed):  # noqa: F811
    send(signed)
    held = dict(hub.large)
    assert len(held) == 2
    release_project.bundle(site.root, card="# Second\n")
    second = site.staged(site.seal())
    hub.large = Watched(held)
    sent = send(second, "v2")
    assert hub.large.written == []
    verify.verify(hubs.open_hub(sent.url), "", site.public)


class Watched(dict):
    def __init__(self, held):
        super().__init__(held)
        self.written = []

    def __setitem__(self, key, value):
        self.written.append(key)
        super().__setitem__(key, value)


def test_somebody_else_commits_meanwhile_and_nothing_is_lost(hub, repository, signed):
    hub.before_commit = lambda: repository.commit({"other.txt": b"faster"}, title="somebody else's")
    sent = send(signed)
    titles = [title for _, title in repository.log(sent.commit)]
    assert titles[1] == "somebody else's"
    assert "other.txt" not in repository.commits[sent.commit]


def test_a_commit_whose_answer_was_lost_is_found_again(hub, repository, site, signed):  # noqa: F811
    title = f"tiny v1: bundle {'ab' * 32}"
    hub.after_commit = lambda: None
    with pytest.raises(UserError, match="the hub is not reached"):
        hubs.send(NAME, signed, title=title)
    (found,) = hubs.find(NAME, title)
    assert found.commit == repository.branches["main"]
    verify.verify(hubs.HubReader(NAME, found.commit), "", site.public)
    assert hubs.find(NAME, "another title") == []


def test_an_ignore_file_of_the_repository_leaves_nothing_out(hub, repository, site, signed):  # noqa: F811
    repository.ignored = ("model.safetensors", "README.md")
    found = verify.verify(hubs.open_hub(send(signed).url), "", site.public)
    assert (found.release.name, found.files) == ("tiny", len([path for path in signed.rglob("*") if path.is_file()]))


@pytest.mark.parametrize("name", ["model.safetensors", "README.md", "statement.json"])
def test_a_flipped_byte_on_the_hub_is_found(hub, repository, site, signed, name):  # noqa: F811
    sent = send(signed)
    files = repository.commits[sent.commit]
    files[name] = files[name][:-1] + bytes([files[name][-1] ^ 1])
    with pytest.raises(Refusal, match=name.replace(".", r"\.")):
        verify.verify(hubs.open_hub(sent.url), "", site.public)


def test_a_file_beside_the_signed_ones_is_found_and_so_is_one_in_the_attributes(hub, repository, site, signed):  # noqa: F811
    sent = send(signed)
    files = repository.commits[sent.commit]
    files[".git/evil.py"] = b"x"
    with pytest.raises(Refusal, match=r"\.git/evil\.py: not covered"):
        verify.verify(hubs.open_hub(sent.url), "", site.public)
    del files[".git/evil.py"]
    files[".gitattributes"] = ATTRIBUTES + b"*.json filter=evil\n"
    with pytest.raises(Refusal, match=r"\.gitattributes: not covered"):
        verify.verify(hubs.open_hub(sent.url), "", site.public)


def test_a_tag_names_one_release_for_ever(hub, repository, signed):
    sent = send(signed)
    hubs.tag(sent, "v1")
    hubs.tag(sent, "v1")
    other = hubs.Sent(NAME, repository.commit({"x": b""}, title="other"))
    with pytest.raises(Refusal, match=rf"tag v1: names commit {sent.commit} already"):
        hubs.tag(other, "v1")


def tomb(site, sent):  # noqa: F811
    stone = tombstone.Yanked(
        name="tiny", version="v1", manifest_sha256="ab" * 32, reason="leaks", time="2026-01-01T00:00:00+00:00",
        replaced_by=None,
    )  # fmt: skip
    return seal(stone.model_dump(mode="json"), tombstone.TYPE, site.signer)


def test_a_withdrawn_release_is_refused_at_its_commit_and_on_main(hub, repository, site, signed):  # noqa: F811
    sent = send(signed)
    for _ in range(2):
        hubs.withdraw(NAME, sent.commit, tomb(site, sent), title="tiny v1 withdrawn")
    with pytest.raises(Refusal, match=r"was withdrawn on 2026-01-01.*leaks"):
        verify.verify(hubs.open_hub(sent.url), "", site.public)
    with pytest.raises(Refusal, match="was withdrawn"):
        verify.verify(hubs.HubReader(NAME, repository.branches["main"]), "", site.public)
    verify.verify(hubs.open_hub(sent.url), "", site.public, withdrawn=True)


def test_the_release_that_replaced_it_is_not_withdrawn_with_it(hub, repository, site, signed):  # noqa: F811
    first = send(signed)
    release_project.bundle(site.root, card="# Second\n")
    second = send(site.staged(site.seal()), "v2")
    hubs.withdraw(NAME, first.commit, tomb(site, first), title="tiny v1 withdrawn")
    assert repository.branches["main"] == second.commit
    verify.verify(hubs.open_hub(second.url), "", site.public)
    with pytest.raises(Refusal, match="was withdrawn"):
        verify.verify(hubs.open_hub(first.url), "", site.public)


def test_a_plain_copy_from_the_hub_verifies_without_it(hub, repository, site, signed, tmp_path):  # noqa: F811
    from slipway.adapters.store import LocalStore

    lies, copy = hubs.open_hub(send(signed).url), tmp_path / "copy"
    for name in lies.list():
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        with lies.open(name) as source, (copy / name).open("wb") as target:
            shutil.copyfileobj(source, target)
    hub.fails = 500
    assert verify.verify(LocalStore(copy), "", site.public).release.name == "tiny"


@pytest.mark.parametrize("address", ["hub://owner/tiny", "hub://owner/tiny@main", "hub://tiny@" + "a" * 40, "hub://"])
def test_only_a_commit_names_a_release(address):
    with pytest.raises(UserError, match="40 digits of the commit"):
        hubs.open_hub(address)


def test_errors_say_what_to_do(hub, repository, signed, monkeypatch):
    with pytest.raises(UserError, match=r"owner/none: the hub has no such model repository for you; make it there"):
        hubs.ready("owner/none")
    with pytest.raises(UserError, match="no such commit on the hub"):
        hubs.HubReader(NAME, "f" * 40).list()
    hub.fails = 403
    with pytest.raises(UserError, match=r"the hub answers 403") as error:
        send(signed)
    assert "hf_testing" not in str(error.value)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    asked = len(hub.asked)
    with pytest.raises(UserError, match=r"HF_HUB_OFFLINE=0 slipway"):
        hubs.ready(NAME)
    assert len(hub.asked) == asked
