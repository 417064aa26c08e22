"""What reading a release asks of a store: a directory, a copy of it and an S3 prefix are read by the same lines."""

import hashlib
from typing import BinaryIO, Protocol


class Reader(Protocol):
    """What verification asks of a store."""

    @property
    def url(self) -> str: ...
    def list(self, prefix: str = "") -> dict[str, int]: ...
    def read(self, key: str) -> tuple[bytes, str]: ...
    def open(self, key: str) -> BinaryIO: ...


def stream_digest(store: Reader, key: str) -> str:
    """Hex sha256 of an object, read in blocks of 1 MiB."""
    digest = hashlib.sha256()
    with store.open(key) as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
