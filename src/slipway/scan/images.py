"""Pictures of a card: PNG, JPEG and WebP, walked part by part to their end, without what cameras and editors add."""

import re
import struct
import zlib
from collections.abc import Iterator

from slipway.records import Finding
from slipway.scan.subject import TEXT_LIMIT, Subject

PNG = b"\x89PNG\r\n\x1a\n"
SIDE = 1 << 15
"""Longest side, in pixels."""
BLOCK = 1 << 20
CHUNKS = {
    b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"sBIT", b"bKGD", b"pHYs", b"tIME", b"iCCP",
    b"hIST", b"cICP",
}  # fmt: skip
WRITER = re.compile(rb"(Software|Title|Creation Time)\0[\x20-\x7e\n]{0,200}", re.IGNORECASE)
"""The only text that may stand in a picture: the program that drew it."""
PARTS = {b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ANIM", b"ANMF", b"ICCP"}
_REMEDY = "save the picture again without metadata"


class _FormError(Exception):
    """What is wrong with a picture: rule, reason, offset."""

    def __init__(self, what: str, reason: str, offset: int) -> None:
        super().__init__(reason)
        self.what, self.reason, self.offset = what, reason, offset


def _png(data: bytes) -> None:
    at, seen, packed = 8, set(), zlib.decompressobj()
    while b"IEND" not in seen:
        if at + 12 > len(data):
            raise _FormError("form", "does not end", at)
        length, name = struct.unpack_from(">I4s", data, at)
        body = data[at + 8 : at + 8 + length]
        if len(body) != length or data[at + 8 + length : at + 12 + length] != zlib.crc32(name + body).to_bytes(
            4, "big"
        ):
            raise _FormError("form", f"its part {name!r} is cut off or was changed", at)
        if (name == b"IHDR") != (at == 8) or (
            name == b"IHDR" and (length != 13 or not _sides(*struct.unpack(">II", body[:8])))
        ):
            raise _FormError("form", "has no size, or one that exhausts who looks at it", at)
        if not (name in CHUNKS or (name == b"tEXt" and WRITER.fullmatch(body))):
            raise _FormError("metadata", f"holds a part {name!r}", at)
        if name == b"IDAT":
            _unpack(packed, body, at)
        seen.add(name)
        at += 12 + length
    if b"IDAT" in seen and not packed.eof:
        raise _FormError("form", "does not hold the whole picture", at)
    if b"IDAT" not in seen:
        raise _FormError("form", "holds no picture", at)
    if at != len(data):
        raise _FormError("tail", f"holds {len(data) - at} bytes behind its end", at)


def _unpack(packed: "zlib._Decompress", body: bytes, at: int) -> None:
    """The picture's own bytes are one stream, and nothing follows it; what it says is not kept."""
    try:
        while body:
            packed.decompress(body, BLOCK)
            body = packed.unconsumed_tail
    except zlib.error:
        raise _FormError("form", "does not unpack", at) from None
    if packed.unused_data:
        raise _FormError("tail", "holds bytes behind what is drawn", at)


def _sides(*sides: int) -> bool:
    return all(0 < side <= SIDE for side in sides)


def _jpeg(data: bytes) -> None:
    at = 2
    while True:
        if data[at : at + 1] != b"\xff" or at + 4 > len(data):
            raise _FormError("form", "is no sequence of segments", at)
        mark = data[at + 1]
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        if mark == 0xFE or (0xE0 <= mark <= 0xEF and mark not in (0xE0, 0xE2, 0xEE)):
            raise _FormError("metadata", f"holds a segment {mark:#x} of metadata", at)
        if mark in (0xC0, 0xC1, 0xC2) and not _sides(*struct.unpack_from(">HH", data, at + 5)):
            raise _FormError("form", "has no size, or one that exhausts who looks at it", at)
        if length < 2 or at + 2 + length > len(data):
            raise _FormError("form", "is cut off", at)
        at += 2 + length
        if mark == 0xDA:
            # What is coded holds 0xFF only before 0 and the marks of restarts.
            found = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]").search(data, at)
            if found is None:
                raise _FormError("form", "does not end", at)
            at = found.start()
            if data[at + 1] == 0xD9:
                break
    if at + 2 != len(data):
        raise _FormError("tail", f"holds {len(data) - at - 2} bytes behind its end", at + 2)


def _webp(data: bytes) -> None:
    if int.from_bytes(data[4:8], "little") + 8 != len(data):
        raise _FormError("tail", "is not as long as it says", 4)
    at, seen = 12, set()
    while at < len(data):
        name, length = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        if name not in PARTS:
            raise _FormError("metadata", f"holds a part {name!r}", at)
        seen.add(name)
        at += 8 + length + (length & 1)
    if at != len(data) or not seen & {b"VP8 ", b"VP8L", b"ANMF"}:
        raise _FormError("form", "is cut off, or holds no picture", at)


def check(subject: Subject) -> Iterator[Finding]:
    """Findings `image.*`: form, metadata, tail, size."""
    if subject.size > TEXT_LIMIT:
        yield subject.finding(
            "image.size", f"has {subject.size} bytes; at most {TEXT_LIMIT} are read", "make it smaller"
        )
        return
    data = subject.content
    try:
        if data.startswith(PNG):
            _png(data)
        elif data.startswith(b"\xff\xd8\xff"):
            _jpeg(data)
        elif data.startswith(b"RIFF") and data[8:12] == b"WEBP":
            _webp(data)
        else:
            raise _FormError("form", "is no PNG, JPEG or WebP", 0)
    except (_FormError, struct.error) as error:
        what, offset = (error.what, error.offset) if isinstance(error, _FormError) else ("form", 0)
        yield subject.finding(f"image.{what}", f"the picture {error}", _REMEDY, offset)
