"""A store in a prefix of an S3 bucket, by boto3; endpoint and credentials come from the usual AWS variables.

Create-only is `If-None-Match: *`, compare-and-swap is `If-Match`; both are probed once before the first
write, because an endpoint that ignores them would lose releases silently. Large files are sent in parts, some at a
time, and become visible only when all parts are there; a journal lets a rerun go on where a crash left off.
"""

from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, cast

from slipway.adapters.store import leftovers, multipart, probing
from slipway.adapters.store.body import Note, Slice, Stream
from slipway.adapters.store.connection import Connection, Exists
from slipway.adapters.store.uploads import Uploads

PART = 64 << 20
"""Bytes per part; files above one part are sent in parts. Above 640 GB parts grow with the file."""
COPIED_WHOLE = 1 << 30
"""Bytes up to which a copy is one request; S3 would take 5 GB, but its answer may come later than a timeout allows."""
COPIED_PART = 512 << 20


class S3Store:
    """Objects are `s3://bucket/prefix/key`. May be used by several threads."""

    def __init__(
        self,
        bucket: str,
        prefix: str = "",
        part: int = PART,
        *,
        journal: Path | None = None,
        workers: int = 4,
        timeout: float = 60.0,
    ) -> None:
        """Set it up; nothing is sent yet.

        Args:
            bucket: its name.
            prefix: of every key.
            part: bytes per part of a large file.
            journal: folder that remembers interrupted uploads; without one their parts are given up.
            workers: parts at a time.
            timeout: seconds without a byte after which a request is tried again.
        """
        self.bucket, self.prefix, self.part = bucket, f"{prefix}/" if prefix else "", part
        self.url = f"s3://{bucket}/{prefix}".rstrip("/")
        self._journal, self._workers, self._swept = Uploads(journal), workers, False
        self._connection = Connection(timeout, pool=32)

    @property
    def address(self) -> str:
        """URL and endpoint."""
        return f"{self._connection.endpoint} {self.url}"

    def capabilities(self) -> dict[str, bool]:
        """What the endpoint can do, probed once per process.

        Raises:
            Refusal: if it ignores a condition that create-only objects or the channel need.
        """
        return self._able.as_dict()

    @property
    def _able(self) -> probing.Capabilities:
        return probing.of(self._connection, self.bucket, self.prefix)

    def _where(self, key: str) -> dict[str, str]:
        return {"Bucket": self.bucket, "Key": self.prefix + key}

    def list(self, prefix: str = "") -> dict[str, int]:
        """Key -> bytes of every object whose key begins with `prefix` (a folder, with or without `/`)."""
        return {key: item["Size"] for key, item in self._listed(prefix).items()}

    def tags(self, prefix: str = "") -> dict[str, str]:
        """Key -> what changes whenever an object below `prefix` does: its ETag and size."""
        return {key: f"{item['ETag']} {item['Size']}" for key, item in self._listed(prefix).items()}

    def _listed(self, prefix: str) -> dict[str, dict[str, Any]]:
        folder = f"{prefix.rstrip('/')}/" if prefix.rstrip("/") else ""
        found: dict[str, dict[str, Any]] = {}
        page: dict[str, Any] = {"Bucket": self.bucket, "Prefix": self.prefix + folder}
        while True:
            answer = self._connection.call("list_objects_v2", **page)
            found |= {item["Key"].removeprefix(self.prefix): item for item in answer.get("Contents", [])}
            if not answer.get("IsTruncated"):
                return dict(sorted(found.items()))
            page["ContinuationToken"] = answer["NextContinuationToken"]

    def read(self, key: str) -> tuple[bytes, str]:
        """Content and tag of a small object; raises FileNotFoundError, or Refusal if it is none."""
        with Stream(self._connection, self._where(key)) as stream:
            return stream.whole(), stream.tag

    def open(self, key: str) -> BinaryIO:
        """A stream over an object of any size, taken up again when the network fails; raises FileNotFoundError."""
        return cast("BinaryIO", Stream(self._connection, self._where(key)))

    def open_range(self, key: str, start: int, length: int) -> BinaryIO:
        """A stream over a part of an object, as `open`."""
        return cast("BinaryIO", Stream(self._connection, self._where(key), (start, length)))

    def create(self, key: str, content: bytes | Path, sha256: str | None = None, note: Note | None = None) -> None:
        """Write an object that does not exist yet; raises FileExistsError if it does, and changes nothing then.

        Args:
            key: of the object.
            content: its bytes, or the file that holds them.
            sha256: of a file's content, if known; an interrupted upload is then taken up without reading what arrived.
            note: told of bytes as they are sent.
        """
        size = len(content) if isinstance(content, bytes) else content.stat().st_size
        checksum = {"ChecksumAlgorithm": probing.CHECKSUM} if self._able.checksum else {}
        if isinstance(content, Path) and size > self.part:
            part = multipart.part_size(size, self.part)
            self._sweep()
            multipart.send(
                multipart.Job(self._connection, self._where(key), content, size, sha256, part, checksum, note),
                self._journal,
                self._workers,
            )
        elif isinstance(content, Path) and size:
            with Slice(content, 0, size, note) as body:
                self._put(key, body, content, **checksum)
        else:
            self._put(key, content if isinstance(content, bytes) else b"", content)

    def _put(self, key: str, body: bytes | Slice, content: bytes | Path, **arguments: Any) -> None:
        try:
            self._write(key, Body=body, IfNoneMatch="*", **arguments)
        except Exists as error:
            if not (error.retried and self._same(key, content)):
                raise

    def _write(self, key: str, **arguments: Any) -> None:
        self._connection.again(partial(self._connection.call, "put_object", **self._where(key), **arguments))

    def _same(self, key: str, content: bytes | Path) -> bool:
        """Whether an object holds this very content, at most one part of it."""
        mine = content if isinstance(content, bytes) else content.read_bytes()
        try:
            with self.open(key) as stream:
                return stream.read() == mine
        except FileNotFoundError:
            return False

    def _sweep(self) -> None:
        if not self._swept:
            self._swept = True
            if ended := leftovers.sweep(self._connection, self._journal):
                print(f"[store] {self.url}: gave up {ended} uploads that nobody had finished for a week", flush=True)

    def copy(self, source: str, key: str) -> None:
        """Give an object of this store a second key, copied inside S3; raises FileExistsError or FileNotFoundError."""
        origin, target = self._where(source), self._where(key)
        head = self._connection.call("head_object", **origin)
        size, tag = head["ContentLength"], head["ETag"]
        if size == 0:
            self.create(key, b"")
        elif size > COPIED_WHOLE or not self._able.create_only_copy:
            multipart.copy(multipart.Copy(self._connection, origin, target, size, tag, COPIED_PART), self._workers)
        else:
            self._copy_whole(origin, target, tag)

    def _copy_whole(self, origin: dict[str, str], target: dict[str, str], tag: str) -> None:
        call = partial(self._connection.call, "copy_object", **target, CopySource=origin, CopySourceIfMatch=tag)
        try:
            self._connection.again(partial(call, IfNoneMatch="*"))
        except Exists as error:
            if not error.retried or self._connection.call("head_object", **target)["ETag"] != tag:
                raise

    def swap(self, key: str, content: bytes, tag: str | None) -> bool:
        """Replace an object only if its tag is still `tag` (None: only if absent); False if someone was faster."""
        _ = self._able
        condition = {"IfNoneMatch": "*"} if tag is None else {"IfMatch": tag}
        try:
            self._write(key, Body=content, **condition)
        except Exists as error:
            return error.retried and self._same(key, content)
        except FileNotFoundError:
            return False
        return True
