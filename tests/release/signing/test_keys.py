"""Keys, envelopes and the statement."""

import json
import stat
import threading

import pytest

from slipway.errors import Refusal, UserError
from slipway.release import statement
from slipway.release.signing import envelope, keys, signature
from tests import gate_records, release_project

TYPE = "application/vnd.slipway.test+json"


@pytest.fixture
def pair(tmp_path):
    return release_project.key_pair(tmp_path / "k" / "a.key")


def test_a_key_is_made_once_and_kept_to_its_owner(tmp_path, monkeypatch):
    monkeypatch.delenv("SLIPWAY_KEY", raising=False)
    path = keys.private_key(tmp_path)
    first = path.read_bytes()
    assert keys.private_key(tmp_path).read_bytes() == first
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert keys.public_key(tmp_path) == path.with_suffix(".pub").read_bytes() == keys.public_pem(path)
    assert sorted(p.name for p in path.parent.iterdir()) == ["release.key", "release.pub"]


def test_many_first_users_get_one_key(tmp_path, monkeypatch):
    monkeypatch.delenv("SLIPWAY_KEY", raising=False)
    found = []
    threads = [threading.Thread(target=lambda: found.append(keys.private_key(tmp_path).read_bytes())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1
    assert len(found) == 8


def test_a_key_that_others_can_read_is_refused(pair):
    pair.chmod(0o640)
    with pytest.raises(Refusal, match="chmod 600"):
        keys.public_pem(pair)


def test_the_environment_names_a_key(tmp_path, pair, monkeypatch):
    monkeypatch.setenv("SLIPWAY_KEY", str(pair))
    assert keys.private_key(tmp_path) == pair
    monkeypatch.setenv("SLIPWAY_KEY", "nothing")
    with pytest.raises(UserError, match="SLIPWAY_KEY names nothing"):
        keys.private_key(tmp_path)


def test_reading_the_public_key_makes_no_key(tmp_path, monkeypatch):
    monkeypatch.setenv("SLIPWAY_KEY", "")
    with pytest.raises(UserError, match="no key to verify with"):
        keys.public_key(tmp_path)
    assert not (tmp_path / ".slipway").exists()
    with pytest.raises(Refusal, match="set SLIPWAY_KEY"):
        keys.private_key(tmp_path, shared=True)
    made = keys.private_key(tmp_path)
    assert keys.public_key(tmp_path) == keys.public_pem(made)


def test_what_is_no_key_is_said(tmp_path, pair):
    (tmp_path / "x").write_text("hello")
    (tmp_path / "x").chmod(0o600)
    with pytest.raises(UserError, match="not a private key in PEM"):
        keys.public_pem(tmp_path / "x")
    for path in (tmp_path / "x", pair):
        with pytest.raises(UserError, match="not a public key"):
            keys.read_public(path)
    with pytest.raises(UserError, match="no such public key"):
        keys.read_public(tmp_path / "y")


def test_an_envelope_opens_with_its_key_only(tmp_path, pair):
    sealed = envelope.seal({"a": 1}, TYPE, keys.file_signer(pair))
    public = keys.public_pem(pair)
    assert envelope.unseal(sealed, TYPE, public, "it") == {"a": 1}
    other = keys.public_pem(release_project.key_pair(tmp_path / "b.key"))
    with pytest.raises(Refusal, match="it: the signature does not fit"):
        envelope.unseal(sealed, TYPE, other, "it")
    with pytest.raises(Refusal, match="signed as"):
        envelope.unseal(sealed, "application/other", public, "it")


def test_every_flipped_bit_of_an_envelope_is_refused_or_changes_nothing(pair):
    sealed = envelope.seal({"a": 1}, TYPE, keys.file_signer(pair))
    public = keys.public_pem(pair)
    for place in range(len(sealed)):
        data = bytearray(sealed)
        data[place] ^= 1
        try:
            assert envelope.unseal(bytes(data), TYPE, public, "it") == {"a": 1}
        except Refusal:
            continue


@pytest.mark.parametrize(
    "data", [b"", b"{", b"[]", b"null", b"{}", b'{"signatures": [1]}', b"\xff", b'{"signatures": []}']
)
def test_rubbish_is_refused(pair, data):
    for read in (
        lambda: envelope.unseal(data, TYPE, keys.public_pem(pair), "it"),
        lambda: signature.read(data, keys.public_pem(pair)),
        lambda: statement.read(data, keys.public_pem(pair)),
    ):
        with pytest.raises(Refusal):
            read()


def test_a_signature_that_leaves_files_out_is_refused(tmp_path, pair):
    from model_signing import hashing, signing

    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "evil.py").write_text("x")
    (tmp_path / "m" / "a").write_text("x")
    config = hashing.Config().set_ignored_paths(paths=["evil.py"], ignore_git_paths=False)
    signer = signing.Config().use_elliptic_key_signer(private_key=pair).set_hashing_config(config)
    signer.sign(tmp_path / "m", tmp_path / "model.sig")
    with pytest.raises(Refusal, match="nothing ignored"):
        signature.read((tmp_path / "model.sig").read_bytes(), keys.public_pem(pair))


def test_the_statement_says_what_the_release_was_made_of(site):
    identity = statement.Identity(
        name="tiny", version="v3", sequence=3, predecessor="aa" * 32, manifest_sha256="bb" * 32
    )
    data = statement.write(
        site.root, identity, site.signer, created="2026-01-01T00:00:00+00:00",
        gate=gate_records.verdict(identity.manifest_sha256), approvals={"summary": "nobody approved"}, run_id="run",
    )  # fmt: skip
    found, content = statement.read(data, site.public)
    assert found == identity
    assert content["predicateType"] == "https://slsa.dev/provenance/v1"
    build, run = content["predicate"]["buildDefinition"], content["predicate"]["runDetails"]
    assert {"params.yaml", "inputs.lock"} <= {entry["name"] for entry in build["resolvedDependencies"]}
    assert {"reports/scan.json", "reports/evaluate.json"} <= {entry["name"] for entry in run["byproducts"]}
    assert build["internalParameters"]["gate"]["verdict"] == "GO"
    assert build["internalParameters"]["gate"]["lines"][2]["waived_by"].startswith("Ana, until 2026-12-31")
    assert build["internalParameters"]["pages"] == ["GATE.html"]
    assert run["metadata"] == {"finishedOn": "2026-01-01T00:00:00+00:00", "invocationId": "run"}
    assert str(site.root) not in json.dumps(content)
    with pytest.raises(Refusal, match="no release statement"):
        statement.read(envelope.seal({"subject": []}, signature.IN_TOTO, site.signer), site.public)


def test_the_mode_of_a_folder_that_is_not_ours_stays(tmp_path):
    tmp_path.chmod(0o755)
    keys.generate(tmp_path / "next.key")
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755
    keys.generate(tmp_path / "new" / "next.key")
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700
    with pytest.raises(UserError, match=r"next\.pub: the public half gets this ending"):
        keys.generate(tmp_path / "next.pub")
