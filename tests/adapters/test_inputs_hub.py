"""Hub inputs against a hub on localhost: commits, globs, pages, redirects, broken connections, clear errors."""

import hashlib
import logging

import pytest

from slipway.adapters.inputs import Hub
from slipway.errors import Refusal, UserError
from slipway.files import Listed
from tests.adapters import hub_stub

JSONL = (".jsonl",)


@pytest.fixture
def hub(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_TOKEN", "hf_testing")
    with hub_stub.serve() as served:
        yield served


@pytest.fixture
def data(hub):
    repository = hub.add("datasets", "owner/books")
    files = {f"data/{name}.jsonl": f'{{"text": "{name}"}}\n'.encode() for name in "abcde"}
    repository.commit(files | {"README.md": b"# books", "data/deep/f.jsonl": b"{}", "data/big.parquet": bytes(50_000)})
    return repository


def names(listing):
    return [file.path.rpartition("/books/")[2] for file in listing.files]


def quiet(_: int) -> None:
    """Progress that nobody watches."""


def test_a_branch_becomes_a_commit_and_all_pages_are_listed(hub, data):
    found = Hub(hub.url).listing("hf://datasets/owner/books@main", JSONL)
    assert found.revision == data.branches["main"]
    assert names(found) == [f"data/{name}.jsonl" for name in ("a", "b", "c", "d", "deep/f", "e")]
    assert found.files[0] == Listed("hf://datasets/owner/books/data/a.jsonl", 14)
    assert sum("/tree/" in path for _, path, *_ in hub.asked) > 2


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/data/a.jsonl", ["data/a.jsonl"]),
        ("/data/[ab].jsonl", ["data/a.jsonl", "data/b.jsonl"]),
        ("/**/f.jsonl", ["data/deep/f.jsonl"]),
        ("/data/deep", ["data/deep/f.jsonl"]),
        ("/dat", []),
        ("/README.md", ["README.md"]),
    ],
)
def test_a_file_a_folder_and_a_glob(hub, data, path, expected):
    assert names(Hub(hub.url).listing(f"hf://datasets/owner/books@main{path}", JSONL)) == expected


def test_large_files_state_their_digest_and_nothing_is_downloaded_to_list(hub, data):
    (file,) = Hub(hub.url).listing("hf://datasets/owner/books", (".parquet",)).files
    assert file.sha256 == hashlib.sha256(bytes(50_000)).hexdigest()
    assert not hub.downloads()


def test_the_pinned_commit_is_fetched_after_its_branch_moved(hub, data, tmp_path):
    pinned = data.branches["main"]
    data.commit({"data/a.jsonl": b'{"text": "other"}\n'})
    file = Listed("hf://datasets/owner/books/data/a.jsonl", 14)
    Hub(hub.url).fetch(file, pinned, tmp_path / "part", quiet)
    assert (tmp_path / "part").read_bytes() == b'{"text": "a"}\n'
    assert all(f"/resolve/{pinned}/" in path for path in hub.downloads())


def test_a_branch_is_never_fetched(hub, data, tmp_path):
    with pytest.raises(Refusal, match=r"not pinned to a commit.*slipway lock"):
        Hub(hub.url).fetch(Listed("hf://datasets/owner/books/data/a.jsonl", 14), "main", tmp_path / "part", quiet)
    assert not hub.asked


def test_a_commit_or_file_that_is_gone_is_refused(hub, data, tmp_path):
    with pytest.raises(Refusal, match=r"at commit f{40}: not on the hub"):
        Hub(hub.url).fetch(Listed("hf://datasets/owner/books/data/a.jsonl", 14), "f" * 40, tmp_path / "part", quiet)
    commit = data.branches["main"]
    with pytest.raises(Refusal, match=r"data/z.jsonl at commit"):
        Hub(hub.url).fetch(Listed("hf://datasets/owner/books/data/z.jsonl", 1), commit, tmp_path / "part", quiet)


@pytest.fixture
def small_pieces(monkeypatch):
    """Of 10 MB, the library's own, none is complete when a test's download breaks."""
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 1000)


@pytest.mark.usefixtures("small_pieces")
def test_a_redirect_carries_no_token_and_a_broken_download_goes_on(hub, data, tmp_path, caplog, capfd):
    hub.breaks, told = 1, []
    file = Listed("hf://datasets/owner/books/data/big.parquet", 50_000)
    with caplog.at_level(logging.DEBUG):
        Hub(hub.url).fetch(file, data.branches["main"], tmp_path / "part", told.append)
    assert (tmp_path / "part").read_bytes() == bytes(50_000)
    assert sum(told) == 50_000
    other = [(token, part) for method, path, token, part in hub.asked if path.startswith("/cdn/")]
    assert {token for token, _ in other} == {None}
    assert "bytes=25000-" in {part for _, part in other}
    assert all(token == "Bearer hf_testing" for _, path, token, _ in hub.asked if not path.startswith("/cdn/"))
    printed = "".join(capfd.readouterr()) + "".join(r.getMessage() for r in caplog.records if r.levelno > logging.DEBUG)
    assert "hf_testing" not in printed
    assert hub_stub.SECRET not in printed


@pytest.mark.usefixtures("small_pieces")
def test_an_interrupted_download_leaves_nothing_behind(hub, data, tmp_path):
    file = Listed("hf://datasets/owner/books/data/big.parquet", 50_000)

    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Hub(hub.url).fetch(file, data.branches["main"], tmp_path / "part", interrupt)
    assert list(tmp_path.iterdir()) == []
    Hub(hub.url).fetch(file, data.branches["main"], tmp_path / "part", quiet)
    assert (tmp_path / "part").read_bytes() == bytes(50_000)
    assert [path.name for path in tmp_path.iterdir()] == ["part"]


def test_names_that_need_care_and_names_that_lead_out(hub, tmp_path):
    repository = hub.add("datasets", "owner/books")
    odd = {"a b%20c@d.jsonl": b"1", "größe/#1?.jsonl": b"2", "../../out.jsonl": b"3"}
    commit, remote = repository.commit(odd), Hub(hub.url)
    *_, first, second = found = sorted(remote.listing("hf://datasets/owner/books", JSONL).files, key=lambda f: f.path)
    for file, content in ((first, b"1"), (second, b"2")):
        remote.fetch(file, commit, tmp_path / "in" / "part", quiet)
        assert (tmp_path / "in" / "part").read_bytes() == content
    with pytest.raises(Refusal, match=r"leads out of the repository"):
        remote.fetch(found[0], commit, tmp_path / "in" / "part", quiet)
    assert not list(tmp_path.rglob("out.jsonl"))


def test_errors_name_the_address_and_what_to_do(hub, data, tmp_path):
    remote = Hub(hub.url)
    with pytest.raises(UserError, match=r"owner/none: the hub has no such repository for you.*HF_TOKEN"):
        remote.listing("hf://owner/none", JSONL)
    with pytest.raises(Refusal, match=r"books@v9: not on the hub"):
        remote.listing("hf://datasets/owner/books@v9", JSONL)
    with pytest.raises(UserError, match=r"hf://gpt: .*namespace/name"):
        remote.listing("hf://gpt", JSONL)
    with pytest.raises(UserError, match=r"is a space"):
        remote.listing("hf://spaces/owner/app", JSONL)
    hub.fails = 403
    with pytest.raises(UserError, match=r"the hub answers 403") as error:
        remote.listing("hf://datasets/owner/books", JSONL)
    assert "hf_testing" not in str(error.value)
    with pytest.raises(UserError, match=r"the hub answers 403"):
        remote.fetch(Listed("hf://datasets/owner/books/data/a.jsonl", 14), "f" * 40, tmp_path / "part", quiet)


def test_offline_says_how_to_allow_it(hub, data, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match=r"HF_HUB_OFFLINE=0 slipway"):
        Hub(hub.url).listing("hf://datasets/owner/books", JSONL)
    assert not hub.asked


def test_a_hub_that_is_not_there(monkeypatch, tmp_path):
    monkeypatch.setattr("time.sleep", lambda _: None)  # between the library's own attempts
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    with hub_stub.serve() as gone:
        pass
    with pytest.raises(UserError, match=r"the hub is not reached .*check HF_TOKEN, HF_ENDPOINT and the network"):
        Hub(gone.url).fetch(Listed("hf://o/n/a.json", 1), "a" * 40, tmp_path / "part", quiet)
