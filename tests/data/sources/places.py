"""A remote in memory: a place whose files a test can change, and which counts what is fetched from it."""

from collections.abc import Callable
from pathlib import Path

from slipway.files import Listed, Listing


class Place:
    """Files by address; `revision` is the commit that it stands for."""

    def __init__(self, files: dict[str, bytes] | None = None, revision: str | None = None) -> None:
        self.files, self.revision = files or {}, revision
        self.fetched: list[tuple[str, str | None]] = []

    def listing(self, path: str, suffixes: tuple[str, ...]) -> Listing:
        chosen = sorted(name for name in self.files if name == path or name.startswith(f"{path}/"))
        files = [Listed(name, len(self.files[name])) for name in chosen if name.endswith(suffixes)]
        return Listing(tuple(files), self.revision)

    def fetch(self, file: Listed, revision: str | None, target: Path, note: Callable[[int], None]) -> None:
        self.fetched.append((file.path, revision))
        target.write_bytes(self.files[file.path])
        note(file.bytes)
