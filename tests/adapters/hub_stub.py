"""A hub on localhost: the endpoints that huggingface_hub uses to list, download, upload and commit, over real HTTP.

Files of LFS kinds are redirected to an address on another host name, presigned, as the real hub does.
"""

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
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
    tags: dict[str, str] = field(default_factory=dict)
    parents: dict[str, tuple[str | None, str]] = field(default_factory=dict)
    """Commit -> the one before it, and its title."""
    ignored: tuple[str, ...] = ()
    """Files that the repository's .gitignore names."""

    def commit(self, files: dict[str, bytes], branch: str = "main", title: str = "") -> str:
        """Move a branch to a commit of its own with these files; returns the commit."""
        before = self.branches.get(branch) if title else None
        listed = json.dumps([before, title, {name: data.hex() for name, data in files.items()}], sort_keys=True)
        commit = hashlib.sha1(listed.encode()).hexdigest()  # noqa: S324  as git names commits
        self.commits[commit], self.branches[branch] = files, commit
        self.parents[commit] = (before, title)
        return commit

    def log(self, commit: str | None) -> list[tuple[str, str]]:
        """Commits and titles, newest first."""
        found = []
        while commit:
            before, title = self.parents[commit]
            found.append((commit, title))
            commit = before
        return found


@dataclass
class Hub:
    """What the server holds and what it was asked."""

    url: str = ""
    repositories: dict[str, Repository] = field(default_factory=dict)
    asked: list[tuple[str, str, str | None, str | None]] = field(default_factory=list)
    """Method, path with query, authorization, range."""
    large: dict[str, bytes] = field(default_factory=dict)
    """sha256 -> content of what was sent to the large file storage."""
    before_commit: Any = None
    """Called once before a commit is made: somebody who is faster."""
    after_commit: Any = None
    """Called once when a commit was made but not answered yet: the place of a crash."""
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
        commit = repository.branches.get(revision) or repository.tags.get(revision, revision)
        if commit not in repository.commits:
            self._missing("RevisionNotFound")
            return None
        return repository, commit

    def _api(self, kind: str, name: str, rest: list[str], query: dict[str, list[str]]) -> None:
        if not (found := self._commit(kind, name, rest[1] if len(rest) > 1 else "main")):
            return
        repository, commit = found
        if rest and rest[0] in ("refs", "commits"):
            self._json(_refs(repository) if rest[0] == "refs" else _log(repository, commit))
            return
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

    def _json(self, answer: object, status: int = 200) -> None:
        self._send(status, json.dumps(answer).encode(), Content_Type="application/json")

    def do_PUT(self) -> None:
        """The large file storage takes an object at a presigned address."""
        data = self._body()
        oid = urlsplit(self.path).path.rpartition("/")[2]
        assert self.headers.get("authorization") is None, "a presigned address gets no token"
        if hashlib.sha256(data).hexdigest() != oid:
            self._send(400)
            return
        self.state.large[oid] = data
        self._send(200)

    def _body(self) -> bytes:
        if self.headers.get("transfer-encoding") == "chunked":
            found = b""
            while size := int(self.rfile.readline(), 16):
                found += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return found
        return self.rfile.read(int(self.headers.get("content-length") or 0))

    def do_POST(self) -> None:
        data, path = self._body(), urlsplit(self.path).path
        self.state.asked.append(("POST", self.path, self.headers.get("authorization"), None))
        if self.state.fails:
            self._send(self.state.fails, b"{}")
            return
        if path == "/api/validate-yaml":
            self._json({"errors": [], "warnings": []})
            return
        if path.endswith(".git/info/lfs/objects/batch"):
            self._json({"objects": [self._object(one) for one in json.loads(data)["objects"]]})
            return
        parts = [unquote(part) for part in path.strip("/").split("/")]
        kind, name, action, revision = parts[1], "/".join(parts[2:4]), parts[4], "/".join(parts[5:])
        if action == "branch":
            start = json.loads(data)["startingPoint"]
            branches = self.state.repositories[f"{kind}/{name}"].branches
            self._json({}, 409 if revision in branches else 200)
            branches.setdefault(revision, start)
        elif found := self._commit(kind, name, revision):
            repository, commit = found
            if action == "preupload":
                self._preupload(repository, commit, data)
            elif action == "commit":
                self._make(repository, revision, data)
            else:
                self._tag(repository, commit, data)

    def _object(self, asked: dict[str, Any]) -> dict[str, Any]:
        if asked["oid"] in self.state.large:
            return asked
        to = f"{self.state.url.replace('127.0.0.1', 'localhost')}/large/{asked['oid']}?{SECRET}"
        return {**asked, "actions": {"upload": {"href": to}}}

    def _preupload(self, repository: Repository, commit: str, data: bytes) -> None:
        asked, held = json.loads(data), repository.commits[commit]
        ignored = repository.ignored if "gitIgnore" not in asked else ()
        files = [
            {
                "path": one["path"],
                "uploadMode": "lfs" if one["path"].endswith(LFS) else "regular",
                "shouldIgnore": one["path"] in ignored,
                "oid": _oid(one["path"], held[one["path"]]) if one["path"] in held else None,
            }
            for one in asked["files"]
        ]
        self._json({"files": files})

    def _make(self, repository: Repository, revision: str, data: bytes) -> None:
        before, self.state.before_commit = self.state.before_commit, None
        if before:
            before()
        lines = [json.loads(line) for line in data.splitlines()]
        head = lines[0]["value"]
        held = repository.branches[revision]
        if head.get("parentCommit") not in (None, held):
            self._json({"error": "the branch has moved"}, 412)
            return
        files = dict(repository.commits[held])
        for line in lines[1:]:
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                files[value["path"]] = self.state.large[value["oid"]]
            else:
                del files[value["path"]]
        made = repository.commit(files, revision, head["summary"])
        after, self.state.after_commit = self.state.after_commit, None
        if after:
            after()
            self.close_connection = True
            return
        self._json({"commitUrl": f"{self.state.url}/{repository.name}/commit/{made}", "commitOid": made})

    def _tag(self, repository: Repository, commit: str, data: bytes) -> None:
        name = json.loads(data)["tag"]
        self._json({}, 409 if name in repository.tags else 200)
        repository.tags.setdefault(name, commit)

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


def _oid(path: str, data: bytes) -> str:
    """As git names a blob; of a large file the hub answers with the sha256."""
    if path.endswith(LFS):
        return hashlib.sha256(data).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()  # noqa: S324


def _refs(repository: Repository) -> dict[str, list[dict[str, str]]]:
    def listed(kind: str, refs: dict[str, str]) -> list[dict[str, str]]:
        return [{"name": name, "ref": f"refs/{kind}/{name}", "targetCommit": at} for name, at in refs.items()]

    return {"branches": listed("heads", repository.branches), "converts": [], "tags": listed("tags", repository.tags)}


def _log(repository: Repository, commit: str) -> list[dict[str, object]]:
    about = {"authors": [{"user": "somebody"}], "date": "2026-01-01T00:00:00.000Z", "message": ""}
    return [{"id": one, "title": title, **about} for one, title in repository.log(commit)]


def _entry(path: str, data: bytes) -> dict[str, object]:
    entry: dict[str, object] = {"type": "file", "path": path, "oid": "1" * 40, "size": len(data)}
    if path.endswith(LFS):
        entry["lfs"] = {"oid": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 130}
    return entry
