"""Digests agree with coreutils; a write is whole or not at all."""

import subprocess

import pytest

from slipway.errors import UserError
from slipway.files import combined, copy_hashed, copy_tree, digests, identity, sha256_file, weights_of, write_atomic


def test_digest_agrees_with_sha256sum(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"x" * 3_000_000)
    assert subprocess.check_output(["sha256sum", str(path)], text=True).split()[0] == sha256_file(path)


def test_combined_digest_is_that_of_a_sha256sum_listing(tmp_path):
    (tmp_path / "d").mkdir()
    (tmp_path / "b").write_bytes(b"1")
    (tmp_path / "d" / "a").write_bytes(b"2")
    listing = subprocess.check_output("sha256sum b d/a | sha256sum", shell=True, cwd=tmp_path, text=True)  # noqa: S602
    assert combined(digests(tmp_path, tmp_path)) == listing.split()[0]


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a"
    write_atomic(path, "old")
    with pytest.raises(TypeError):
        write_atomic(path, 5)  # type: ignore[arg-type]
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_mode(tmp_path):
    write_atomic(tmp_path / "key", b"secret", mode=0o600)
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600


def test_weights_in_parts_are_named_by_their_content() -> None:
    parts = {"model-00001-of-00002.safetensors": "a", "model-00002-of-00002.safetensors": "b"}
    index = {"model.safetensors.index.json": "i", "config.json": "c"}
    assert weights_of(parts | index) != weights_of(parts | index | {"model-00002-of-00002.safetensors": "x"})
    assert weights_of(parts | index) == weights_of(parts | index | {"config.json": "other"})
    assert weights_of({"model.safetensors": "w", "config.json": "c"}) == "w"
    with pytest.raises(UserError, match=r"no model\.safetensors"):
        weights_of({"config.json": "c"})


def test_a_copy_is_hashed_and_shares_nothing_with_its_source(tmp_path):
    source = tmp_path / "a"
    source.write_bytes(bytes(range(256)) * 10_000)
    assert copy_hashed(source, tmp_path / "new" / "b") == sha256_file(source) == sha256_file(tmp_path / "new" / "b")
    with source.open("r+b") as stream:
        stream.write(b"altered")
    assert (tmp_path / "new" / "b").read_bytes() == bytes(range(256)) * 10_000
    assert (tmp_path / "new" / "b").stat().st_nlink == 1
    (tmp_path / "empty").touch()
    assert copy_hashed(tmp_path / "empty", tmp_path / "c") == sha256_file(tmp_path / "empty")


def test_a_tree_is_copied_with_its_digests_and_nothing_else_is_left(tmp_path):
    for name in ("a", "d/b", "d/e/c"):
        write_atomic(tmp_path / "from" / name, name * 1000)
    write_atomic(tmp_path / "to" / "of an earlier attempt", "x")
    copies = copy_tree(tmp_path / "from", tmp_path / "to")
    found = {path: copy.sha256 for path, copy in copies.items()}
    assert found == digests(tmp_path / "from", tmp_path / "from") == digests(tmp_path / "to", tmp_path / "to")
    assert list(found) == ["a", "d/b", "d/e/c"]
    assert all(copy.identity == identity(tmp_path / "to" / path) for path, copy in copies.items())
