"""Counter-signatures by Sigstore, as far as they can be tried without it: nothing is signed, nothing believed."""

import base64
import json
import time

import pytest

from slipway.cli import main
from slipway.errors import Refusal, UserError
from slipway.release.signing import keyless


@pytest.fixture
def unreachable(monkeypatch, tmp_path):
    """No way to any server, and no cache of Sigstore's roots."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "GITHUB_ACTIONS", "GITLAB_CI", "BUILDKITE", keyless.TOKEN):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("XDG_CACHE_HOME", "XDG_DATA_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name))


@pytest.fixture
def tree(tmp_path):
    (tmp_path / "release").mkdir()
    (tmp_path / "release" / "config.json").write_text("{}")
    return tmp_path / "release"


def token() -> str:
    """In the form of an identity token, signed by nobody."""
    now = int(time.time())
    claims = {"iss": "https://oauth2.sigstore.dev/auth", "sub": "a", "aud": "sigstore", "email": "a@example.org"}
    parts = (
        {"alg": "RS256", "typ": "JWT"},
        claims | {"iat": now, "nbf": now, "exp": now + 600, "email_verified": True},
    )
    coded = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts]
    return ".".join([*coded, "AAAA"])


def test_without_an_identity_nothing_is_signed_and_no_browser_opened(tree, tmp_path, unreachable):
    with pytest.raises(UserError, match=f"no identity to sign with: set {keyless.TOKEN}"):
        keyless.countersign(tree, tmp_path / "out.json")
    assert not (tmp_path / "out.json").exists()


def test_where_sigstore_is_not_reached_nothing_is_written_and_the_token_is_not_told(
    tree, tmp_path, unreachable, monkeypatch
):
    monkeypatch.setenv(keyless.TOKEN, token())
    with pytest.raises(UserError, match="Sigstore was not reached, or refused") as told:
        keyless.countersign(tree, tmp_path / "out.json")
    assert not (tmp_path / "out.json").exists()
    assert token().split(".")[1][:20] not in str(told.value)


def test_it_lies_outside_of_the_release(tree, unreachable):
    with pytest.raises(UserError, match="lies inside the release"):
        keyless.countersign(tree, tree / "model.sigstore.json")


def test_what_cannot_be_checked_is_not_verified(tree, tmp_path, unreachable, capsys):
    (tmp_path / "out.json").write_text("{}")
    with pytest.raises(Refusal, match="not verified as signed by a@"):
        keyless.check(tree, tmp_path / "out.json", "a@example.org", "https://issuer.example")
    assert main(["countersign", str(tree), str(tmp_path / "out.json"), "--check"]) == 2
    assert "--check asks for --identity and --issuer" in capsys.readouterr().err
