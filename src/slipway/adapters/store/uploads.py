"""The journal of uploads: which parts of a large file have arrived, so that a rerun does not send them again.

One file per object under `.slipway/uploads/`: a first line that says what is sent where, then one line per part that
arrived. A line that a crash cut short counts as not written. The server's own list of parts has the last word.
"""

import json
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from slipway.files import sha256_bytes, write_atomic


@dataclass
class Upload:
    """An upload in parts that was begun; `path` is None where no journal is kept."""

    upload_id: str
    path: Path | None
    arrived: dict[int, str] = field(default_factory=dict)
    """Number of the part -> tag that the server gave it."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, number: int, tag: str) -> None:
        """Write down that a part arrived."""
        with self._lock:
            self.arrived[number] = tag
            if self.path:
                with self.path.open("a", encoding="utf-8") as stream:
                    stream.write(json.dumps({"part": number, "tag": tag}) + "\n")

    def forget(self) -> None:
        """It was completed, or given up."""
        if self.path:
            self.path.unlink(missing_ok=True)


class Uploads:
    """The journals of one store in a folder; without one nothing is remembered."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    @property
    def kept(self) -> bool:
        """Whether an interrupted upload can be taken up again."""
        return self._folder is not None

    def begin(self, url: str, where: dict[str, str], what: dict[str, Any], upload_id: str) -> Upload:
        """Write down a new upload.

        Args:
            url: of the object.
            where: its bucket and key.
            what: says what is sent: size and sha256 of the file, size of the parts.
            upload_id: as the server gave it.
        """
        path = self._path(url)
        if path:
            head = {"url": url, "upload_id": upload_id, "begun": int(time.time()), "where": where, **what}
            write_atomic(path, json.dumps(head) + "\n", mode=0o600)
        return Upload(upload_id, path)

    def find(self, url: str, what: dict[str, Any]) -> Upload | None:
        """The interrupted upload of the same content to the same object; None if there is none to go on with."""
        path = self._path(url)
        if path is None or not path.exists():
            return None
        head, *lines = _lines(path)
        if {name: head.get(name) for name in ("url", *what)} != {"url": url, **what} or not head.get("upload_id"):
            return None
        arrived = {line["part"]: line["tag"] for line in lines if line.keys() == {"part", "tag"}}
        return Upload(head["upload_id"], path, arrived)

    def older_than(self, seconds: float) -> list[tuple[Upload, dict[str, str]]]:
        """Uploads that were begun so long ago, each with the bucket and key of its object."""
        found = []
        for path in sorted(self._folder.glob("*.jsonl")) if self._folder else ():
            head = _lines(path)[0]
            if head.keys() >= {"upload_id", "where", "begun"} and time.time() - head["begun"] > seconds:
                found.append((Upload(head["upload_id"], path), head["where"]))
        return found

    def _path(self, url: str) -> Path | None:
        return self._folder / f"{sha256_bytes(url.encode())[:32]}.jsonl" if self._folder else None


def _lines(path: Path) -> list[dict[str, Any]]:
    """The head and the lines of a journal; what follows the last newline was cut by a crash."""
    return [_line(line) for line in path.read_text("utf-8").split("\n")[:-1]] or [{}]


def _line(text: str) -> dict[str, Any]:
    """A line of the journal; empty if it cannot be read, for then the server is asked about that part."""
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
