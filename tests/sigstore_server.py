"""A private Sigstore on loopback: certificate authority, transparency log, time authority and two issuers of tokens.

    with running(folder) as site:
        token = site.issuer.token("releases@example.org")
        model_signing.signing.Config().use_sigstore_signer(identity_token=token, trust_config=site.trust)

It is what the clients of Sigstore talk to, small: it checks tokens, requests and signatures as Fulcio and Rekor do, and
keeps everything in memory. `site.trust` is the ClientTrustConfig that names its addresses and its keys.
"""

import json
import re
import ssl
import threading
from base64 import b64decode, b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tests.sigstore_authorities import CertificateAuthority, Denied, Issuer, TimeAuthority, certified, key_id, spki
from tests.sigstore_log import Log

WHO = "releases@example.org"
"""Who signs, where it does not matter."""
BEGAN = datetime.now(UTC) - timedelta(days=1)
"""Since when its keys count."""


class Site:
    """One deployment. Its parts may be altered between two requests, as a test needs it."""

    def __init__(self, url: str, folder: Path, version: int) -> None:
        self.url, self.version = url, version
        self.issuer, self.other_issuer = Issuer(f"{url}/issuer"), Issuer(f"{url}/other")
        self.authority = CertificateAuthority([self.issuer, self.other_issuer])
        self.log, self.times = Log(), TimeAuthority()
        self.requests: list[str] = []
        self.trust = folder / "trust.json"
        self.trust.write_text(json.dumps(self.config(), indent=1))

    def config(self) -> dict[str, Any]:
        """Whom its clients trust, and whom they ask."""
        valid = {"start": BEGAN.isoformat()}

        def service(path: str, version: int) -> dict[str, Any]:
            return {"url": self.url + path, "majorApiVersion": version, "validFor": valid, "operator": "example.org"}

        def instance(key: Any) -> dict[str, Any]:
            public = {"rawBytes": _b64(spki(key)), "keyDetails": "PKIX_ECDSA_P256_SHA_256", "validFor": valid}
            known = {"baseUrl": self.url, "hashAlgorithm": "SHA2_256", "publicKey": public}
            return known | {"logId": {"keyId": _b64(key_id(key))}}

        def chain(*certificates: x509.Certificate) -> dict[str, Any]:
            held = [{"rawBytes": _b64(certificate.public_bytes(Encoding.DER))} for certificate in certificates]
            subject = {"organization": "example.org", "commonName": "authority"}
            return {"subject": subject, "uri": self.url, "certChain": {"certificates": held}, "validFor": valid}

        second = self.version == 2
        trusted = {
            "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
            "tlogs": [instance(self.log.key)], "ctlogs": [instance(self.authority.ct_key)],
            "certificateAuthorities": [chain(self.authority.root)],
            "timestampAuthorities": [chain(self.times.leaf, self.times.root)] if second else [],
        }  # fmt: skip
        signing = {
            "mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json",
            "caUrls": [service("", 1)], "oidcUrls": [service("/issuer", 1)],
            "rekorTlogUrls": [service("", self.version)], "rekorTlogConfig": {"selector": "ANY"},
            "tsaUrls": [service("/api/v1/timestamp", 1)] if second else [], "tsaConfig": {"selector": "ANY"},
        }  # fmt: skip
        kind = "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json"
        return {"mediaType": kind, "trustedRoot": trusted, "signingConfig": signing}

    def post(self, path: str, token: str, body: bytes) -> tuple[int, str, bytes]:
        """Status, type and body of the answer to a request."""
        if path == "/api/v1/timestamp":
            return 201, "application/timestamp-reply", self.times.answer(body)
        asked = json.loads(body)
        if path == "/api/v2/signingCert":
            chain = self.authority.issue(token, b64decode(asked["certificateSigningRequest"]))
            held = [certificate.public_bytes(Encoding.PEM).decode() for certificate in chain]
            return _json(200, {"signedCertificateEmbeddedSct": {"chain": {"certificates": held}}})
        if path == f"/api/v{self.version}/log/entries":
            return _json(201, self.log.enter_v1(asked) if self.version == 1 else self.log.enter_v2(asked))
        return _json(404, {"code": 404, "message": "no such address"})


def _b64(data: bytes) -> str:
    return b64encode(data).decode()


def _json(status: int, value: Any) -> tuple[int, str, bytes]:
    return status, "application/json", json.dumps(value).encode()


class _Handler(BaseHTTPRequestHandler):
    """Takes requests for the site of its server."""

    server: "_Server"

    def do_GET(self) -> None:
        self.server.site.requests.append(self.path)
        found = re.fullmatch(r"(/\w+)/\.well-known/openid-configuration", self.path)
        url = self.server.site.url + (found[1] if found else "")
        known = {"issuer": url, "authorization_endpoint": f"{url}/auth", "token_endpoint": f"{url}/token"}
        self._answer(*_json(200 if found else 404, known if found else {}))

    def do_POST(self) -> None:
        self.server.site.requests.append(self.path)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        try:
            answer = self.server.site.post(self.path, token, body)
        except Denied as error:
            status = 401 if self.path.endswith("signingCert") else 400
            answer = _json(status, {"code": status, "message": str(error)})
        self._answer(*answer)

    def _answer(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing; a test that fails says enough."""


class _Server(ThreadingHTTPServer):
    site: Site
    daemon_threads = True


@contextmanager
def running(folder: Path, version: int = 1, *, https: bool = False) -> Iterator[Site]:
    """A deployment, with version 1 or 2 of the log's protocol, until the context ends; its trust goes into `folder`.

    With `https`, `folder` gets `https-root.pem` too, which its clients must know.
    """
    with _Server(("127.0.0.1", 0), _Handler) as server:
        if https:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certified(folder)[1])
            server.socket = context.wrap_socket(server.socket, server_side=True)
        address = f"http{'s' if https else ''}://127.0.0.1:{server.server_port}"
        server.site = Site(address, folder, version)
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield server.site
        finally:
            server.shutdown()
            thread.join()
