"""S3 servers for tests: moto's, a real one if the environment names it, and a proxy that makes either fail.

SLIPWAY_TEST_S3_ENDPOINT, SLIPWAY_TEST_S3_KEY, SLIPWAY_TEST_S3_SECRET     # as infra/radosgw/start.sh prints them
"""

import http.client
import ipaddress
import os
import random
import socket
import struct
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from slipway.adapters.store import S3Store, probing

MIB = 1 << 20
PART = 5 * MIB
"""The least that S3 takes for a part that is not the last."""


@contextmanager
def server(kind: str) -> Iterator[str]:
    """URL of a server of this kind, `moto` or `real`; skips the test where there is no real one."""
    if kind == "real":
        if not (url := os.environ.get("SLIPWAY_TEST_S3_ENDPOINT")):
            pytest.skip("no real S3 server; infra/radosgw/start.sh starts one")
        yield url
        return
    from moto.server import ThreadedMotoServer

    moto = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    moto.start()
    try:
        host, port = moto.get_host_and_port()
        yield f"http://{host}:{port}"
    finally:
        moto.stop()


@contextmanager
def https(folder: Path, address: str = "127.0.0.1") -> Iterator[tuple[str, Path]]:
    """Moto's server behind TLS: its URL, and the certificate that it signed itself, which is good for `address`."""
    from moto.moto_server.werkzeug_app import MotoRequestHandler, create_backend_app
    from werkzeug.serving import make_server

    certificate, key = _certificate(folder, address)
    server = make_server(
        "127.0.0.1", 0, create_backend_app("s3"), threaded=True, request_handler=MotoRequestHandler,
        ssl_context=(str(certificate), str(key)),
    )  # fmt: skip
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"https://127.0.0.1:{server.server_port}", certificate
    finally:
        server.shutdown()
        server.server_close()


def _certificate(folder: Path, address: str) -> tuple[Path, Path]:
    """Files with a certificate for an IP address and its key, good from an hour ago for a day."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a test")])
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    encoding, bare = serialization.Encoding.PEM, serialization.NoEncryption()
    (folder / "server.pem").write_bytes(made.public_bytes(encoding))
    (folder / "server.key").write_bytes(key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, bare))
    return folder / "server.pem", folder / "server.key"


def reach(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """Make boto3 talk to the server at `url`, and forget what another one could do."""
    real = url == os.environ.get("SLIPWAY_TEST_S3_ENDPOINT") or os.environ.get("SLIPWAY_TEST_S3_KEY")
    monkeypatch.setenv("AWS_ENDPOINT_URL", url)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", os.environ["SLIPWAY_TEST_S3_KEY"] if real else "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", os.environ["SLIPWAY_TEST_S3_SECRET"] if real else "testing")
    monkeypatch.delenv("AWS_SESSION_TOKEN", raising=False)
    probing.forget()


def bucket(url: str) -> str:
    """A new bucket on the server at `url`."""
    import boto3

    name = f"t-{uuid.uuid4().hex[:20]}"
    boto3.client("s3", endpoint_url=url).create_bucket(Bucket=name)
    return name


def uploads(url: str, name: str) -> list[dict]:
    """Uploads in parts that were begun and not ended."""
    import boto3

    return boto3.client("s3", endpoint_url=url).list_multipart_uploads(Bucket=name).get("Uploads", [])


def store(name: str, **options) -> S3Store:
    """A store with small parts and little patience."""
    return S3Store(name, "team/a", **({"part": PART, "timeout": 5.0} | options))


class Proxy(ThreadingHTTPServer):
    """Stands before a server and lets a share of all requests fail, in ways that a seed decides."""

    daemon_threads = True
    before = ("500", "503", "reset", "timeout")
    """Ways of failing before the server sees the request,"""
    after = ("500 after", "reset after", "truncated", "slow")
    """and when it has done what it was asked for."""

    def __init__(self, upstream: str, share: float, seed: int, timeout: float) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.upstream, self.share, self.patience = urlsplit(upstream).netloc, share, timeout
        self.random, self.lock = random.Random(seed), threading.Lock()
        self.seen: Counter[str] = Counter()
        """Fault, or `ok` -> requests."""
        self.received = 0
        """Bytes of bodies that reached the server."""
        self.url = f"http://127.0.0.1:{self.server_address[1]}"

    def fate(self) -> str:
        with self.lock:
            fails = self.random.random() < self.share
            fate = self.random.choice(self.before + self.after) if fails else "ok"
            self.seen[fate] += 1
            return fate

    def handle_error(self, request, client_address) -> None:
        """A client that hung up is what is tested here."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Proxy

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _any(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        fate = self.server.fate()
        if fate in ("500", "503"):
            self._fail(int(fate))
        elif fate in ("reset", "timeout"):
            self._hang_up(wait=fate == "timeout")
        else:
            self._forward(body, fate)

    def __getattr__(self, name: str):
        if name.startswith("do_"):
            return self._any
        raise AttributeError(name)

    def _forward(self, body: bytes, fate: str) -> None:
        upstream = http.client.HTTPConnection(self.server.upstream, timeout=60)
        upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            if name.lower() not in ("expect", "connection"):
                upstream.putheader(name, value)
        upstream.endheaders(body)
        answer = upstream.getresponse()
        data = answer.read()
        upstream.close()
        with self.server.lock:
            self.server.received += len(body)
        if fate == "500 after":
            self._fail(500)
        elif fate == "reset after":
            self._hang_up(wait=False)
        else:
            self._pass_on(answer, data, fate)

    def _pass_on(self, answer: http.client.HTTPResponse, data: bytes, fate: str) -> None:
        self.send_response_only(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("connection", "transfer-encoding", "content-length"):
                self.send_header(name, value)
        length = answer.getheader("Content-Length") if self.command == "HEAD" else str(len(data))
        self.send_header("Content-Length", length or "0")
        self.end_headers()
        if fate == "slow":
            time.sleep(self.server.patience / 3)
        if fate == "truncated":
            self.wfile.write(data[: len(data) // 2])
            self._hang_up(wait=False)
        else:
            self.wfile.write(data)

    def _fail(self, status: int) -> None:
        code = {500: "InternalError", 503: "SlowDown"}[status]
        data = b"" if self.command == "HEAD" else f"<Error><Code>{code}</Code></Error>".encode()
        self.send_response_only(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _hang_up(self, *, wait: bool) -> None:
        if wait:
            time.sleep(self.server.patience * 1.2)
        self.close_connection = True
        self.wfile.flush()
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()


@contextmanager
def failing(upstream: str, share: float, seed: int, timeout: float) -> Iterator[Proxy]:
    """A proxy before `upstream`; `timeout` is the client's, in seconds."""
    proxy = Proxy(upstream, share, seed, timeout)
    thread = threading.Thread(target=proxy.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        proxy.shutdown()
        proxy.server_close()
