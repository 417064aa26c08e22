"""An S3 server in a process of its own (moto), which writes down every request with the bytes of its body.

    with running(folder) as server:
        os.environ.update(server.environment)

Writes are taken one at a time: moto looks whether an object exists and stores it in two steps, S3 does it in one.
Parts may be as small as 256 bytes, so that small files travel in many. A part of an upload that was given up gets S3's
answer; moto itself fails with 500, and a client tries again for a minute.
"""

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
BUCKET = "models"
MOTO_BEGAN = b"2010-11-10T20:48:33.000Z"
"""When every upload was begun, as moto says; who frees what was left behind long ago must not be told so."""

NO_SUCH_UPLOAD = b"<Error><Code>NoSuchUpload</Code><Message>The specified upload does not exist.</Message></Error>"


@dataclass(frozen=True)
class Server:
    """A running server."""

    url: str
    log: Path

    @property
    def environment(self) -> dict[str, str]:
        """What lets boto3 find it."""
        return {
            "AWS_ENDPOINT_URL": self.url, "AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_DEFAULT_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true",
        }  # fmt: skip

    def requests(self, since: int = 0) -> list[dict[str, Any]]:
        """Requests served, oldest first, after the first `since`."""
        lines = self.log.read_text("utf-8").splitlines() if self.log.exists() else []
        return [json.loads(line) for line in lines[since:]]


class Counting:
    """WSGI middleware: one line per request, writes one after the other."""

    def __init__(self, app: Any, log: Path) -> None:
        self.app, self.stream, self.lock = app, log.open("a", encoding="utf-8", buffering=1), threading.Lock()

    def __call__(self, environ: dict[str, Any], start: Any) -> Any:
        if environ["REQUEST_METHOD"] in {"GET", "HEAD"}:
            return self._served(environ, start)
        with self.lock:
            return self._served(environ, start)

    def _served(self, environ: dict[str, Any], start: Any) -> list[bytes]:
        kept: list[Any] = []
        try:
            body = b"".join(self.app(environ, lambda status, headers, _=None: kept.append((status, headers))))
        except KeyError:
            if "uploadId=" not in environ["QUERY_STRING"]:
                raise
            body = NO_SUCH_UPLOAD
            kept.append(("404 Not Found", [("Content-Type", "text/xml"), ("Content-Length", str(len(body)))]))
        row = {
            "method": environ["REQUEST_METHOD"], "path": environ["PATH_INFO"], "query": environ["QUERY_STRING"],
            "bytes": int(environ.get("CONTENT_LENGTH") or 0), "status": int(kept[0][0].split()[0]),
        }  # fmt: skip
        self.stream.write(json.dumps(row) + "\n")
        if "uploads" in environ["QUERY_STRING"]:
            body = body.replace(MOTO_BEGAN, datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z").encode())
        start(*kept[0])
        return [body]


@contextmanager
def running(folder: Path) -> Iterator[Server]:
    """Start the server with an empty bucket; it ends with the block."""
    folder.mkdir(parents=True, exist_ok=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = folder / "requests.jsonl"
    environment = os.environ | {"S3_UPLOAD_PART_MIN_SIZE": "256", "PYTHONPATH": str(ROOT)}
    output = (folder / "server.log").open("ab")
    command = [sys.executable, "-m", "tests.counting_s3", str(port), str(log)]
    process = subprocess.Popen(command, env=environment, cwd=ROOT, stdout=output, stderr=output)
    try:
        server = Server(f"http://127.0.0.1:{port}", log)
        _wait(server, port, process)
        yield server
    finally:
        process.terminate()
        process.wait(timeout=20)
        output.close()


def _wait(server: Server, port: int, process: subprocess.Popen[bytes]) -> None:
    """Until the server answers and the bucket is there."""
    import boto3

    deadline = time.monotonic() + 60
    while True:
        if process.poll() is not None:
            raise RuntimeError(f"the S3 server ended with {process.returncode}; see {server.log.parent}/server.log")
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            break
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
    given = server.environment
    boto3.client(
        "s3", endpoint_url=server.url, region_name=given["AWS_DEFAULT_REGION"],
        aws_access_key_id="testing", aws_secret_access_key="testing",
    ).create_bucket(Bucket=BUCKET)  # fmt: skip


def _serve(port: int, log: Path) -> None:
    from moto.moto_server.werkzeug_app import MotoRequestHandler, create_backend_app
    from werkzeug.serving import run_simple

    # Moto's own dispatcher looks through all of its services at each request, which takes half of the time.
    app = Counting(create_backend_app("s3"), log)
    run_simple("127.0.0.1", port, app, threaded=True, request_handler=MotoRequestHandler)


if __name__ == "__main__":
    _serve(int(sys.argv[1]), Path(sys.argv[2]))
