"""Releases signed with a certificate: whom an authority vouches for, here and with model_signing."""

import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from slipway import cli
from slipway.adapters.store import LocalStore
from slipway.errors import Refusal, UserError
from slipway.release.reading import verify
from slipway.release.signing import certificates

NOW = datetime(2026, 1, 1, tzinfo=UTC)
"""When releases made here say that they were signed."""
WHO = "releases@example.org"


def issue(
    key, name: str, issuer=None, *, usage=None, identity=None, begin=NOW - timedelta(days=10), days=100, authority=None
) -> x509.Certificate:
    """A certificate of `key`, by `issuer` (certificate and key) or by itself."""
    authority = usage is None if authority is None else authority
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    by, signing = issuer or (None, key)
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(by.subject if by else subject)
    builder = builder.public_key(key.public_key()).serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(begin).not_valid_after(begin + timedelta(days=days))
    builder = builder.add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
    signs = dict.fromkeys(
        (
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "encipher_only",
            "decipher_only",
        ),
        False,
    )
    if authority:
        builder = builder.add_extension(
            x509.KeyUsage(digital_signature=False, key_cert_sign=True, crl_sign=True, **signs), critical=True
        )
    else:
        builder = builder.add_extension(
            x509.KeyUsage(digital_signature=True, key_cert_sign=False, crl_sign=False, **signs), critical=True
        )
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    builder = builder.add_extension(
        x509.AuthorityKeyIdentifier.from_issuer_public_key(signing.public_key()), critical=False
    )
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    if identity:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.RFC822Name(identity)]), critical=False)
    return builder.sign(signing, hashes.SHA256())


class Authority:
    """A root, an authority below it, and a certificate of the site's key."""

    def __init__(self, site, folder: Path, **leaf) -> None:
        self.root_key, self.middle_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
        self.root = issue(self.root_key, "root")
        self.middle = issue(self.middle_key, "middle", (self.root, self.root_key))
        key = load_pem_private_key(site.key.read_bytes(), None)
        options = {"usage": ExtendedKeyUsageOID.CODE_SIGNING, "identity": WHO} | leaf
        self.leaf = issue(key, "signer", (self.middle, self.middle_key), **options)
        self.roots, self.chain = folder / "roots.pem", folder / "chain.pem"
        self.roots.write_bytes(self.root.public_bytes(Encoding.PEM))
        self.chain.write_bytes(b"".join(part.public_bytes(Encoding.PEM) for part in (self.leaf, self.middle)))


@pytest.fixture
def authority(site, tmp_path, monkeypatch):
    made = Authority(site, tmp_path)
    monkeypatch.setenv("SLIPWAY_CERTIFICATE", str(made.chain))
    return made


def place(site) -> Path:
    return site.store.root / "releases" / "tiny" / "v1"


def vouched(site, roots, identity=None):
    return certificates.vouched((place(site) / "model.sig").read_bytes(), roots, "model.sig", identity)


def test_a_release_with_a_certificate_verifies_without_a_public_key(site, authority, tmp_path, capsys, monkeypatch):
    site.release()
    copy = shutil.copytree(place(site), tmp_path / "copy")
    monkeypatch.chdir(tmp_path)
    command = ["verify", str(copy), "--certificate-chain", str(authority.roots)]
    assert cli.main([*command, "--identity", WHO, "--json", "out.json"]) == 0
    assert f"certificate  {WHO}" in capsys.readouterr().out
    assert f'"certificate": "{WHO}"' in Path("out.json").read_text()
    assert cli.main([*command, "--identity", "else@example.org"]) == 1
    assert f"the certificate is of {WHO}, not of else@example.org" in capsys.readouterr().err
    (copy / "config.json").write_bytes(b"{ }\n")
    assert cli.main(command) == 1
    assert "config.json: sha256 is" in capsys.readouterr().err


def test_the_key_alone_verifies_it_too(site, authority):
    site.release()
    assert verify.verify_channel(site.store, "tiny", "stable", site.public).release.version == "v1"
    assert vouched(site, authority.roots).public == site.public


def test_model_signing_accepts_the_same_files(site, authority, tmp_path):
    site.release()
    copy = shutil.copytree(place(site), tmp_path / "copy")

    def outside() -> int:
        command = ["verify", "certificate", str(copy), "--signature", str(copy / "model.sig")]
        command += ["--certificate_chain", str(authority.roots)]
        return subprocess.run(
            [sys.executable, "-m", "model_signing", *command], capture_output=True, text=True, check=False
        ).returncode

    assert outside() == 0
    (copy / "config.json").write_bytes(b"{ }\n")
    assert outside() != 0


def test_another_authority_is_refused(site, authority, tmp_path):
    site.release()
    stranger = ec.generate_private_key(ec.SECP256R1())
    (tmp_path / "other.pem").write_bytes(issue(stranger, "root").public_bytes(Encoding.PEM))
    with pytest.raises(Refusal, match="not vouched for by"):
        vouched(site, tmp_path / "other.pem")
    for name, text in {"none.pem": "hello", "gone.pem": None}.items():
        if text:
            (tmp_path / name).write_text(text)
        with pytest.raises(UserError, match="certificates"):
            vouched(site, tmp_path / name)


@pytest.mark.parametrize("usage", [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
def test_a_certificate_for_something_else_is_not_signed_with_and_not_believed(site, tmp_path, monkeypatch, usage):
    made = Authority(site, tmp_path, usage=usage)
    monkeypatch.setenv("SLIPWAY_CERTIFICATE", str(made.chain))
    with pytest.raises(Refusal, match="not for signing code"):
        site.release()
    monkeypatch.setattr(certificates, "configured", lambda _: tuple(
        part.public_bytes(Encoding.DER) for part in (made.leaf, made.middle)
    ))  # fmt: skip
    site.seal()
    data = next(site.work.rglob("model.sig")).read_bytes()
    with pytest.raises(Refusal, match="not vouched for"):
        certificates.vouched(data, made.roots, "model.sig")


def test_an_end_certificate_is_no_authority(site, tmp_path, monkeypatch):
    """Who was given a certificate for signing cannot make others of it."""
    made = Authority(site, tmp_path)
    holder = ec.generate_private_key(ec.SECP256R1())
    end = issue(holder, "end", (made.middle, made.middle_key), usage=ExtendedKeyUsageOID.CODE_SIGNING)
    key = load_pem_private_key(site.key.read_bytes(), None)
    forged = issue(key, "forged", (end, holder), usage=ExtendedKeyUsageOID.CODE_SIGNING, identity=WHO)
    made.chain.write_bytes(b"".join(part.public_bytes(Encoding.PEM) for part in (forged, end, made.middle)))
    monkeypatch.setenv("SLIPWAY_CERTIFICATE", str(made.chain))
    site.release()
    with pytest.raises(Refusal, match="not vouched for"):
        vouched(site, made.roots)


def test_a_release_signed_out_of_the_certificates_time_is_refused(site, tmp_path, monkeypatch, capsys):
    made = Authority(site, tmp_path, begin=NOW - timedelta(days=9), days=5)
    monkeypatch.setenv("SLIPWAY_CERTIFICATE", str(made.chain))
    site.release()
    assert cli.main(["verify", str(place(site)), "--certificate-chain", str(made.roots)]) == 1
    assert "signed at 2026-01-01" in capsys.readouterr().err


def test_a_chain_that_is_not_of_the_key_is_not_signed_with(site, authority, tmp_path, monkeypatch):
    authority.chain.write_bytes(authority.middle.public_bytes(Encoding.PEM))
    with pytest.raises(UserError, match="its first certificate is not of the key that signs"):
        site.seal()
    parts = (authority.leaf, authority.root)
    authority.chain.write_bytes(b"".join(part.public_bytes(Encoding.PEM) for part in parts))
    with pytest.raises(UserError, match="not a chain"):
        site.seal()
    monkeypatch.setenv("SLIPWAY_CERTIFICATE", str(tmp_path / "gone.pem"))
    with pytest.raises(UserError, match="no such file of certificates"):
        site.seal()


def test_a_bare_key_has_no_certificate(site, authority, monkeypatch):
    monkeypatch.delenv("SLIPWAY_CERTIFICATE")
    site.release()
    with pytest.raises(Refusal, match="signed with a bare key"):
        vouched(site, authority.roots)


def test_a_flipped_bit_in_a_certificate_is_refused_with_the_key_too(site, authority):
    """Each certificate is covered by the signature of the next; the last one only by a verifier's own authorities."""
    parts = (authority.leaf, authority.middle, authority.root)
    authority.chain.write_bytes(b"".join(part.public_bytes(Encoding.PEM) for part in parts))
    site.release()
    path = place(site) / "model.sig"
    data = path.read_bytes()
    begin, end, silent = data.index(b'"rawBytes"'), data.rindex(b'"rawBytes"'), []
    for at in range(begin, end, 13):
        flipped = bytearray(data)
        flipped[at] ^= 1
        path.write_bytes(bytes(flipped))
        try:
            verify.signed_files(LocalStore(place(site)), "", site.public)
        except Refusal:
            continue
        silent.append(at)
    assert all(chr(data[at]).isspace() for at in silent)
