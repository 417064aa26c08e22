"""A private Sigstore, a small release, a machine from which nothing else is reached; and a line of keys."""

import pytest

from slipway.release.signing import keyless, oidc
from tests.key_line import Line
from tests.sigstore_server import WHO, running


@pytest.fixture
def unreachable(monkeypatch, tmp_path):
    """No way to any server but on this machine, and no cache of Sigstore's roots."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "GITHUB_ACTIONS", "GITLAB_CI", "BUILDKITE", oidc.TOKEN):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("XDG_CACHE_HOME", "XDG_DATA_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "home" / name))


@pytest.fixture
def tree(tmp_path):
    (tmp_path / "release").mkdir()
    (tmp_path / "release" / "config.json").write_text("{}")
    return tmp_path / "release"


@pytest.fixture(params=[1, 2], ids=["log-v1", "log-v2"])
def sigstore(request, tmp_path, unreachable):
    """A deployment with either protocol of the log."""
    with running(tmp_path, request.param) as deployment:
        yield deployment


@pytest.fixture
def signed(sigstore, tree, tmp_path, monkeypatch):
    """A counter-signature of `WHO` over `tree`."""
    monkeypatch.setenv(oidc.TOKEN, sigstore.issuer.token(WHO))
    keyless.countersign(tree, tmp_path / "signed.json", sigstore.trust)
    return tmp_path / "signed.json"


@pytest.fixture
def line(site, tmp_path) -> Line:
    (tmp_path / "keys").mkdir()
    return Line(site, tmp_path / "keys")
