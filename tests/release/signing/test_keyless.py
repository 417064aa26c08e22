"""Counter-signatures by Sigstore: against a private one on loopback, and where none is reached."""

import base64
import json
import shutil
import socket
import subprocess
import sys
import time

import pytest

from slipway.adapters.store import LocalStore
from slipway.cli import main
from slipway.errors import Refusal, UserError
from slipway.release.reading import verify
from slipway.release.signing import keyless, oidc
from tests.sigstore_server import WHO, Site, running


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


def plain(*arguments) -> subprocess.CompletedProcess:
    """The command of model-signing, which knows nothing of Slipway."""
    command = [sys.executable, "-m", "model_signing", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def refused(sigstore: Site, tree, bundle, *, trust=None) -> str:
    """Why `check` refuses."""
    with pytest.raises(Refusal) as told:
        keyless.check(tree, bundle, WHO, sigstore.issuer.url, trust or sigstore.trust)
    return str(told.value)


def test_without_an_identity_nothing_is_signed_and_no_browser_opened(tree, tmp_path, unreachable):
    with pytest.raises(UserError, match=f"no identity to sign with: set {oidc.TOKEN}"):
        keyless.countersign(tree, tmp_path / "out.json")
    assert not (tmp_path / "out.json").exists()


def test_where_sigstore_is_not_reached_nothing_is_written_and_the_token_is_not_told(
    tree, tmp_path, unreachable, monkeypatch
):
    monkeypatch.setenv(oidc.TOKEN, token())
    with pytest.raises(UserError, match="Sigstore was not reached, or refused") as told:
        keyless.countersign(tree, tmp_path / "out.json")
    assert not (tmp_path / "out.json").exists()
    assert token().split(".")[1][:20] not in str(told.value)


def test_it_lies_outside_of_the_release_and_takes_no_file_s_place(tree, tmp_path, unreachable):
    with pytest.raises(UserError, match="lies inside the release"):
        keyless.countersign(tree, tree / "model.sigstore.json")
    (tmp_path / "out.json").write_text("of somebody else")
    with pytest.raises(UserError, match="is there; look at it with --check"):
        keyless.countersign(tree, tmp_path / "out.json")


def test_what_cannot_be_checked_is_not_verified(tree, tmp_path, unreachable, capsys):
    (tmp_path / "out.json").write_text("{}")
    with pytest.raises(Refusal, match="not verified as signed by a@"):
        keyless.check(tree, tmp_path / "out.json", "a@example.org", "https://issuer.example")
    assert main(["countersign", str(tree), str(tmp_path / "out.json"), "--check"]) == 2
    assert "--check asks for --identity and --issuer" in capsys.readouterr().err


def test_signed_by_an_identity_it_verifies_by_ours_and_by_the_plain_tool_which_make_the_same(
    sigstore, tree, tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv(oidc.TOKEN, sigstore.issuer.token(WHO) + "\n")
    ours, theirs = tmp_path / "ours.json", tmp_path / "theirs.json"
    trust = ["--trust-config", str(sigstore.trust)]
    assert main(["countersign", str(tree), str(ours), *trust]) == 0
    assert capsys.readouterr().out == f"{ours}: signed by {WHO}, says {sigstore.issuer.url}; entry 1 of the log\n"
    known = ["--trust_config", sigstore.trust]
    made = plain("sign", "sigstore", tree, "--signature", theirs, *known, "--no-ignore-git-paths", "--identity_token",
                 sigstore.issuer.token(WHO))  # fmt: skip
    assert made.returncode == 0, made.stderr
    for bundle in (ours, theirs):
        arguments = ["countersign", str(tree), str(bundle), "--check", "--identity", WHO, *trust]
        assert main([*arguments, "--issuer", sigstore.issuer.url]) == 0
        looked = plain("verify", "sigstore", tree, "--signature", bundle, *known, "--identity", WHO,
                       "--identity_provider", sigstore.issuer.url)  # fmt: skip
        assert (looked.returncode, looked.stdout) == (0, "Verification succeeded\n"), looked.stderr
    assert main(["countersign", str(tree), str(tmp_path / "x"), "--identity", WHO, *trust]) == 2
    assert not (tmp_path / "x").exists()


def test_with_a_trust_config_it_verifies_without_network(sigstore, tree, signed, tmp_path, monkeypatch):
    def shut(*_):
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", shut)
    monkeypatch.setattr(socket, "getaddrinfo", shut)
    asked = len(sigstore.requests)
    keyless.check(tree, signed, WHO, sigstore.issuer.url, sigstore.trust)
    assert len(sigstore.requests) == asked
    assert not (tmp_path / "home").exists(), "roots were fetched and kept"


def test_after_the_servers_are_gone_it_still_verifies(tree, tmp_path, unreachable, monkeypatch):
    with running(tmp_path) as site:
        monkeypatch.setenv(oidc.TOKEN, site.issuer.token(WHO))
        keyless.countersign(tree, tmp_path / "signed.json", site.trust)
    shutil.move(tree, tmp_path / "elsewhere")
    keyless.check(tmp_path / "elsewhere", tmp_path / "signed.json", WHO, site.issuer.url, site.trust)
    with pytest.raises(UserError, match=r"Sigstore was not reached.*try again with network"):
        keyless.countersign(tmp_path / "elsewhere", tmp_path / "again.json", site.trust)
    assert not (tmp_path / "again.json").exists()


def test_over_https_the_token_goes_only_to_who_shows_a_certificate(tree, tmp_path, unreachable, monkeypatch):
    with running(tmp_path, https=True) as site:
        monkeypatch.setenv(oidc.TOKEN, site.issuer.token(WHO))
        with pytest.raises(UserError, match="CERTIFICATE_VERIFY_FAILED"):
            keyless.countersign(tree, tmp_path / "signed.json", site.trust)
        assert site.requests == []
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "https-root.pem"))
        keyless.countersign(tree, tmp_path / "signed.json", site.trust)
    keyless.check(tree, tmp_path / "signed.json", WHO, site.issuer.url, site.trust)


def test_a_published_release_takes_it_and_stays_what_it_is(site, sigstore, tmp_path, monkeypatch):
    release = site.staged(site.release())
    monkeypatch.setenv(oidc.TOKEN, sigstore.issuer.token("https://ci.example.org/tiny/release.yml@main"))
    made = keyless.countersign(release, tmp_path / "signed.json", sigstore.trust)
    assert made.identity == "https://ci.example.org/tiny/release.yml@main"
    keyless.check(release, tmp_path / "signed.json", made.identity, made.issuer, sigstore.trust)
    assert verify.verify(LocalStore(release), "", site.public).release.name == "tiny"


def test_another_identity_or_issuer_is_refused(sigstore, tree, tmp_path, monkeypatch):
    for issuer, who, why in (
        (sigstore.issuer, "x" + WHO, "SANs do not match"),
        (sigstore.other_issuer, WHO, "OIDCIssuer does not match"),
    ):
        monkeypatch.setenv(oidc.TOKEN, issuer.token(who))
        keyless.countersign(tree, tmp_path / f"{why}.json", sigstore.trust)
        assert why in refused(sigstore, tree, tmp_path / f"{why}.json")


def test_changed_added_missing_and_linked_files_are_refused(sigstore, tree, signed):
    keyless.check(tree, signed, WHO, sigstore.issuer.url, sigstore.trust)
    (tree / ".git").mkdir()
    (tree / ".git" / "evil.py").write_text("")
    assert "Extra files" in refused(sigstore, tree, signed)
    shutil.rmtree(tree / ".git")
    (tree / "link").symlink_to("config.json")
    assert "symlink" in refused(sigstore, tree, signed)
    (tree / "link").unlink()
    (tree / "config.json").write_text("[]")
    assert "Hash mismatch" in refused(sigstore, tree, signed)
    (tree / "config.json").unlink()
    assert "Missing files" in refused(sigstore, tree, signed)


def test_one_that_leaves_files_out_is_refused(sigstore, tree, tmp_path):
    made = plain("sign", "sigstore", tree, "--signature", tmp_path / "git.json", "--trust_config", sigstore.trust,
                 "--identity_token", sigstore.issuer.token(WHO))  # fmt: skip
    assert made.returncode == 0, made.stderr
    assert "may leave files out" in refused(sigstore, tree, tmp_path / "git.json")


def test_one_of_another_release_is_refused(sigstore, tree, tmp_path, monkeypatch):
    (tmp_path / "before").mkdir()
    (tmp_path / "before" / "config.json").write_text('{"version": 1}')
    monkeypatch.setenv(oidc.TOKEN, sigstore.issuer.token(WHO))
    keyless.countersign(tmp_path / "before", tmp_path / "before.json", sigstore.trust)
    assert "Hash mismatch" in refused(sigstore, tree, tmp_path / "before.json")
