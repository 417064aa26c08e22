"""An S3 endpoint that costs as little as one can: what `benchmarks/publish.py` sends to, the same for every client.

Small bodies are kept; bodies from 1 MiB on are counted and thrown away, or kept as files below `--keep`, to be read
back. Conditional writes, parts, copies and listings are answered as S3 does; signatures are not looked at.

    python benchmarks/publish_sink.py [--keep DIRECTORY]     # prints its port; POST /_count answers bytes received
"""

import argparse
import hashlib
import os
import re
import shutil
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

SMALL = 1 << 20


class Held:
    """What an object or a part is: its size, a tag, its bytes or the files that hold them."""

    def __init__(self, size: int, tag: str, data: bytes | None = None, files: tuple[Path, ...] = ()) -> None:
        self.size, self.tag, self.data, self.files = size, tag, data, files


class Sink(ThreadingHTTPServer):
    """State of the endpoint."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, keep: Path | None) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.keep, self.lock = keep, threading.Lock()
        self.objects: dict[str, Held] = {}
        self.uploads: dict[str, dict[int, Held]] = {}
        self.received = self.number = 0

    def next(self) -> int:
        with self.lock:
            self.number += 1
            return self.number


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Sink

    def setup(self) -> None:
        super().setup()
        self.block = memoryview(bytearray(SMALL))

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response_only(status)
        for name, value in ({"Content_Length": str(len(body))} | headers).items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _error(self, status: int, code: str) -> None:
        self._answer(status, f"<Error><Code>{code}</Code><Message>{code}</Message></Error>".encode())

    def _asked(self) -> tuple[str, dict[str, str]]:
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
        return unquote(parts.path).lstrip("/"), query

    def _body(self) -> Held:
        left = size = int(self.headers.get("Content-Length", 0))
        number = self.server.next()
        if size < SMALL:
            data = self.rfile.read(size)
            held = Held(size, f'"{hashlib.md5(data, usedforsecurity=False).hexdigest()}"', data)
        else:
            file = self.server.keep and self.server.keep / str(number)
            stream = file.open("wb", buffering=0) if file else None
            while left and (count := self.rfile.readinto(self.block[: min(left, SMALL)])):
                left -= count
                if stream:
                    stream.write(self.block[:count])
            if stream:
                stream.close()
            held = Held(size, f'"{number:032x}"', files=(file,) if file else ())
        with self.server.lock:
            self.server.received += size
        return held

    def _put(self, key: str, held: Held) -> None:
        with self.server.lock:
            there = self.server.objects.get(key)
            if self.headers.get("If-None-Match") and there:
                refused = True
            else:
                refused = bool(wanted := self.headers.get("If-Match")) and (there is None or there.tag != wanted)
            if not refused:
                self.server.objects[key] = held
        if refused:
            self._error(412, "PreconditionFailed")
        elif self.command == "POST" or "x-amz-copy-source" in self.headers:
            self._answer(200, f"<R><ETag>{escape(held.tag)}</ETag></R>".encode())
        else:
            self._answer(200, ETag=held.tag)

    def do_PUT(self) -> None:
        """PutObject, UploadPart, CopyObject, CreateBucket."""
        key, query = self._asked()
        if source := self.headers.get("x-amz-copy-source"):
            self._body()
            if held := self.server.objects.get(unquote(source).lstrip("/")):
                self._put(key, held)
            else:
                self._error(404, "NoSuchKey")
            return
        held = self._body()
        if upload := query.get("uploadId"):
            self.server.uploads[upload][int(query["partNumber"])] = held
            self._answer(200, ETag=held.tag)
        elif "/" in key:
            self._put(key, held)
        else:
            self._answer(200)

    def do_POST(self) -> None:
        """CreateMultipartUpload, CompleteMultipartUpload; /_count: bytes received so far."""
        key, query = self._asked()
        body = self._body()
        if key == "_count":
            self._answer(200, str(self.server.received).encode())
        elif "uploads" in query:
            upload = str(self.server.next())
            self.server.uploads[upload] = {}
            self._answer(200, f"<R><UploadId>{upload}</UploadId></R>".encode())
        else:
            parts = self.server.uploads[query["uploadId"]]
            named = [parts[int(n)] for n in re.findall(rb"<PartNumber>(\d+)<", body.data or b"")]
            tags = b"".join(bytes.fromhex(part.tag.strip('"')) for part in named)
            tag = f'"{hashlib.md5(tags, usedforsecurity=False).hexdigest()}-{len(named)}"'
            files = tuple(file for part in named for file in part.files)
            self._put(key, Held(sum(part.size for part in named), tag, files=files))

    def do_DELETE(self) -> None:
        """DeleteObject, AbortMultipartUpload."""
        key, query = self._asked()
        self.server.uploads.pop(query.get("uploadId", ""), None)
        if "uploadId" not in query:
            self.server.objects.pop(key, None)
        self._answer(204)

    def do_HEAD(self) -> None:
        """HeadObject."""
        held = self.server.objects.get(self._asked()[0])
        if held:
            self._answer(200, ETag=held.tag, Content_Length=str(held.size))
        else:
            self._answer(404)

    def do_GET(self) -> None:
        """GetObject from its beginning, ListObjectsV2, ListMultipartUploads, ListParts."""
        key, query = self._asked()
        if "list-type" in query:
            prefix = f"{key}/{query.get('prefix', '')}"
            found = "".join(
                f"<Contents><Key>{escape(name.split('/', 1)[1])}</Key><Size>{held.size}</Size>"
                f"<ETag>{escape(held.tag)}</ETag></Contents>"
                for name, held in sorted(self.server.objects.items())
                if name.startswith(prefix)
            )
            self._answer(200, f"<R>{found}<IsTruncated>false</IsTruncated></R>".encode())
        elif "uploads" in query or "uploadId" in query:
            self._answer(200, b"<R><IsTruncated>false</IsTruncated></R>")
        elif held := self.server.objects.get(key):
            if held.data is not None:
                self._answer(200, held.data, ETag=held.tag)
                return
            self._answer(200, ETag=held.tag, Content_Length=str(held.size))
            for file in held.files:
                with file.open("rb") as stream:
                    self.connection.sendfile(stream)
        else:
            self._error(404, "NoSuchKey")


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser(description="An S3 endpoint that throws large bodies away.")
    parser.add_argument("--keep", type=Path)
    keep = parser.parse_args().keep
    if keep:
        shutil.rmtree(keep, ignore_errors=True)
        keep.mkdir(parents=True)
    sink = Sink(keep)
    print(sink.server_address[1], flush=True)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    sink.serve_forever()


def _end_with_parent() -> None:
    os.read(0, 1)
    os._exit(0)


if __name__ == "__main__":
    main()
