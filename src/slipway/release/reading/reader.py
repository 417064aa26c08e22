"""What reading a release asks of a store: a directory, a copy of it and an S3 prefix are read by the same lines."""

import hashlib
from collections.abc import Callable, Mapping
from typing import BinaryIO, Protocol


class Reader(Protocol):
    """What verification asks of a store."""

    @property
    def url(self) -> str: ...
    def list(self, prefix: str = "") -> dict[str, int]: ...
    def read(self, key: str) -> tuple[bytes, str]: ...
    def open(self, key: str) -> BinaryIO: ...


class Hashed:
    """A reader some of whose objects were hashed just now: `stream_digest` does not read them a second time."""

    def __init__(self, reader: Reader, digests: Mapping[str, str]) -> None:
        """Wrap `reader`; `digests` is key -> hex sha256."""
        self._reader, self._digests = reader, digests

    @property
    def url(self) -> str:
        """As the reader's."""
        return self._reader.url

    def list(self, prefix: str = "") -> dict[str, int]:
        """As the reader's."""
        return self._reader.list(prefix)

    def read(self, key: str) -> tuple[bytes, str]:
        """As the reader's."""
        return self._reader.read(key)

    def open(self, key: str) -> BinaryIO:
        """As the reader's."""
        return self._reader.open(key)

    def digest_of(self, key: str) -> str | None:
        """Hex sha256 of an object, if it was hashed."""
        return self._digests.get(key)


def stream_digest(store: Reader, key: str, note: Callable[[int], None] | None = None) -> str:
    """Hex sha256 of an object, read in blocks of 1 MiB; `note` is told of the bytes of each."""
    if isinstance(store, Hashed) and (known := store.digest_of(key)):
        return known
    digest = hashlib.sha256()
    with store.open(key) as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
            if note:
                note(len(block))
    return digest.hexdigest()
