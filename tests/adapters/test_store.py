"""One set of tests for both stores; S3 is moto's, in this process."""

import threading

import boto3
import pytest
from moto import mock_aws

from slipway.adapters.store import LocalStore, S3Store, open_store
from slipway.errors import Refusal, UserError


@pytest.fixture
def s3(monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        client = boto3.client("s3")
        client.create_bucket(Bucket="models")
        yield client


@pytest.fixture(params=["local", "s3"])
def store(request, tmp_path):
    if request.param == "local":
        return LocalStore(tmp_path / "store")
    request.getfixturevalue("s3")
    return S3Store("models", "team/a", part=5 << 20)


def test_what_was_created_is_read_listed_and_streamed(store):
    store.create("releases/a/v1/x/y.json", b"{}")
    store.create("releases/a/v10/z", b"12")
    assert store.read("releases/a/v1/x/y.json")[0] == b"{}"
    assert store.list("releases/a/v1") == {"releases/a/v1/x/y.json": 2}, "v10 is another folder"
    assert list(store.list("releases")) == ["releases/a/v1/x/y.json", "releases/a/v10/z"]
    with store.open("releases/a/v10/z") as stream:
        assert stream.read(1) + stream.read() == b"12"


def test_absent_objects_are_absent(store):
    for call in (store.read, store.open):
        with pytest.raises(FileNotFoundError):
            call("no/such")
    with pytest.raises(FileNotFoundError):
        store.copy("no/such", "new")
    assert store.list("no") == {}


def test_an_object_is_written_once(store, tmp_path):
    store.create("a", b"first")
    (tmp_path / "file").write_bytes(b"second")
    for content in (b"second", tmp_path / "file"):
        with pytest.raises(FileExistsError):
            store.create("a", content)
    store.create("b", b"other")
    with pytest.raises(FileExistsError):
        store.copy("b", "a")
    assert store.read("a")[0] == b"first"


def test_a_file_above_one_part_arrives_whole(store, tmp_path):
    data = bytes(range(256)) * (6 << 12)
    (tmp_path / "big").write_bytes(data)
    store.create("big", tmp_path / "big")
    with store.open("big") as stream:
        assert stream.read() == data
    with pytest.raises(FileExistsError):
        store.create("big", tmp_path / "big")


def test_a_copy_inside_the_store(store):
    store.create("a", b"shard")
    store.copy("a", "v2/a")
    assert store.read("v2/a")[0] == b"shard"


def test_only_who_knows_the_present_content_may_swap(store):
    assert store.swap("pointer", b"1", None)
    assert not store.swap("pointer", b"2", None), "it exists by now"
    _, tag = store.read("pointer")
    assert store.swap("pointer", b"2", tag)
    assert not store.swap("pointer", b"3", tag), "the tag is old"
    assert not store.swap("other", b"3", tag), "there is nothing to replace"
    assert store.read("pointer")[0] == b"2"


def test_of_many_at_once_one_wins(store):
    won = []

    def race(number: int) -> None:
        try:
            store.create("claim", str(number).encode())
        except FileExistsError:
            return
        won.append(number)

    threads = [threading.Thread(target=race, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert store.read("claim")[0] == str(won[0]).encode()


@pytest.mark.parametrize("key", ["../x", "/x", "a//b", "a/../b", ".tmp/x", ""])
def test_a_key_cannot_leave_a_local_store(tmp_path, key):
    with pytest.raises(UserError, match="no key"):
        LocalStore(tmp_path / "store").create(key, b"")


def test_a_local_store_keeps_temporary_files_apart_and_refuses_links(tmp_path):
    store = LocalStore(tmp_path)
    store.create("a/b", b"1")
    store.swap("p", b"1", None)
    (tmp_path / ".tmp" / "left-by-a-kill").write_bytes(b"half")
    assert list(store.list("a")) == ["a/b"]
    (tmp_path / "a" / "link").symlink_to(tmp_path / "p")
    with pytest.raises(UserError, match="link: not a regular file"):
        store.list("a")


def test_a_local_copy_is_a_hard_link(tmp_path):
    store = LocalStore(tmp_path)
    store.create("a", b"shard")
    store.copy("a", "b")
    assert (tmp_path / "a").stat().st_ino == (tmp_path / "b").stat().st_ino


def test_a_failed_upload_leaves_no_parts(s3, tmp_path, monkeypatch):
    store = S3Store("models", part=5 << 20)
    (tmp_path / "big").write_bytes(bytes(11 << 20))
    send = store._call

    def fail_late(name, **arguments):
        if name == "upload_part" and arguments["PartNumber"] == 3:
            raise UserError("network gone")
        return send(name, **arguments)

    monkeypatch.setattr(store, "_call", fail_late)
    with pytest.raises(UserError, match="network gone"):
        store.create("big", tmp_path / "big")
    assert not s3.list_multipart_uploads(Bucket="models").get("Uploads")
    assert store.list() == {}


def test_an_endpoint_that_ignores_conditions_is_refused(s3, monkeypatch):
    store = S3Store("models")
    send = store._call

    def careless(name, **arguments):
        return send(name, **{key: value for key, value in arguments.items() if key not in {"IfNoneMatch", "IfMatch"}})

    monkeypatch.setattr(store, "_call", careless)
    with pytest.raises(Refusal, match="ignores If-None-Match"):
        store.create("a", b"")
    assert s3.list_objects_v2(Bucket="models")["KeyCount"] == 0


def test_a_missing_bucket_is_named(s3):
    with pytest.raises(UserError, match=r"s3://nowhere/.*bucket does not exist"):
        S3Store("nowhere").create("a", b"")


def test_open_store(tmp_path, monkeypatch):
    monkeypatch.delenv("SLIPWAY_STORE", raising=False)
    assert open_store(root=tmp_path).url == str(tmp_path / ".slipway" / "store")
    monkeypatch.setenv("SLIPWAY_STORE", "s3://bucket/some/prefix/")
    assert open_store().url == "s3://bucket/some/prefix"
    for url in ("s3://", "https://x/y"):
        with pytest.raises(UserError, match=r"bucket/prefix"):
            open_store(url)
