"""Identity tokens: which are taken, what is said of the others, and that none is ever repeated."""

import contextlib
import logging
import subprocess
import sys
import time

import pytest
import requests

from slipway.errors import UserError
from slipway.release.signing import keyless, oidc
from tests.sigstore_authorities import Issuer
from tests.sigstore_server import WHO

pytestmark = pytest.mark.parametrize("sigstore", [1], indirect=True)


def parts(token: str) -> list[str]:
    """A token, and what would give it away."""
    return [token, *(part[:24] for part in token.split(".")[1:])]


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"begin": time.time() - 3600}, "has expired; get a new one and sign at once"),
        ({"audience": "example.org"}, "was made for others; ask your issuer for one with the audience 'sigstore'"),
        ({"begin": time.time() + 3600, "seconds": 7200}, "is not valid yet; compare the clocks"),
    ],
)
def test_a_token_that_cannot_be_taken_is_not_sent(sigstore, tree, monkeypatch, options, why):
    held = sigstore.issuer.token(WHO, **options)
    monkeypatch.setenv(oidc.TOKEN, held)
    with pytest.raises(UserError, match=why) as told:
        keyless.countersign(tree, tree.with_name("out.json"), sigstore.trust)
    assert sigstore.requests == []
    assert not tree.with_name("out.json").exists()
    assert not any(part in str(told.value) for part in parts(held))


@pytest.mark.parametrize("text", ["not a token", "a.b", "a.b.c", "a.b.c\nd", "é.é.é"])
def test_what_is_no_token_is_told_without_repeating_it(sigstore, tree, tmp_path, monkeypatch, text):
    monkeypatch.setenv(oidc.TOKEN, text)
    with pytest.raises(UserError, match="is no OpenID Connect token") as told:
        keyless.countersign(tree, tmp_path / "out.json", sigstore.trust)
    assert text not in str(told.value)


def test_a_token_with_a_line_break_inside_is_not_repeated_by_the_http_client(sigstore, tree, tmp_path, monkeypatch):
    held = sigstore.issuer.token(WHO)
    monkeypatch.setenv(oidc.TOKEN, held[:-10] + "\n" + held[-10:])
    with pytest.raises(UserError, match="is no OpenID Connect token") as told:
        keyless.countersign(tree, tmp_path / "out.json", sigstore.trust)
    assert not any(part in str(told.value) for part in parts(held))


@pytest.mark.parametrize("foreign", ["issuer", "key"])
def test_a_token_that_the_authority_does_not_know_is_refused_with_its_reason(
    sigstore, tree, tmp_path, monkeypatch, foreign
):
    url = sigstore.issuer.url if foreign == "key" else "https://issuer.example"
    held = Issuer(url).token(WHO)
    monkeypatch.setenv(oidc.TOKEN, held)
    reason = {"issuer": "KeyError", "key": "InvalidSignatureError"}[foreign]
    with pytest.raises(UserError, match=rf"authority refused the identity token .*401 .*{reason}.*a new token") as told:
        keyless.countersign(tree, tmp_path / "out.json", sigstore.trust)
    assert not (tmp_path / "out.json").exists()
    assert "/api/v1/log/entries" not in sigstore.requests
    assert not any(part in str(told.value) for part in parts(held))


def test_an_authority_that_repeats_the_token_does_not_make_us_repeat_it(sigstore, tree, tmp_path, monkeypatch):
    held = sigstore.issuer.token(WHO)
    monkeypatch.setenv(oidc.TOKEN, held)
    said = f"bad \x1b[31m {held} {held.split('.')[1]}".encode()
    monkeypatch.setattr(sigstore, "post", lambda *_: (400, "text/plain", said))
    with pytest.raises(UserError, match=r"refused the identity token .*bad \?\[31m … …") as told:
        keyless.countersign(tree, tmp_path / "out.json", sigstore.trust)
    assert not any(part in str(told.value) for part in parts(held))


def test_the_token_that_a_build_service_hands_out_is_taken(sigstore, tree, monkeypatch):
    monkeypatch.setenv("GITLAB_CI", "true")
    monkeypatch.setenv(
        "SIGSTORE_ID_TOKEN", sigstore.issuer.token("https://ci.example.org/tiny//.ci.yml@refs/heads/main")
    )
    signed = keyless.countersign(tree, tree.with_name("out.json"), sigstore.trust)
    assert signed == keyless.Signed("https://ci.example.org/tiny//.ci.yml@refs/heads/main", sigstore.issuer.url, 1)


def test_a_build_service_that_hands_out_none_is_told(sigstore, tree, tmp_path, monkeypatch):
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    with pytest.raises(UserError, match=r"the build service hands out no identity token .*set SLIPWAY_IDENTITY_TOKEN"):
        keyless.countersign(tree, tmp_path / "out.json", sigstore.trust)


@pytest.mark.parametrize("how", ["signs", "refused", "gone"])
def test_the_token_is_in_no_output_no_log_and_no_file(sigstore, tree, monkeypatch, caplog, how):
    issuer = Issuer("https://issuer.example") if how == "refused" else sigstore.issuer
    held = issuer.token(WHO)
    monkeypatch.setenv(oidc.TOKEN, held)
    if how == "gone":
        sigstore.trust.write_text(sigstore.trust.read_text().replace(sigstore.url, "http://127.0.0.1:9"))
    caplog.set_level(logging.DEBUG)
    command = [sys.executable, "-c", "import sys; from slipway.cli import main; sys.exit(main())", "countersign"]
    command += [str(tree), str(tree.with_name("cli.json")), "--trust-config", str(sigstore.trust)]
    ran = subprocess.run(command, cwd=tree.parent, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == (0 if how == "signs" else 2), ran.stderr
    with contextlib.nullcontext() if how == "signs" else pytest.raises(UserError):
        keyless.countersign(tree, tree.with_name("here.json"), sigstore.trust)
    assert caplog.records
    written = "".join(path.read_text(errors="replace") for path in tree.parent.rglob("*") if path.is_file())
    for part in parts(held):
        for place in (ran.stdout, ran.stderr, caplog.text, written):
            assert part not in place


def test_the_reason_for_an_error_is_one_line(sigstore):
    error = requests.ConnectionError("first\nsecond\x07")
    assert oidc.line(error) == "ConnectionError: first second?"
