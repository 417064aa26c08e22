"""A hub on localhost: the endpoints that huggingface_hub uses to resolve, list and download, over real HTTP.

Files of LFS kinds are redirected to an address on another host name, presigned, as the real hub does.
"""

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

LFS = (".safetensors", ".parquet")
PAGE = 3
"""Entries of a tree per page."""
SECRET = "X-Amz-Signature=presigned"


@dataclass
class Repository:
    """Branches and commits of one repository; `kind` is `datasets` or `models`."""

    kind: str
    name: str
    branches: dict[str, str] = field(default_factory=dict)
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)

    def commit(self, files: dict[str, bytes], branch: str = "main") -> str:
        """Move a branch to a commit of its own with these files; returns the commit."""
        listed = json.dumps({name: data.hex() for name, data in files.items()}, sort_keys=True)
        commit = hashlib.sha1(listed.encode()).hexdigest()  # noqa: S324  as git names commits
        self.commits[commit], self.branches[branch] = files, commit
        return commit


@dataclass
class Hub:
    """What the server holds and what it was asked."""

    url: str = ""
    repositories: dict[str, Repository] = field(default_factory=dict)
    asked: list[tuple[str, str, str | None, str | None]] = field(default_factory=list)
    """Method, path with query, authorization, range."""
    breaks: int = 0
    """So many downloads from the other host end half way."""
    fails: int = 0
    """Status that every request is answered with, if not 0."""

    def add(self, kind: str, name: str) -> Repository:
        return self.repositories.setdefault(f"{kind}/{name}", Repository(kind, name))

    def downloads(self) -> list[str]:
        """Paths whose bytes were asked for."""
        return [path for method, path, *_ in self.asked if method == "GET" and ("/resolve/" in path or "/cdn/" in path)]


@contextmanager
def serve() -> Iterator[Hub]:
    """The hub in a thread."""
    hub = Hub()

    class Handler(_Handler):
        state = hub

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    state: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _send(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if "Content_Length" not in headers:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _missing(self, code: str) -> None:
        self._send(404, b"{}", X_Error_Code=code)

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path, query = urlsplit(self.path).path, parse_qs(urlsplit(self.path).query)
        self.state.asked.append((self.command, self.path, self.headers.get("authorization"), self.headers.get("range")))
        if self.state.fails:
            self._send(self.state.fails, b"{}")
            return
        parts = [unquote(part) for part in path.strip("/").split("/")]
        if parts[0] == "api":
            self._api(parts[1], "/".join(parts[2:4]), parts[4:], query)
        elif parts[0] == "cdn":
            self._content("/".join(parts[1:]))
        else:
            kind, parts = ("datasets", parts[1:]) if parts[0] == "datasets" else ("models", parts)
            self._resolve(kind, "/".join(parts[:2]), parts[3], "/".join(parts[4:]))

    def _commit(self, kind: str, name: str, revision: str) -> tuple[Repository, str] | None:
        repository = self.state.repositories.get(f"{kind}/{name}")
        if repository is None:
            self._missing("RepoNotFound")
            return None
        commit = repository.branches.get(revision, revision)
        if commit not in repository.commits:
            self._missing("RevisionNotFound")
            return None
        return repository, commit

    def _api(self, kind: str, name: str, rest: list[str], query: dict[str, list[str]]) -> None:
        if not (found := self._commit(kind, name, rest[1] if len(rest) > 1 else "main")):
            return
        repository, commit = found
        files = repository.commits[commit]
        if not rest or rest[0] == "revision":
            about = {"id": name, "sha": commit, "siblings": [{"rfilename": path} for path in files]}
            self._send(200, json.dumps(about).encode(), Content_Type="application/json")
            return
        folders = sorted({path.rsplit("/", 1)[0] for path in files if "/" in path})
        entries = [{"type": "directory", "path": path, "oid": "0" * 40, "size": 0} for path in folders]
        entries += [_entry(path, data) for path, data in files.items()]
        start = int(query.get("cursor", ["0"])[0])
        more = {}
        if start + PAGE < len(entries):
            following = f"{self.state.url}{urlsplit(self.path).path}?recursive=True&cursor={start + PAGE}"
            more = {"Link": f'<{following}>; rel="next"'}
        body = json.dumps(entries[start : start + PAGE]).encode()
        self._send(200, body, Content_Type="application/json", **more)

    def _resolve(self, kind: str, name: str, revision: str, path: str) -> None:
        if not (found := self._commit(kind, name, revision)):
            return
        repository, commit = found
        if (data := repository.commits[commit].get(path)) is None:
            self._missing("EntryNotFound")
        elif path.endswith(LFS):
            sha256 = hashlib.sha256(data).hexdigest()
            other = self.state.url.replace("127.0.0.1", "localhost")
            to = f"{other}/cdn/{commit}:{kind}:{name.replace('/', ':')}:{path}"
            linked = {"X_Linked_Etag": f'"{sha256}"', "X_Linked_Size": str(len(data))}
            self._send(302, Location=f"{to}?{SECRET}", X_Repo_Commit=commit, **linked)
        else:
            etag = hashlib.sha1(data).hexdigest()  # noqa: S324  as git names blobs
            self._send(200, data, X_Repo_Commit=commit, ETag=f'"{etag}"')

    def _content(self, name: str) -> None:
        commit, kind, owner, repository, path = name.split(":", 4)
        data = self.state.repositories[f"{kind}/{owner}/{repository}"].commits[commit][path]
        begin = int((self.headers.get("range") or "bytes=0-").removeprefix("bytes=").split("-")[0])
        status, rest = (206, data[begin:]) if begin else (200, data)
        if self.command == "GET" and self.state.breaks:
            self.state.breaks -= 1
            self._send(status, rest[: len(rest) // 2], Content_Length=str(len(rest)))
            self.close_connection = True
            return
        self._send(status, rest)


def _entry(path: str, data: bytes) -> dict[str, object]:
    entry: dict[str, object] = {"type": "file", "path": path, "oid": "1" * 40, "size": len(data)}
    if path.endswith(LFS):
        entry["lfs"] = {"oid": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 130}
    return entry
