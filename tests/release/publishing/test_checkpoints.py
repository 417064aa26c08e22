"""Checkpoints in the store: each file once, read back, found by digest; other content is refused."""

import json
from pathlib import Path

import pytest

from slipway.adapters.store import LocalStore
from slipway.errors import Refusal
from slipway.files import sha256_bytes
from slipway.release.publishing import checkpoints


@pytest.fixture
def made(tmp_path: Path) -> tuple[str, Path]:
    directory = tmp_path / "step-000004"
    directory.mkdir()
    files = {"model.safetensors": b"tensors", "state.json": b"{}"}
    manifest = json.dumps({name: sha256_bytes(data) for name, data in files.items()}).encode()
    for name, data in {**files, "manifest.json": manifest}.items():
        (directory / name).write_bytes(data)
    return sha256_bytes(manifest), directory


def test_what_was_sent_is_fetched_and_sent_once(tmp_path: Path, made: tuple[str, Path]) -> None:
    store, (digest, directory) = LocalStore(tmp_path / "store"), made
    assert not checkpoints.fetch(store, digest, tmp_path / "none")
    assert [checkpoints.send(store, {digest: directory}) for _ in range(2)] == [1, 0]
    assert checkpoints.fetch(store, digest, tmp_path / "copy")
    found = {path.name: path.read_bytes() for path in (tmp_path / "copy").iterdir()}
    assert found == {path.name: path.read_bytes() for path in directory.iterdir()}


def test_an_interrupted_send_goes_on_and_half_a_checkpoint_is_none(tmp_path: Path, made: tuple[str, Path]) -> None:
    store, (digest, directory) = LocalStore(tmp_path / "store"), made
    store.create(f"checkpoints/{digest}/state.json", b"{}")
    assert not checkpoints.fetch(store, digest, tmp_path / "half")
    assert checkpoints.send(store, {digest: directory}) == 1


def test_other_content_under_the_digest_is_refused(tmp_path: Path, made: tuple[str, Path]) -> None:
    store, (digest, directory) = LocalStore(tmp_path / "store"), made
    store.create(f"checkpoints/{digest}/state.json", b"[]")
    with pytest.raises(Refusal, match=r"state\.json: not the content that the digest names"):
        checkpoints.send(store, {digest: directory})
    store.create(f"checkpoints/{'ab' * 32}/manifest.json", b"{}")
    with pytest.raises(Refusal, match="not the manifest"):
        checkpoints.fetch(store, "ab" * 32, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()
