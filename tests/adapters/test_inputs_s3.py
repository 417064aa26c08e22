"""S3 inputs against moto in this process: folders, globs, pages, changed and deleted objects, clear errors."""

import boto3
import pytest
from botocore.exceptions import EndpointConnectionError
from moto import mock_aws
from moto.core import set_initial_no_auth_action_count
from moto.server import ThreadedMotoServer

from slipway.adapters.inputs import S3
from slipway.adapters.inputs.s3 import _explained
from slipway.errors import Refusal, UserError
from slipway.files import Listed

JSONL = (".jsonl",)


@pytest.fixture
def bucket(monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    for name in ("AWS_ENDPOINT_URL", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    with mock_aws():
        client = boto3.client("s3")
        client.create_bucket(Bucket="corpus")
        for key in ("a/1.jsonl", "a/2.jsonl", "a/deep/3.jsonl", "a/notes.txt", "ab/4.jsonl", "a/deep/"):
            client.put_object(Bucket="corpus", Key=key, Body=key.encode())
        yield client


def quiet(_: int) -> None:
    """Progress that nobody watches."""


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("a", ["a/1.jsonl", "a/2.jsonl", "a/deep/3.jsonl"]),
        ("a/", ["a/1.jsonl", "a/2.jsonl", "a/deep/3.jsonl"]),
        ("a/*.jsonl", ["a/1.jsonl", "a/2.jsonl"]),
        ("a*/*.jsonl", ["a/1.jsonl", "a/2.jsonl", "ab/4.jsonl"]),
        ("**/[34].jsonl", ["a/deep/3.jsonl", "ab/4.jsonl"]),
        ("a/notes.txt", ["a/notes.txt"]),
        ("b", []),
        ("", ["a/1.jsonl", "a/2.jsonl", "a/deep/3.jsonl", "ab/4.jsonl"]),
    ],
)
@pytest.mark.parametrize("page", [2, 1000])
def test_an_object_a_folder_and_a_glob_over_all_pages(bucket, path, expected, page):
    found = S3(page).listing(f"s3://corpus/{path}", JSONL)
    assert [file.path.removeprefix("s3://corpus/") for file in found.files] == expected
    assert found.revision is None


def test_a_listing_has_sizes_and_etags(bucket):
    (file,) = S3().listing("s3://corpus/a/1.jsonl", JSONL).files
    assert (file.bytes, file.sha256) == (9, None)
    assert file.etag == bucket.head_object(Bucket="corpus", Key="a/1.jsonl")["ETag"].strip('"')


def test_a_large_object_arrives_in_ranges(bucket, tmp_path):
    data, told = bytes(range(256)) * (36 << 12), []
    bucket.put_object(Bucket="corpus", Key="big.jsonl", Body=data)
    S3().fetch(Listed("s3://corpus/big.jsonl", len(data)), None, tmp_path / "part", told.append)
    assert (tmp_path / "part").read_bytes() == data
    assert len(told) > 1
    assert sum(told) == len(data)


def test_a_deleted_object_and_one_of_another_size_are_refused_before_a_byte_comes(bucket, tmp_path):
    bucket.delete_object(Bucket="corpus", Key="a/1.jsonl")
    with pytest.raises(Refusal, match=r"s3://corpus/a/1.jsonl: not there"):
        S3().fetch(Listed("s3://corpus/a/1.jsonl", 9), None, tmp_path / "part", quiet)
    with pytest.raises(Refusal, match=r"s3://corpus/a/2.jsonl: has 9 bytes now, not 8; .*slipway lock"):
        S3().fetch(Listed("s3://corpus/a/2.jsonl", 8), None, tmp_path / "part", quiet)
    assert not (tmp_path / "part").exists()


def test_credentials_that_are_wrong(bucket):
    with pytest.raises(UserError, match=r"S3 does not let you read it") as error:
        set_initial_no_auth_action_count(0)(S3().listing)("s3://corpus/a", JSONL)
    assert "AWS_SECRET_ACCESS_KEY" in str(error.value)
    assert "testing" not in str(error.value)


def test_credentials_that_are_missing(monkeypatch):
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setattr("boto3.DEFAULT_SESSION", None)
    monkeypatch.setattr("botocore.credentials.CredentialResolver.load_credentials", lambda _: None)
    with pytest.raises(UserError, match=r"no S3 credentials"):
        S3().listing("s3://corpus/a", JSONL)


def test_a_bucket_that_is_not_there_and_an_address_without_one(bucket):
    with pytest.raises(Refusal, match=r"s3://nowhere/a: not there \(NoSuchBucket\)"):
        S3().listing("s3://nowhere/a", JSONL)
    with pytest.raises(UserError, match=r"names no bucket"):
        S3().listing("s3://", JSONL)


def test_the_endpoint_of_the_environment_over_real_http(monkeypatch, tmp_path):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        client = boto3.client("s3")
        client.create_bucket(Bucket="corpus")
        client.put_object(Bucket="corpus", Key="größe/a b.jsonl", Body=b"{}")
        (file,) = S3().listing("s3://corpus/größe", JSONL).files
        S3().fetch(file, None, tmp_path / "part", quiet)
        assert (tmp_path / "part").read_bytes() == b"{}"
    finally:
        server.stop()
    monkeypatch.setattr("slipway.adapters.inputs.s3.ATTEMPTS", 1)  # each waits for longer than the one before
    with pytest.raises(UserError, match=r"s3://corpus/a: .*check credentials, AWS_ENDPOINT_URL and the network"):
        S3().listing("s3://corpus/a", JSONL)


def test_an_endpoint_that_is_no_url_and_one_with_a_password(bucket, monkeypatch):
    for endpoint in ("garbage", "http://[bad"):
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        with pytest.raises(UserError, match=r"AWS_ENDPOINT_URL is no URL"):
            S3().listing("s3://corpus/a", JSONL)
    with (
        pytest.raises(UserError, match=r"s3://corpus/a: .*http://…@store/corpus") as caught,
        _explained("s3://corpus/a"),
    ):
        raise EndpointConnectionError(endpoint_url="http://me:secret@store/corpus")
    assert "secret" not in str(caught.value)
