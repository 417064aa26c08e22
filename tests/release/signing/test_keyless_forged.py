"""Counter-signatures that were forged, or made by servers that nobody should trust, and trust configs that lie."""

import base64
import json
import time
from datetime import timedelta
from pathlib import Path

import pytest
from model_signing import hashing, signing

from slipway.errors import Refusal, UserError
from slipway.release.signing import keyless, oidc
from tests.sigstore_authorities import new_key
from tests.sigstore_server import WHO, Site


def refused(sigstore: Site, tree, bundle, trust=None) -> str:
    """Why `check` refuses."""
    with pytest.raises(Refusal) as told:
        keyless.check(tree, bundle, WHO, sigstore.issuer.url, trust or sigstore.trust)
    return str(told.value)


def careless(sigstore: Site, tree: Path, out: Path, trust: Path | None = None) -> Path:
    """Sign as a client does that does not look at what it gets."""
    config = hashing.Config().set_ignored_paths(paths=[], ignore_git_paths=False)
    made = signing.Config().use_sigstore_signer(
        identity_token=sigstore.issuer.token(WHO), trust_config=trust or sigstore.trust
    )
    made.set_hashing_config(config).sign(tree, out)
    return out


def altered(bundle: Path, alter) -> Path:
    """A copy of `bundle` after `alter` was called with its content."""
    content = json.loads(bundle.read_text())
    alter(content)
    target = bundle.with_name("altered.json")
    target.write_text(json.dumps(content))
    return target


def entry(content: dict) -> dict:
    return content["verificationMaterial"]["tlogEntries"][0]


def flip(text: str) -> str:
    """Base64 of the same bytes with one bit changed in the middle."""
    data = bytearray(base64.b64decode(text))
    data[len(data) // 2] ^= 1
    return base64.b64encode(data).decode()


def flipped(*names: str):
    """Change one bit of what lies at these names below the entry of the log."""

    def alter(content):
        place = entry(content)
        for name in names[:-1]:
            place = place[name]
        place[names[-1]] = flip(place[names[-1]])

    return alter


FORGED = {
    "body": (flipped("canonicalizedBody"), "invalid root hash"),
    "root": (flipped("inclusionProof", "rootHash"), "invalid root hash"),
    "no path": (lambda content: entry(content)["inclusionProof"].update(hashes=[]), "proof has wrong size"),
    "checkpoint": (
        lambda content: entry(content)["inclusionProof"]["checkpoint"].update(
            envelope=entry(content)["inclusionProof"]["checkpoint"]["envelope"].replace("\n2\n", "\n3\n")
        ),
        "checkpoint: invalid signature",
    ),
    "no entry": (lambda content: content["verificationMaterial"].update(tlogEntries=[]), "exactly one log entry"),
    "payload": (
        lambda content: content["dsseEnvelope"].update(payload=flip(content["dsseEnvelope"]["payload"])),
        "DSSE: invalid signature",
    ),
}


@pytest.mark.parametrize("case", FORGED)
def test_a_forged_entry_of_the_log_or_signature_is_refused(sigstore, tree, signed, case):
    alter, why = FORGED[case]
    assert why in refused(sigstore, tree, altered(signed, alter))


def test_another_signature_is_refused(sigstore, tree, signed):
    def alter(content):
        (signature,) = content["dsseEnvelope"]["signatures"]
        signature["sig"] = flip(signature["sig"])

    why = {1: "DSSE: invalid signature", 2: "not enough sources of verified time"}[sigstore.version]
    assert why in refused(sigstore, tree, altered(signed, alter))


@pytest.mark.parametrize("sigstore", [1], indirect=True)
def test_a_forged_or_missing_promise_of_the_time_is_refused(sigstore, tree, signed):
    later = altered(signed, lambda content: entry(content).update(integratedTime=str(int(time.time()) + 60)))
    assert "SET: invalid inclusion promise" in refused(sigstore, tree, later)
    promise = altered(signed, flipped("inclusionPromise", "signedEntryTimestamp"))
    assert "SET: invalid inclusion promise" in refused(sigstore, tree, promise)
    silent = altered(signed, lambda content: entry(content).pop("inclusionPromise"))
    assert "inclusion promise or signed timestamp" in refused(sigstore, tree, silent)


@pytest.mark.parametrize("sigstore", [2], indirect=True)
def test_a_forged_or_missing_timestamp_is_refused(sigstore, tree, signed):
    def alter(content):
        stamp = content["verificationMaterial"]["timestampVerificationData"]["rfc3161Timestamps"][0]
        data = bytearray(base64.b64decode(stamp["signedTimestamp"]))
        data[-1] ^= 1
        stamp["signedTimestamp"] = base64.b64encode(data).decode()

    assert "not enough sources of verified time" in refused(sigstore, tree, altered(signed, alter))
    silent = altered(signed, lambda content: content["verificationMaterial"].pop("timestampVerificationData"))
    assert "inclusion promise or signed timestamp" in refused(sigstore, tree, silent)


def test_parts_of_two_counter_signatures_do_not_mix(sigstore, tree, signed, tmp_path):
    second = json.loads(careless(sigstore, tree, tmp_path / "second.json").read_text())
    for part in ("certificate", "tlogEntries", "timestampVerificationData"):
        if part in second["verificationMaterial"] and second["verificationMaterial"][part] != {"rfc3161Timestamps": []}:
            held = {part: second["verificationMaterial"][part]}
            assert "not verified" in refused(
                sigstore, tree, altered(signed, lambda content, held=held: content["verificationMaterial"].update(held))
            )
    keyless.check(tree, tmp_path / "second.json", WHO, sigstore.issuer.url, sigstore.trust)


def test_a_name_that_comes_twice_hides_nothing(sigstore, tree, signed, tmp_path):
    loose = tmp_path / "loose.json"
    signing.Config().use_sigstore_signer(identity_token=sigstore.issuer.token(WHO), trust_config=sigstore.trust).sign(
        tree, loose
    )
    (tree / ".git").mkdir()
    (tree / ".git" / "evil.py").write_text("")
    exact = json.loads(signed.read_text())["dsseEnvelope"]["payload"]
    hiding = json.loads(loose.read_text())["dsseEnvelope"]["payload"]
    for both in (f'"payload":"{exact}","payload":"{hiding}"', f'"payload":"{hiding}","payload":"{exact}"'):
        text = loose.read_text().replace(f'"payload":"{hiding}"', both)
        assert both in text
        (tmp_path / "twice.json").write_text(text)
        refused(sigstore, tree, tmp_path / "twice.json")


def test_signed_after_its_certificate_ended_it_is_refused_and_we_write_none(sigstore, tree, tmp_path, monkeypatch):
    late = time.time() + timedelta(minutes=11).total_seconds()
    sigstore.log.clock = sigstore.times.clock = lambda: late
    assert "not valid at validation time" in refused(sigstore, tree, careless(sigstore, tree, tmp_path / "late.json"))
    monkeypatch.setenv(oidc.TOKEN, sigstore.issuer.token(WHO))
    with pytest.raises(UserError, match=r"its answer does not verify .*; nothing was written"):
        keyless.countersign(tree, tmp_path / "ours.json", sigstore.trust)
    assert not (tmp_path / "ours.json").exists()


@pytest.mark.parametrize("sigstore", [1], indirect=True)
def test_an_old_counter_signature_stays_good_though_its_certificate_ended(sigstore, tree, tmp_path):
    sigstore.authority.lasts = timedelta(seconds=4)
    bundle = careless(sigstore, tree, tmp_path / "old.json")
    time.sleep(4.1)
    keyless.check(tree, bundle, WHO, sigstore.issuer.url, sigstore.trust)


@pytest.mark.parametrize("part", ["tlogs", "ctlogs", "certificateAuthorities", "timestampAuthorities"])
def test_each_root_of_another_deployment_is_refused(sigstore, tree, signed, tmp_path, part):
    (tmp_path / "other").mkdir()
    other = Site(sigstore.url, tmp_path / "other", sigstore.version)
    assert "not verified" in refused(sigstore, tree, signed, other.trust)
    config = sigstore.config()
    changed = config["trustedRoot"][part] != other.config()["trustedRoot"][part]
    config["trustedRoot"][part] = other.config()["trustedRoot"][part]
    (tmp_path / "mixed.json").write_text(json.dumps(config))
    if changed:
        assert "not verified" in refused(sigstore, tree, signed, tmp_path / "mixed.json")
    assert changed == (part != "timestampAuthorities" or sigstore.version == 2)


def test_a_log_that_signs_with_another_key_gets_no_file_out_of_us(sigstore, tree, tmp_path, monkeypatch):
    monkeypatch.setenv(oidc.TOKEN, sigstore.issuer.token(WHO))
    sigstore.log.key = new_key()
    with pytest.raises(UserError, match=r"does not verify \(VerificationError: invalid log entry.*whether the trust"):
        keyless.countersign(tree, tmp_path / "out.json", sigstore.trust)
    sigstore.authority.ct_key = new_key()
    with pytest.raises(UserError, match="SCT verify failed"):
        keyless.countersign(tree, tmp_path / "out.json", sigstore.trust)
    assert not (tmp_path / "out.json").exists()


def test_a_trust_config_that_comes_with_the_release_is_not_taken(sigstore, tree, tmp_path, signed):
    inside = tree / "trust.json"
    inside.write_bytes(sigstore.trust.read_bytes())
    with pytest.raises(UserError, match="lies inside the release"):
        keyless.check(tree, signed, WHO, sigstore.issuer.url, inside)
    with pytest.raises(UserError, match="lies inside the release"):
        keyless.countersign(tree, tmp_path / "out.json", inside)


@pytest.mark.parametrize("text", [None, "", "{", "[]", '{"mediaType": "x"}', "\udc80"])
def test_a_trust_config_that_is_none_says_so(tree, tmp_path, text):
    (tmp_path / "bundle.json").write_text("{}")
    if text is not None:
        (tmp_path / "trust.json").write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(UserError, match="not a trust config of Sigstore") as told:
        keyless.check(tree, tmp_path / "bundle.json", WHO, "https://issuer.example", tmp_path / "trust.json")
    assert told.value.exit_code == 2


def test_the_token_is_sent_nowhere_in_the_clear(sigstore, tree, tmp_path, monkeypatch):
    monkeypatch.setenv(oidc.TOKEN, sigstore.issuer.token(WHO))
    config = sigstore.config()
    for url in ("http://sigstore.example.org", "http://127.0.0.1.example.org", "http://localhost@example.org"):
        config["signingConfig"]["caUrls"][0]["url"] = url
        sigstore.trust.write_text(json.dumps(config))
        with pytest.raises(UserError, match="in the clear; the certificate authority needs an https address"):
            keyless.countersign(tree, tmp_path / "out.json", sigstore.trust)
    config["signingConfig"]["caUrls"] = []
    sigstore.trust.write_text(json.dumps(config))
    with pytest.raises(UserError, match="names nobody who issues certificates today"):
        keyless.countersign(tree, tmp_path / "out.json", sigstore.trust)
    assert sigstore.requests == []
