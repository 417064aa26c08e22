"""The private key is where it was put, and nowhere that a release writes to."""

import base64
import traceback
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from flows import steps
from slipway.errors import UserError
from tests import release_project

PASSPHRASE = "correct horse battery staple"


def traces(pem: bytes, password: bytes | None) -> list[bytes]:
    """What of a key would give it away: its number and its encodings, as bytes and in text."""
    key = serialization.load_pem_private_key(pem, password)
    number = key.private_numbers().private_value
    raw = number.to_bytes(32, "big")
    lines = [line for line in pem.splitlines() if line and not line.startswith(b"-----")]
    return [
        raw, raw.hex().encode(), raw.hex().upper().encode(), str(number).encode(),
        base64.b64encode(raw).rstrip(b"="), *lines, PASSPHRASE.encode(),
    ]  # fmt: skip


def found(folder: Path, secrets: list[bytes], apart: Path) -> list[Path]:
    return [
        path
        for path in folder.rglob("*")
        if path.is_file() and path != apart and any(secret in path.read_bytes() for secret in secrets)
    ]


@pytest.fixture
def printed(capfd, caplog):
    """All that was printed or logged so far."""
    caplog.set_level(0)
    return lambda: "".join(capfd.readouterr()) + caplog.text


@pytest.mark.parametrize("how", ["file", "environment"])
def test_a_release_leaves_no_trace_of_its_key(project, run, printed, monkeypatch, how):
    tmp_path = project.parent
    monkeypatch.setenv("SLIPWAY_KEY_PASSWORD", PASSPHRASE)
    pair = release_project.key_pair(tmp_path / "k" / "release.key")
    secrets = traces(pair.read_bytes(), PASSPHRASE.encode())
    monkeypatch.setenv(*(("SLIPWAY_KEY", str(pair)) if how == "file" else ("SLIPWAY_KEY_PEM", pair.read_text())))
    run(project)
    run(project)
    assert (project / ".slipway" / "store" / "releases" / "tiny" / "v1" / "model.sig").is_file()
    assert found(tmp_path, secrets, apart=pair) == []
    text = printed()
    assert not [secret for secret in secrets if secret.decode("latin-1") in text]


def test_the_search_finds_what_it_looks_for(tmp_path):
    pair = release_project.key_pair(tmp_path / "release.key")
    secrets = traces(pair.read_bytes(), None)
    (tmp_path / "log").write_bytes(b"key: " + pair.read_bytes().splitlines()[1])
    assert found(tmp_path, secrets, apart=pair) == [tmp_path / "log"]


def test_a_traceback_holds_no_key(project, tmp_path, monkeypatch):
    """Not even of a key that cannot be used."""
    pair = release_project.key_pair(tmp_path / "release.key")
    body = pair.read_text().splitlines()[1]
    monkeypatch.setenv("SLIPWAY_KEY_PEM", pair.read_text().replace(body, body[:-4]))
    with pytest.raises(UserError) as fault:
        steps.open_context(project).signer  # noqa: B018
    text = "".join(traceback.format_exception(fault.value))
    assert body[:-4] not in text
