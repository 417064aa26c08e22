"""What travels: a slice of a file on its way to S3, and an object on its way back; neither is ever held whole.

>>> with Slice(path, 0, path.stat().st_size) as body:
...     client.put_object(Bucket="models", Key="shard", Body=body)
"""

import os
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from slipway.errors import Refusal, UserError

if TYPE_CHECKING:
    from slipway.adapters.store.connection import Connection

BLOCK = 256 << 10
"""Bytes handed to the socket at once; urllib3 alone asks for 16 KiB, which costs more calls than copying."""
SMALL = 64 << 20
"""Bytes of the largest object that is read whole into memory; a mirror that sends more means harm."""
ATTEMPTS = 6
"""Times that a broken download is taken up again without a byte of progress in between."""

Note = Callable[[int], None]
"""Told of bytes as they move; of a negative number when a request begins again."""


def check_small(size: int, what: str) -> None:
    """Refuse an object that is too large for memory where a signature, pointer or manifest should be."""
    if size > SMALL:
        raise Refusal(f"{what}: {size:,} bytes, but what belongs there has {SMALL:,} at most; it was not read")


class Slice:
    """`length` bytes of a file from `start` on, as the body of a request; may be read again from its beginning."""

    def __init__(self, path: Path, start: int, length: int, note: Note | None = None) -> None:
        self._path, self._start, self._length, self._note = path, start, length, note
        self._at = 0
        self._file = path.open("rb", buffering=0)
        self._view = memoryview(bytearray(max(1, min(BLOCK, length))))

    def __len__(self) -> int:
        return self._length

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def tell(self) -> int:
        """Bytes read so far."""
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """As a file's; going back tells `note` so."""
        target = offset + (0, self._at, self._length)[whence]
        if self._note and target < self._at:
            self._note(target - self._at)
        self._at = target
        return target

    def read(self, size: int | None = -1) -> bytes | memoryview:
        """All that is left, or the next block; it may be longer than `size`, and holds until the next call.

        Raises:
            UserError: if the file became shorter.
        """
        left = self._length - self._at
        if size is None or size < 0:
            data: bytes | memoryview = os.pread(self._file.fileno(), left, self._start + self._at) if left else b""
        else:
            view = self._view[: min(left, len(self._view))]
            data = view[: os.preadv(self._file.fileno(), [view], self._start + self._at)] if left else b""
        if left and not data:
            raise UserError(f"{self._path}: became shorter while it was sent; leave it alone and publish again")
        self._at += len(data)
        if self._note and data:
            self._note(len(data))
        return data


class Stream:
    """An object of any size, read in order; a connection that breaks or falls silent is taken up where it ended."""

    def __init__(self, connection: "Connection", where: dict[str, str], span: tuple[int, int] | None = None) -> None:
        """Begin to read: the whole object, or `span`, the first byte and how many."""
        self._connection, self._where = connection, where
        self._at, length = span or (0, None)
        answer = connection.call("get_object", **where, **({} if span is None else self._range(self._at + span[1])))
        self.tag: str = answer["ETag"]
        self._length: int = self._at + answer["ContentLength"]
        self._body: Any = answer["Body"]
        if length is not None and answer["ContentLength"] != length:
            self.close()
            raise UserError(f"s3://{where['Bucket']}/{where['Key']}: the server does not know Range, or it is shorter")

    def _range(self, end: int) -> dict[str, str]:
        return {"Range": f"bytes={self._at}-{end - 1}"}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def whole(self) -> bytes:
        """All of a small object; raises Refusal for a larger one before a byte of it is read."""
        check_small(self._length, f"s3://{self._where['Bucket']}/{self._where['Key']}")
        return self.read()

    def close(self) -> None:
        """Give the connection back."""
        self._body.close()

    def read(self, size: int | None = -1) -> bytes:
        """At most `size` bytes, all that is left without one; empty at the end.

        Raises:
            UserError: if the object cannot be read to its end, or was replaced meanwhile.
        """
        if size is None or size < 0:
            return b"".join(iter(lambda: self.read(1 << 20), b""))
        for attempt in range(ATTEMPTS):
            if self._at >= self._length or not size:
                return b""
            try:
                block: bytes = self._body.read(min(size, self._length - self._at))
            except OSError as error:  # a socket's own, from below urllib3
                fault: Exception | None = error
            except Exception as error:
                if not self._connection.is_transport(error):
                    raise
                fault = error
            else:
                if block:
                    self._at += len(block)
                    return block
                fault = None
            time.sleep(0.05 * 2**attempt)
            self._reopen()
        where = f"s3://{self._where['Bucket']}/{self._where['Key']}"
        raise UserError(
            f"{where}: broke off at byte {self._at} of {self._length}, {ATTEMPTS} times "
            f"({fault or 'the server closed the connection'}); try again when the network holds"
        )

    def _reopen(self) -> None:
        self._body.close()
        where = f"s3://{self._where['Bucket']}/{self._where['Key']}"
        try:
            answer = self._connection.call("get_object", **self._where, **self._range(self._length), IfMatch=self.tag)
        except FileExistsError:
            raise UserError(f"{where}: was replaced while it was read; read it again") from None
        if answer["ETag"] != self.tag or answer["ContentLength"] != self._length - self._at:
            raise UserError(f"{where}: the server does not take a download up where it ended; use one that knows Range")
        self._body = answer["Body"]
