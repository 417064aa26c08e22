"""What was read back from a store and hashed, so that a rerun need not read gigabytes that have not changed.

An object counts as unchanged while the store shows the tag it had when it was read: ETag and size on S3; inode, size
and time in a directory. That proves nothing against whoever can write there, and a disk that rots keeps its tags. So
this spares reading for a week only, and only when the same bytes are published again; `slipway verify` and the nightly
rescan read every byte.
"""

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

from slipway.files import sha256_bytes
from slipway.progress import Transfer
from slipway.release.reading.reader import Reader, stream_digest

GOOD_FOR = 7 * 86400
"""Seconds after which an object is read again."""
AT_A_TIME = 4
"""Objects read at a time."""


class Tagged(Reader, Protocol):
    """A store that tells whether an object changed."""

    def tags(self, prefix: str = "") -> dict[str, str]: ...


class ReadBack:
    """The memory of one store, in a folder of the project; without a folder nothing is remembered."""

    def __init__(self, folder: Path | None, store: Tagged) -> None:
        self._path = folder and folder / f"{sha256_bytes(store.url.encode())[:32]}.jsonl"
        self._store, self._lock = store, threading.Lock()
        self._tags: dict[str, dict[str, str]] = {}
        self._known = _load(self._path) if self._path else {}

    def digest(self, key: str) -> str | None:
        """Hex sha256 of an object that was read back lately and has not changed since; None if it has to be read."""
        if (known := self._known.get(key)) is None:
            return None
        tag, sha256 = known
        return sha256 if self._tag(key) == tag else None

    def hash(self, sizes: dict[str, int], what: str) -> tuple[dict[str, str], int]:
        """Hash objects of the store, those apart that need not be read.

        Args:
            sizes: key -> bytes of each.
            what: what it is called while it is shown.

        Returns: key -> hex sha256, without those that are not there; and how many bytes were read.
        """
        found = {key: known for key in sizes if (known := self.digest(key))}
        wanted = sorted(sizes.keys() - found.keys(), key=lambda key: -sizes[key])
        before = {key: self._tag(key) for key in wanted} if self._path else {}
        shown = Transfer(what, sum(sizes[key] for key in wanted))

        def one(key: str) -> None:
            try:
                sha256 = stream_digest(self._store, key, shown)
            except FileNotFoundError:
                return
            self._add(key, before.get(key), sha256)
            found[key] = sha256

        with ThreadPoolExecutor(AT_A_TIME) as pool:
            list(pool.map(one, wanted))
        shown.end()
        return found, sum(sizes[key] for key in wanted if key in found)

    def _tag(self, key: str) -> str | None:
        folder = key.rpartition("/")[0]
        if folder not in self._tags or key not in self._tags[folder]:
            self._tags[folder] = self._store.tags(folder)
        return self._tags[folder].get(key)

    def _add(self, key: str, tag: str | None, sha256: str) -> None:
        if self._path is None or tag is None:
            return
        line = {"key": key, "sha256": sha256, "tag": tag, "time": int(time.time())}
        with self._lock:
            self._known[key] = tag, sha256
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(line) + "\n")


def _load(path: Path) -> dict[str, tuple[str, str]]:
    """Key -> tag and sha256; lines that cannot be read or are too old count as not written."""
    found: dict[str, tuple[str, str]] = {}
    if not path.exists():
        return found
    for text in path.read_text("utf-8").splitlines():
        try:
            line = json.loads(text)
            if time.time() - line["time"] < GOOD_FOR:
                found[line["key"]] = line["tag"], line["sha256"]
        except (ValueError, KeyError, TypeError):  # cut short by a crash
            continue
    return found
