"""Formats recognised by content, whatever the file is called: pickles, archives, programs, foreign weights.

None of them may be published. Recognising one gives the reader the true reason; a file that is nothing
known is refused just the same, by its name or by the checker of its kind.
"""

import pickletools
import struct
from collections.abc import Iterator

from slipway.records import Finding
from slipway.scan.subject import Subject

MAGIC: tuple[tuple[bytes, int, str, str], ...] = (
    (b"PK\x03\x04", 0, "archive", "a zip archive (torch, Keras and TorchScript files are zips)"),
    (b"PK\x05\x06", 0, "archive", "an empty zip archive"),
    (b"\x1f\x8b", 0, "archive", "gzip data (a joblib file may be)"),
    (b"BZh", 0, "archive", "bzip2 data (a joblib file may be)"),
    (b"\xfd7zXZ\x00", 0, "archive", "xz data (a joblib file may be)"),
    (b"\x5d\x00\x00", 0, "archive", "lzma data (a joblib file may be)"),
    (b"\x28\xb5\x2f\xfd", 0, "archive", "zstandard data"),
    (b"\x04\x22\x4d\x18", 0, "archive", "lz4 data (a joblib file may be)"),
    (b"7z\xbc\xaf\x27\x1c", 0, "archive", "a 7z archive"),
    (b"Rar!\x1a\x07", 0, "archive", "a rar archive"),
    (b"ustar", 257, "archive", "a tar archive"),
    (b"\x93NUMPY", 0, "numpy", "a numpy array, which may hold pickled objects"),
    (b"\x89HDF\r\n\x1a\n", 0, "foreign", "HDF5 (Keras)"),
    (b"GGUF", 0, "foreign", "GGUF"),
    (b"PAR1", 0, "data", "parquet: data is not part of a release"),
    (b"ARROW1", 0, "data", "arrow: data is not part of a release"),
    (b"SQLite format 3\x00", 0, "data", "an SQLite database"),
    (b"\x7fELF", 0, "program", "an ELF program"),
    (b"MZ", 0, "program", "a Windows program"),
    (b"\xcf\xfa\xed\xfe", 0, "program", "a Mach-O program"),
    (b"\xca\xfe\xba\xbe", 0, "program", "a Java class or a universal binary"),
    (b"\x00asm", 0, "program", "WebAssembly"),
    (b"#!", 0, "program", "a script"),
    (b"%PDF", 0, "foreign", "a PDF"),
    (b"TFL3", 4, "foreign", "TensorFlow Lite"),
)
ZLIB = (b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda")
LEGACY_TORCH = bytes.fromhex("6cfc9c46f9206aa850")
IMPORTS = {
    "GLOBAL", "STACK_GLOBAL", "INST", "OBJ", "NEWOBJ", "NEWOBJ_EX", "REDUCE", "BUILD", "EXT1", "EXT2", "EXT4",
    "PERSID", "BINPERSID",
}  # fmt: skip
_END = 22 + 65535


def is_pickle(head: bytes) -> bool:
    """Whether `head`, the beginning of a file, starts a pickle that can import, call or build something.

    Protocols 2 and later begin with PROTO and a known number. Older ones are plain text, so their opcodes
    are read until the first that is none; one that imports or calls before that gives the pickle away.
    """
    if len(head) >= 2 and head[0] == 0x80 and head[1] <= 5:
        return True
    try:
        seen = set()
        for opcode, _, _ in pickletools.genops(head):
            seen.add(opcode.name)
        return bool(seen & IMPORTS)
    except (ValueError, IndexError, UnicodeDecodeError, OverflowError):
        # Cut or broken: text that happens to begin like a pickle breaks before it has called anything.
        return "REDUCE" in seen or ("GLOBAL" in seen and len(seen) > 3)


def _zip_at_end(subject: Subject) -> int | None:
    """Offset of a zip's end record whose comment ends with the file: such a file opens as a zip whatever precedes."""
    start = max(0, subject.size - _END)
    tail = subject.read(_END, start)
    at = tail.rfind(b"PK\x05\x06")
    while at >= 0:
        if len(tail) - at >= 22 and at + 22 + struct.unpack_from("<H", tail, at + 20)[0] == len(tail):
            return start + at
        at = tail.rfind(b"PK\x05\x06", 0, at)
    return None


def check(subject: Subject) -> Iterator[Finding]:
    """Findings `content.*` if the file is, begins with, or ends as a format that may not be published."""
    head = subject.read(64 << 10)
    remedy = "publish weights as safetensors and documents as text; leave this file out"
    for magic, offset, rule, words in MAGIC:
        if head[offset : offset + len(magic)] == magic:
            yield subject.finding(f"content.{rule}", f"its content is {words}", remedy, offset)
            return
    if head[:2] in ZLIB:
        yield subject.finding("content.archive", "its content is zlib data (a joblib file may be)", remedy, 0)
    elif LEGACY_TORCH in head[:64] or is_pickle(head):
        reason = "its content is a pickle: loading it can run any program"
        yield subject.finding("content.pickle", reason, "convert it to safetensors before it comes here", 0)
    elif (at := _zip_at_end(subject)) is not None:
        yield subject.finding("content.polyglot", "it ends as a zip archive, so it can be opened as one", remedy, at)
