"""Those who vouch in a private Sigstore for tests: for identities, keys (as Fulcio does) and times (RFC 3161)."""

import hashlib
import secrets
import struct
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import jwt
from asn1crypto import cms, tsp
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat import asn1
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

ECDSA = ec.ECDSA(hashes.SHA256())
ISSUER, ISSUER_V2 = (x509.ObjectIdentifier(f"1.3.6.1.4.1.57264.1.{number}") for number in (1, 8))
SCTS = x509.ObjectIdentifier("1.3.6.1.4.1.11129.2.4.2")


class Denied(Exception):
    """A request that an authority turns down; the message goes to who asked."""


def new_key() -> ec.EllipticCurvePrivateKey:
    """A key on P-256."""
    return ec.generate_private_key(ec.SECP256R1())


def spki(key: ec.EllipticCurvePrivateKey) -> bytes:
    """DER of its public half."""
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def key_id(key: ec.EllipticCurvePrivateKey) -> bytes:
    """By what logs name a key (RFC 6962, section 3.2)."""
    return hashlib.sha256(spki(key)).digest()


class Issuer:
    """An OpenID Connect issuer: says who somebody is."""

    def __init__(self, url: str) -> None:
        self.url, self.key = url, new_key()

    def token(self, who: str, *, audience: str = "sigstore", begin: float | None = None, seconds: int = 600) -> str:
        """An identity token for `who`, a mailbox or the address of a workflow."""
        start = int(time.time() if begin is None else begin)
        claims = {"iss": self.url, "sub": who, "aud": audience, "iat": start, "nbf": start, "exp": start + seconds}
        mailbox = {"email": who, "email_verified": True} if "@" in who else {}
        return jwt.encode(claims | mailbox, self.key, algorithm="ES256")


def _authority(name: str, key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    """A root certificate of `key`."""
    builder = _builder((name, name), key.public_key(), key, datetime.now(UTC) - timedelta(days=1), timedelta(days=10))
    usage = dict.fromkeys(("digital_signature", "content_commitment", "key_encipherment", "data_encipherment"), False)
    rest = dict.fromkeys(("key_agreement", "encipher_only", "decipher_only"), False)
    builder = builder.add_extension(x509.KeyUsage(key_cert_sign=True, crl_sign=True, **usage, **rest), critical=True)
    return builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True).sign(
        key, hashes.SHA256()
    )


def _builder(
    names: tuple[str, str], public: Any, signing: ec.EllipticCurvePrivateKey, begin: datetime, lasts: timedelta
) -> x509.CertificateBuilder:
    """What every certificate says, e.g. the names of whom it is for and of whom it is by."""
    subject, issuer = (x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)] if text else []) for text in names)
    builder = x509.CertificateBuilder(issuer_name=issuer, subject_name=subject, public_key=public)
    builder = builder.serial_number(x509.random_serial_number()).not_valid_before(begin).not_valid_after(begin + lasts)
    around = x509.AuthorityKeyIdentifier.from_issuer_public_key(signing.public_key())
    return builder.add_extension(around, critical=False).add_extension(
        x509.SubjectKeyIdentifier.from_public_key(public), critical=False
    )


def _leaf(builder: x509.CertificateBuilder, use: x509.ObjectIdentifier) -> x509.CertificateBuilder:
    """That it signs, for one use."""
    others = ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "key_cert_sign")
    rest = dict.fromkeys((*others, "crl_sign", "encipher_only", "decipher_only"), False)
    builder = builder.add_extension(x509.KeyUsage(digital_signature=True, **rest), critical=True)
    return builder.add_extension(x509.ExtendedKeyUsage([use]), critical=use == ExtendedKeyUsageOID.TIME_STAMPING)


def certified(folder: Path) -> tuple[Path, Path]:
    """A root for https, and a certificate with its key for 127.0.0.1 (PEM)."""
    root_key, key = new_key(), new_key()
    root, own = folder / "https-root.pem", folder / "https.pem"
    root.write_bytes(_authority("https", root_key).public_bytes(Encoding.PEM))
    begin = datetime.now(UTC) - timedelta(hours=1)
    builder = _builder(("127.0.0.1", "https"), key.public_key(), root_key, begin, timedelta(days=9))
    name = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    builder = _leaf(builder, ExtendedKeyUsageOID.SERVER_AUTH).add_extension(name, critical=False)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    own.write_bytes(private + builder.sign(root_key, hashes.SHA256()).public_bytes(Encoding.PEM))
    return root, own


class CertificateAuthority:
    """As Fulcio: a certificate of ten minutes for who shows a token and holds a key; each goes into a log first."""

    def __init__(self, issuers: Sequence[Issuer]) -> None:
        self.issuers = {issuer.url: issuer for issuer in issuers}
        self.key, self.ct_key, self.lasts = new_key(), new_key(), timedelta(minutes=10)
        self.root = _authority("authority", self.key)

    def who(self, token: str) -> tuple[str, str]:
        """Identity and issuer of a token.

        Raises:
            Denied: if it is not one of a known issuer, made for Sigstore, in its time.
        """
        try:
            url = jwt.decode(token, options={"verify_signature": False}).get("iss")
            key = self.issuers[url].key.public_key()
            required = ["exp", "iat", "sub", "aud"]
            claims = jwt.decode(
                token, key, algorithms=["ES256"], audience="sigstore", issuer=url, options={"require": required}
            )
        except (jwt.PyJWTError, KeyError) as error:
            raise Denied(f"There was an error processing the identity token: {type(error).__name__}") from None
        if "email" in claims and claims.get("email_verified") is not True:
            raise Denied("the mailbox was not verified")
        return claims.get("email", claims["sub"]), url

    def issue(self, token: str, request: bytes) -> list[x509.Certificate]:
        """Certificate for the key that signed `request` (PEM), and its issuer."""
        identity, issuer = self.who(token)
        wanted = x509.load_pem_x509_csr(request)
        if not wanted.is_signature_valid:
            raise Denied("the request was not signed with its key")
        name = x509.RFC822Name(identity) if "@" in identity else x509.UniformResourceIdentifier(identity)
        begin = datetime.now(UTC).replace(microsecond=0)
        builder = _builder(("", "authority"), wanted.public_key(), self.key, begin, self.lasts)
        builder = _leaf(builder, ExtendedKeyUsageOID.CODE_SIGNING)
        builder = builder.add_extension(x509.SubjectAlternativeName([name]), critical=True)
        builder = builder.add_extension(x509.UnrecognizedExtension(ISSUER, issuer.encode()), critical=False)
        builder = builder.add_extension(x509.UnrecognizedExtension(ISSUER_V2, asn1.encode_der(issuer)), critical=False)
        stamp = self._logged(builder.sign(self.key, hashes.SHA256()).tbs_certificate_bytes)
        builder = builder.add_extension(x509.UnrecognizedExtension(SCTS, stamp), critical=False)
        return [builder.sign(self.key, hashes.SHA256()), self.root]

    def _logged(self, certificate: bytes) -> bytes:
        """The list with one signed certificate timestamp (RFC 6962, section 3.2) for what will be signed."""
        now = int(time.time() * 1000)
        length = struct.pack("!I", len(certificate))[1:]
        entry = struct.pack("!BBQH", 0, 0, now, 1) + key_id(self.key) + length + certificate + b"\0\0"
        signature = self.ct_key.sign(entry, ECDSA)
        stamp = struct.pack("!B32sQHBBH", 0, key_id(self.ct_key), now, 0, 4, 3, len(signature)) + signature
        return asn1.encode_der(struct.pack("!HH", len(stamp) + 2, len(stamp)) + stamp)


class TimeAuthority:
    """Says when something existed (RFC 3161)."""

    def __init__(self) -> None:
        root_key, self.key = new_key(), new_key()
        self.root = _authority("times", root_key)
        begin = datetime.now(UTC) - timedelta(hours=1)
        builder = _builder(("clock", "times"), self.key.public_key(), root_key, begin, timedelta(days=9))
        self.leaf = _leaf(builder, ExtendedKeyUsageOID.TIME_STAMPING).sign(root_key, hashes.SHA256())
        self.clock = time.time

    def answer(self, query: bytes) -> bytes:
        """The answer to a timestamp query, both DER."""
        asked = tsp.TimeStampReq.load(query)
        told = {
            "version": "v1", "policy": "1.3.6.1.4.1.57264.2", "message_imprint": asked["message_imprint"],
            "serial_number": secrets.randbits(64), "nonce": asked["nonce"],
            "gen_time": datetime.fromtimestamp(int(self.clock()), UTC),
        }  # fmt: skip
        content = tsp.TSTInfo(told).dump()
        der = self.leaf.public_bytes(Encoding.DER)
        held = asn1_x509.Certificate.load(der)
        certificate = {"certs": [{"cert_hash": hashlib.sha256(der).digest()}]}
        attributes = cms.CMSAttributes([
            {"type": "content_type", "values": ["tst_info"]},
            {"type": "message_digest", "values": [hashlib.sha256(content).digest()]},
            {"type": "signing_certificate_v2", "values": [certificate]},
        ])  # fmt: skip
        sid = cms.IssuerAndSerialNumber({"issuer": held.issuer, "serial_number": held.serial_number})
        signer = {
            "version": "v1", "sid": cms.SignerIdentifier("issuer_and_serial_number", sid),
            "digest_algorithm": {"algorithm": "sha256"}, "signed_attrs": attributes,
            "signature_algorithm": {"algorithm": "sha256_ecdsa"}, "signature": self.key.sign(attributes.dump(), ECDSA),
        }  # fmt: skip
        signed = {
            "version": "v3", "digest_algorithms": [{"algorithm": "sha256"}], "signer_infos": [signer],
            "encap_content_info": {"content_type": "tst_info", "content": cms.ParsableOctetString(content)},
            "certificates": [held],
        }  # fmt: skip
        token = cms.ContentInfo({"content_type": "signed_data", "content": cms.SignedData(signed)})
        return bytes(tsp.TimeStampResp({"status": {"status": "granted"}, "time_stamp_token": token}).dump())
