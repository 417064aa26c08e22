"""Where a private key may come from: encrypted file, environment, token; and that it is found nowhere else."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from slipway.errors import Refusal, UserError
from slipway.release.reading import verify
from slipway.release.signing import envelope, keys
from tests import release_project

TYPE = "application/vnd.slipway.test+json"
PASSPHRASE = "correct horse battery staple"
PIN = "573920"
MODULES = ("/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so")


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch):
    for name in ("SLIPWAY_KEY", "SLIPWAY_KEY_PEM", "SLIPWAY_KEY_PASSWORD", "SLIPWAY_PKCS11_PIN"):
        monkeypatch.delenv(name, raising=False)


def signs(signer) -> bool:
    sealed = envelope.seal({"a": 1}, TYPE, signer)
    return envelope.unseal(sealed, TYPE, keys.public_of(signer), "it") == {"a": 1}


def test_a_key_is_made_encrypted_if_there_is_a_passphrase(tmp_path, monkeypatch):
    monkeypatch.setenv("SLIPWAY_KEY_PASSWORD", PASSPHRASE)
    assert signs(keys.signer(tmp_path))
    path = keys.private_key(tmp_path)
    assert b"ENCRYPTED PRIVATE KEY" in path.read_bytes()
    monkeypatch.delenv("SLIPWAY_KEY_PASSWORD")
    with pytest.raises(UserError, match="is encrypted; set SLIPWAY_KEY_PASSWORD"):
        keys.signer(tmp_path)
    assert keys.public_key(tmp_path) == path.with_suffix(".pub").read_bytes(), "verifying needs no passphrase"
    monkeypatch.setenv("SLIPWAY_KEY_PASSWORD", "wrong")
    with pytest.raises(UserError, match="SLIPWAY_KEY_PASSWORD does not open it") as told:
        keys.signer(tmp_path)
    assert "wrong" not in str(told.value)
    assert told.value.__cause__ is None


def test_a_passphrase_does_no_harm_to_a_key_without_one(tmp_path, monkeypatch):
    pair = release_project.key_pair(tmp_path / "a.key")
    monkeypatch.setenv("SLIPWAY_KEY_PASSWORD", PASSPHRASE)
    assert signs(keys.file_signer(pair))


def test_a_key_from_the_environment(tmp_path, monkeypatch):
    pair = release_project.key_pair(tmp_path / "a.key")
    monkeypatch.setenv("SLIPWAY_KEY_PEM", pair.read_text())
    assert signs(keys.signer(tmp_path / "project", shared=True))
    assert keys.public_key(tmp_path / "project") == keys.public_pem(pair)
    assert not (tmp_path / "project").exists(), "nothing was made"
    monkeypatch.setenv("SLIPWAY_KEY", str(pair))
    with pytest.raises(UserError, match="both set; unset one"):
        keys.signer(tmp_path)
    monkeypatch.delenv("SLIPWAY_KEY")
    monkeypatch.setenv("SLIPWAY_KEY_PEM", "-----BEGIN PRIVATE KEY-----\nbm90aGluZw==\n-----END PRIVATE KEY-----\n")
    with pytest.raises(UserError, match=r"SLIPWAY_KEY_PEM: not a private key in PEM \(ValueError\)") as told:
        keys.signer(tmp_path)
    assert "bm90aGluZw" not in str(told.value)


@pytest.mark.parametrize("make", [
    lambda: rsa.generate_private_key(65537, 2048), lambda: ec.generate_private_key(ec.SECP256K1()),
])  # fmt: skip
def test_a_key_of_another_kind_is_refused(tmp_path, make):
    path = tmp_path / "other.key"
    form, none = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    path.write_bytes(make().private_bytes(serialization.Encoding.PEM, form, none))
    path.chmod(0o600)
    with pytest.raises(UserError, match="not an elliptic-curve key of P-256, P-384 or P-521"):
        keys.file_signer(path)


@pytest.fixture(scope="module")
def token(tmp_path_factory):
    """A SoftHSM token with a P-256 and a P-384 key; the test is skipped where SoftHSM is not installed."""
    pkcs11 = pytest.importorskip("pkcs11")
    module = next((path for path in MODULES if Path(path).is_file()), None)
    if module is None or shutil.which("softhsm2-util") is None:
        pytest.skip("SoftHSM 2 is not installed (Debian: softhsm2)")
    home = tmp_path_factory.mktemp("softhsm")
    (home / "tokens").mkdir()
    (home / "conf").write_text(f"directories.tokendir = {home / 'tokens'}\nobjectstore.backend = file\n")
    os.environ["SOFTHSM2_CONF"] = str(home / "conf")  # the module reads it once in this process
    subprocess.run(
        ["softhsm2-util", "--init-token", "--free", "--label", "release", "--pin", PIN, "--so-pin", "1234567"],
        check=True, capture_output=True,
    )  # fmt: skip
    found = pkcs11.lib(module).get_token(token_label="release")
    with found.open(rw=True, user_pin=PIN) as session:
        for number, curve in enumerate(("secp256r1", "secp384r1"), start=1):
            encoded = pkcs11.util.ec.encode_named_curve_parameters(curve)
            parameters = session.create_domain_parameters(
                pkcs11.KeyType.EC, {pkcs11.Attribute.EC_PARAMS: encoded}, local=True
            )
            parameters.generate_keypair(store=True, label=curve, id=bytes([number]))
    return module


@pytest.fixture
def in_token(token, monkeypatch):
    monkeypatch.setenv("SLIPWAY_PKCS11_MODULE", token)
    monkeypatch.setenv("SLIPWAY_PKCS11_PIN", PIN)


@pytest.mark.parametrize("name", ["object=secp256r1", "object=secp384r1", "id=%01", "object=secp256r1;id=%01"])
def test_a_key_in_a_token_signs(in_token, monkeypatch, tmp_path, name):
    monkeypatch.setenv("SLIPWAY_KEY", f"pkcs11:token=release;{name}")
    assert signs(keys.signer(tmp_path, shared=True))
    assert keys.public_key(tmp_path) == keys.public_of(keys.signer(tmp_path))


def test_a_release_signed_by_a_token_verifies_here_and_with_model_signing(in_token, site, monkeypatch, tmp_path):
    import sys

    monkeypatch.setenv("SLIPWAY_KEY", "pkcs11:token=release;object=secp384r1")
    monkeypatch.setattr(type(site), "signer", property(lambda self: keys.signer(self.root)))
    monkeypatch.setattr(type(site), "public", property(lambda self: keys.public_key(self.root)))
    site.release()
    assert verify.verify_channel(site.store, "tiny", "stable", site.public).release.version == "v1"
    place = site.store.root / "releases" / "tiny" / "v1"
    (tmp_path / "key.pub").write_bytes(site.public)
    command = ["verify", "key", str(place), "--signature", str(place / "model.sig")]
    done = subprocess.run(
        [sys.executable, "-m", "model_signing", *command, "--public_key", str(tmp_path / "key.pub")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_rotating_from_a_file_to_a_token(in_token, site, monkeypatch):
    from slipway import cli

    monkeypatch.setenv("SLIPWAY_STORE", str(site.store.root))
    monkeypatch.chdir(site.root)
    site.release()
    old, uri = site.public, "pkcs11:token=release;object=secp256r1"
    assert cli.main(["keys", "rotate", "--new", uri]) == 0
    release_project.bundle(site.root, card="# Second\n")
    with pytest.raises(Refusal, match=r"was retired on .*sign with the key that followed it"):
        site.release()
    monkeypatch.setenv("SLIPWAY_KEY", uri)
    monkeypatch.setattr(type(site), "signer", property(lambda self: keys.signer(self.root)))
    monkeypatch.setattr(type(site), "public", property(lambda self: keys.public_key(self.root)))
    release_project.bundle(site.root, card="# Third\n")
    site.release()
    assert verify.verify_channel(site.store, "tiny", "stable", old).key_events == 1


@pytest.mark.parametrize(("uri", "pin", "told"), [
    ("pkcs11:token=release;object=nothing", PIN, "0 keys of the token fit"),
    ("pkcs11:token=other;object=secp256r1", PIN, "0 tokens fit"),
    ("pkcs11:token=release;object=secp256r1", "999999", "the token said PinIncorrect"),
    ("pkcs11:token=release;object=secp256r1", "", "needs SLIPWAY_PKCS11_MODULE .* and SLIPWAY_PKCS11_PIN"),
    ("pkcs11:token=release", PIN, "names no object"),
    ("pkcs11:token=release;object=a?pin-value=573920", PIN, "holds a PIN"),
    ("pkcs11:token=release;object=a;colour=red", PIN, "colour in a pkcs11 URI is not known"),
])  # fmt: skip
@pytest.mark.usefixtures("in_token")
def test_what_is_wrong_with_a_token_is_said_without_its_pin(monkeypatch, tmp_path, uri, pin, told):
    monkeypatch.setenv("SLIPWAY_KEY", uri)
    monkeypatch.setenv("SLIPWAY_PKCS11_PIN", pin)
    with pytest.raises(UserError, match=told) as fault:
        keys.signer(tmp_path)
    assert not pin or pin not in str(fault.value)
