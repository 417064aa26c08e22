"""One set of tests for both stores; S3 is moto's, in this process."""

import random
import threading
import time
from importlib.util import find_spec

import boto3
import pytest
from moto import mock_aws

from slipway.adapters.store import LocalStore, S3Store, leftovers, multipart, open_store, probing
from slipway.adapters.store.body import Slice
from slipway.adapters.store.connection import Connection
from slipway.errors import Refusal, UserError
from tests import s3_servers


@pytest.fixture
def s3(monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    probing.forget()
    with mock_aws():
        client = boto3.client("s3")
        client.create_bucket(Bucket="models")
        yield client


@pytest.fixture(params=["local", "s3", "real"])
def store(request, tmp_path, monkeypatch):
    if request.param == "local":
        yield LocalStore(tmp_path / "store")
    elif request.param == "s3":
        request.getfixturevalue("s3")
        yield S3Store("models", "team/a", part=5 << 20)
    else:
        with s3_servers.server("real") as url:
            s3_servers.reach(monkeypatch, url)
            yield s3_servers.store(s3_servers.bucket(url))


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


def broken_at(monkeypatch, store, part):
    """Make sending this part, and those after it, fail."""
    send = store._connection.call

    def call(name, **arguments):
        if name == "upload_part" and arguments["PartNumber"] >= part:
            raise UserError("network gone")
        return send(name, **arguments)

    monkeypatch.setattr(store._connection, "call", call)


def test_a_failed_upload_leaves_no_parts_where_no_journal_is_kept(s3, tmp_path, monkeypatch):
    store = S3Store("models", part=5 << 20)
    (tmp_path / "big").write_bytes(bytes(11 << 20))
    broken_at(monkeypatch, store, 3)
    with pytest.raises(UserError, match="network gone"):
        store.create("big", tmp_path / "big")
    assert not s3.list_multipart_uploads(Bucket="models").get("Uploads")
    assert store.list() == {}


def counted(monkeypatch, store):
    """Numbers of the parts that `store` sends from now on."""
    sent, send = [], store._connection.call

    def call(name, **arguments):
        if name == "upload_part":
            sent.append(arguments["PartNumber"])
        return send(name, **arguments)

    monkeypatch.setattr(store._connection, "call", call)
    return sent


def interrupted(s3, monkeypatch, tmp_path, sha256):
    """A file of five parts, of which two were sent when the network went."""
    data = random.Random(1).randbytes(22 << 20)
    (tmp_path / "big").write_bytes(data)
    with monkeypatch.context() as patch:
        store = S3Store("models", part=5 << 20, journal=tmp_path / "uploads", workers=1)
        store.capabilities()
        broken_at(patch, store, 3)
        with pytest.raises(UserError, match="network gone"):
            store.create("big", tmp_path / "big", sha256=sha256)
    assert store.list() == {}, "half a file is not visible"
    return data, S3Store("models", part=5 << 20, journal=tmp_path / "uploads", workers=1)


@pytest.mark.parametrize("known", [True, False])
def test_an_interrupted_upload_goes_on_where_it_stopped(s3, tmp_path, monkeypatch, known):
    sha256 = "ab" * 32 if known else None
    data, store = interrupted(s3, monkeypatch, tmp_path, sha256)
    noted, sent = [], counted(monkeypatch, store)
    store.create("big", tmp_path / "big", sha256=sha256, note=noted.append)
    assert sent == [3, 4, 5]
    assert sum(noted) == len(data)
    assert store.read("big")[0] == data
    assert not s3.list_multipart_uploads(Bucket="models").get("Uploads")
    assert list((tmp_path / "uploads").iterdir()) == []


def test_a_part_that_arrived_unnoticed_or_torn_lines_are_no_loss(s3, tmp_path, monkeypatch):
    """The journal was cut short: what the server holds is compared by content."""
    data, store = interrupted(s3, monkeypatch, tmp_path, "ab" * 32)
    journal = next((tmp_path / "uploads").iterdir())
    lines = journal.read_text().splitlines(keepends=True)
    journal.write_text("".join(lines[:2]) + lines[2][:9])
    sent = counted(monkeypatch, store)
    store.create("big", tmp_path / "big", sha256="ab" * 32)
    assert sent == [3, 4, 5]
    assert store.read("big")[0] == data


def test_parts_of_other_content_are_not_taken(s3, tmp_path, monkeypatch):
    _, store = interrupted(s3, monkeypatch, tmp_path, None)
    other = random.Random(2).randbytes(22 << 20)
    (tmp_path / "big").write_bytes(other)
    sent = counted(monkeypatch, store)
    store.create("big", tmp_path / "big")
    assert sent == [1, 2, 3, 4, 5]
    assert store.read("big")[0] == other


def test_an_upload_that_was_given_up_elsewhere_begins_anew(s3, tmp_path, monkeypatch):
    data, store = interrupted(s3, monkeypatch, tmp_path, "ab" * 32)
    upload = s3.list_multipart_uploads(Bucket="models")["Uploads"][0]
    s3.abort_multipart_upload(Bucket="models", Key="big", UploadId=upload["UploadId"])
    store.create("big", tmp_path / "big", sha256="ab" * 32)
    assert store.read("big")[0] == data


def test_what_someone_else_wrote_meanwhile_stays_and_the_parts_are_freed(s3, tmp_path, monkeypatch):
    _, store = interrupted(s3, monkeypatch, tmp_path, "ab" * 32)
    send = store._connection.call

    def call(name, **arguments):
        if name == "complete_multipart_upload" and "IfNoneMatch" in arguments and arguments["Key"] == "big":
            s3.put_object(Bucket="models", Key="big", Body=b"theirs")
        return send(name, **arguments)

    monkeypatch.setattr(store._connection, "call", call)
    with pytest.raises(FileExistsError):
        store.create("big", tmp_path / "big", sha256="ab" * 32)
    assert store.read("big")[0] == b"theirs"
    assert not s3.list_multipart_uploads(Bucket="models").get("Uploads")
    assert list((tmp_path / "uploads").iterdir()) == []


def test_uploads_that_nobody_finished_for_a_week_are_given_up(s3, tmp_path, monkeypatch):
    _, store = interrupted(s3, monkeypatch, tmp_path, "ab" * 32)
    s3.create_multipart_upload(Bucket="models", Key="of/others")
    assert leftovers.sweep(store._connection, store._journal) == 0, "it may still be finished"
    later = time.time() + 8 * 86400
    monkeypatch.setattr("slipway.adapters.store.uploads.time.time", lambda: later)
    assert leftovers.sweep(store._connection, store._journal) == 1
    assert [item["Key"] for item in s3.list_multipart_uploads(Bucket="models")["Uploads"]] == ["of/others"]
    assert list((tmp_path / "uploads").iterdir()) == []


def test_parts_grow_with_the_file():
    assert multipart.part_size(640 << 30, 64 << 20) == 66 << 20
    assert multipart.part_size(1 << 30, 64 << 20) == 64 << 20


def ignoring(monkeypatch, store, operation, condition):
    """Make the endpoint overlook a condition, as a server does that does not know it."""
    send = store._connection.call

    def call(name, **arguments):
        if name == operation:
            arguments.pop(condition, None)
        return send(name, **arguments)

    monkeypatch.setattr(store._connection, "call", call)


@pytest.mark.parametrize(
    ("operation", "condition", "said"),
    [
        ("put_object", "IfNoneMatch", "ignores If-None-Match,"),
        ("put_object", "IfMatch", "ignores If-Match,"),
        ("complete_multipart_upload", "IfNoneMatch", "ignores If-None-Match when parts are joined"),
    ],
)
def test_an_endpoint_that_ignores_conditions_is_refused(s3, monkeypatch, operation, condition, said):
    store = S3Store("models")
    ignoring(monkeypatch, store, operation, condition)
    with pytest.raises(Refusal, match=said):
        store.create("a", b"")
    assert s3.list_objects_v2(Bucket="models")["KeyCount"] == 0
    assert not s3.list_multipart_uploads(Bucket="models").get("Uploads")


def test_where_a_copy_cannot_be_create_only_parts_are_copied(s3, monkeypatch):
    store = S3Store("models")
    ignoring(monkeypatch, store, "copy_object", "IfNoneMatch")
    assert not store.capabilities()["create_only_copy"]
    store.create("a", b"shard")
    store.create("empty", b"")
    store.copy("a", "b")
    store.copy("empty", "also empty")
    assert (store.read("b")[0], store.read("also empty")[0]) == (b"shard", b"")
    store.create("c", b"other")
    with pytest.raises(FileExistsError):
        store.copy("a", "c")
    assert store.read("c")[0] == b"other"
    assert not s3.list_multipart_uploads(Bucket="models").get("Uploads")


def test_large_copies_go_in_parts(store, tmp_path, monkeypatch):
    monkeypatch.setattr("slipway.adapters.store.s3.COPIED_WHOLE", 1 << 20)
    monkeypatch.setattr("slipway.adapters.store.s3.COPIED_PART", 5 << 20)
    data = random.Random(3).randbytes(11 << 20)
    (tmp_path / "big").write_bytes(data)
    store.create("a", tmp_path / "big")
    store.copy("a", "b")
    assert store.read("b")[0] == data
    with pytest.raises(FileExistsError):
        store.copy("a", "b")


@pytest.mark.skipif(find_spec("awscrt") is None, reason="AWS CRT is not installed")
def test_with_crt_files_carry_a_checksum_that_the_server_keeps(s3, tmp_path):
    store = S3Store("models", part=5 << 20)
    for size in (1 << 20, 11 << 20):  # in one request, and in parts
        data = random.Random(size).randbytes(size)
        (tmp_path / "file").write_bytes(data)
        store.create(f"{size}", tmp_path / "file")
        assert store.read(f"{size}")[0] == data
        assert s3.head_object(Bucket="models", Key=f"{size}", ChecksumMode="ENABLED").get("ChecksumCRC64NVME")


def test_many_who_ask_at_the_same_time_ask_once(s3, monkeypatch):
    """A publisher's first files go several at a time."""
    asked, send = [], Connection.call

    def call(self, name, **arguments):
        asked.append(name)
        return send(self, name, **arguments)

    monkeypatch.setattr(Connection, "call", call)
    store = S3Store("models")
    threads = [threading.Thread(target=store.create, args=(str(number), b"x")) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(asked) <= 11 + 8


def test_capabilities_are_asked_for_once(s3, monkeypatch):
    asked = []
    send = Connection.call

    def call(self, name, **arguments):
        asked.append(name)
        return send(self, name, **arguments)

    monkeypatch.setattr(Connection, "call", call)
    first = S3Store("models").capabilities()
    assert first["create_only"]
    assert first["compare_and_swap"]
    assert first["create_only_in_parts"]
    assert len(asked) <= 11
    asked.clear()
    assert S3Store("models").capabilities() == first
    assert asked == []


def test_tags_change_with_the_object_only(store):
    assert store.swap("folder/pointer", b"1", None)
    store.create("folder/a", b"1")
    before = store.tags("folder")
    store.copy("folder/a", "folder/b")
    assert store.swap("folder/pointer", b"2", store.read("folder/pointer")[1])
    after = store.tags("folder")
    assert after["folder/a"] == before["folder/a"]
    assert after["folder/pointer"] != before["folder/pointer"]


def test_a_file_that_shrinks_while_it_is_sent_is_said(s3, tmp_path):
    (tmp_path / "file").write_bytes(bytes(100))
    with Slice(tmp_path / "file", 0, 200) as body:
        assert len(body.read(16)) == 100
        with pytest.raises(UserError, match="became shorter"):
            body.read(16)


def test_a_slice_is_read_in_blocks_and_again_from_its_beginning(tmp_path):
    data = random.Random(4).randbytes(1 << 20)
    (tmp_path / "file").write_bytes(data)
    noted = []
    with Slice(tmp_path / "file", 1000, 600_000, noted.append) as body:
        for _ in range(2):
            body.seek(0)
            assert b"".join(bytes(block) for block in iter(lambda: body.read(16384), b"")) == data[1000:601_000]
        body.seek(5)
        assert body.read() == data[1005:601_000]
    assert sum(noted) == 600_000


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
