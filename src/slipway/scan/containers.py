"""Formats recognised by content, whatever the file is called: pickles, archives, programs, foreign weights.

None of them may be published. Recognising one gives the reader the true reason; a file that is nothing
known is refused just the same, by its name or by the checker of its kind.
"""

import pickletools
import struct
import zlib
from collections.abc import Iterator

from slipway.records import Finding
from slipway.scan.subject import Subject

UNSUPPORTED = "format.unsupported"
PARQUET = b"PAR1"
MAGIC: tuple[tuple[bytes, int, str], ...] = (
    (b"PK\x03\x04", 0, "a zip archive"),
    (b"PK\x05\x06", 0, "an empty zip archive"),
    (b"PK\x07\x08", 0, "a split zip archive"),
    (b"\x1f\x8b\x08", 0, "gzip data (a joblib file may be)"),
    (b"BZh", 0, "bzip2 data (a joblib file may be)"),
    (b"\xfd7zXZ\x00", 0, "xz data (a joblib file may be)"),
    (b"\x5d\x00\x00", 0, "lzma data (a joblib file may be)"),
    (b"\x28\xb5\x2f\xfd", 0, "zstandard data"),
    (b"\x04\x22\x4d\x18", 0, "lz4 data (a joblib file may be)"),
    (b"7z\xbc\xaf\x27\x1c", 0, "a 7z archive"),
    (b"Rar!\x1a\x07", 0, "a rar archive"),
    (b"ustar", 257, "a tar archive"),
    (b"!<arch>\n", 0, "an ar archive"),
    (b"\x93NUMPY", 0, "a numpy array, which may hold pickled objects"),
    (b"\x89HDF\r\n\x1a\n", 0, "HDF5 (Keras)"),
    (b"GGUF", 0, "GGUF"),
    (b"ggml", 0, "GGML"),
    (b"lmgg", 0, "GGML"),
    (b"tjgg", 0, "GGML"),
    (PARQUET, 0, "parquet: data is not part of a release"),
    (b"ARROW1", 0, "arrow: data is not part of a release"),
    (b"SQLite format 3\x00", 0, "an SQLite database"),
    (b"\x7fELF", 0, "an ELF program"),
    (b"MZ", 0, "a Windows program"),
    (b"\xcf\xfa\xed\xfe", 0, "a Mach-O program"),
    (b"\xce\xfa\xed\xfe", 0, "a Mach-O program"),
    (b"\xca\xfe\xba\xbe", 0, "a Java class or a universal binary"),
    (b"dex\n", 0, "an Android program"),
    (b"\x00asm", 0, "WebAssembly"),
    (b"#!", 0, "a script"),
    (b"\xef\xbb\xbf#!", 0, "a script"),
    (b"%PDF", 0, "PDF"),
    (b"TFL3", 4, "TensorFlow Lite"),
    (b"\xd0\xcf\x11\xe0", 0, "an OLE document"),
)
WORDS = {b"GGUF", b"ggml", b"lmgg", b"tjgg", b"MZ", b"dex\n"}
"""Beginnings that a text may have as well; a text has no zero byte."""
ZIPS = ((b"data.pkl", "torch"), (b".npy", "numpy npz"), (b"model.weights.h5", "Keras"), (b"META-INF", "Java"))
"""Names of members that tell what a zip archive is."""
ZLIB = (b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda")
LEGACY_TORCH = bytes.fromhex("6cfc9c46f9206aa850")
CALLS = {"REDUCE", "OBJ", "NEWOBJ", "NEWOBJ_EX", "BUILD", "INST", "STOP"}
OPCODES = 1 << 15
"""After so many sound instructions it is no text that happens to begin like a pickle, whatever would follow."""
_END = 22 + 65535


def _apply(opcode: pickletools.OpcodeInfo, stack: list[bool]) -> bool:
    """Do to `stack` (True is a mark) what the opcode does to the unpickler's; False if it would fail there."""
    before = list(opcode.stack_before)
    if pickletools.markobject in before:
        if True not in stack:
            return False
        del stack[len(stack) - 1 - stack[::-1].index(True) :]
        before = before[: before.index(pickletools.markobject)]
    if len(before) > len(stack) or any(stack[len(stack) - len(before) :]):
        # POP and POP_MARK may take a mark; everything else needs values.
        return opcode.name == "POP" and bool(stack) and (stack.pop(), True)[1]
    del stack[len(stack) - len(before) :]
    stack += [item is pickletools.markobject for item in opcode.stack_after]
    return True


def is_pickle(content: bytes) -> bool:
    """Whether `content` starts a pickle that imports something and then calls, builds or ends.

    Protocols 2 and later begin with PROTO and a known number. Older ones are plain text, so ordinary prose may
    begin with opcodes; it is a pickle if an unpickler would come as far as a call after an import. What is after
    the first opcode at which an unpickler would fail does not matter: nothing gets there.
    """
    if len(content) >= 2 and content[0] == 0x80 and content[1] <= 5:
        return _goes_on(content)
    stack: list[bool] = []
    imported = False
    try:
        for number, (opcode, argument, _) in enumerate(pickletools.genops(content)):
            named = opcode.name in {"GLOBAL", "INST"}
            if not _apply(opcode, stack) or (named and not _is_dotted(str(argument))):
                return False
            imported = imported or named
            imported = imported or opcode.name in {"STACK_GLOBAL", "EXT1", "EXT2", "EXT4"}
            if number == OPCODES or (imported and opcode.name in CALLS):
                return True
    except (ValueError, IndexError, UnicodeDecodeError, OverflowError):
        return False
    return False


def _is_dotted(argument: str) -> bool:
    """Whether `module name`, as GLOBAL has it, could name anything."""
    return all(part.isidentifier() for part in argument.replace(" ", ".").split("."))


def _goes_on(content: bytes) -> bool:
    """Whether an unpickler finds an opcode behind PROTO; the length of a safetensors header may begin like one."""
    needed = 9 if content[4:9] == b"\0\0\0\0{" else 2
    try:
        return any(position >= needed for _, _, position in pickletools.genops(content) if position is not None)
    except Exception:  # noqa: BLE001  pickletools promises no kind of error for what is no pickle
        return False


def _is_zlib(head: bytes) -> bool:
    """Two bytes say little (a safetensors header may have such a length), so the beginning is unpacked."""
    try:
        return head[:2] in ZLIB and zlib.decompressobj().decompress(head, 1 << 16) is not None
    except zlib.error:
        return False


def _is_onnx(head: bytes) -> bool:
    """ModelProto as exporters write it: the version first, then producer, domain, model version or graph."""
    return (
        len(head) > 8
        and head[0] == 0x08
        and 0 < head[1] <= 32
        and head[2] in b"\x12\x1a\x22\x28\x3a"
        and head[8] != 0x7B
    )


def _named(words: str, content: bytes) -> str:
    kinds = [kind for member, kind in ZIPS if member in content] if "zip" in words else []
    return f"{words} ({kinds[0]})" if kinds else words


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


def _pickled(subject: Subject, head: bytes) -> bool:
    return is_pickle(head if subject.name.endswith(".safetensors") else subject.content)


def check(subject: Subject) -> Iterator[Finding]:
    """Findings `format.unsupported` and `content.polyglot`: it is, begins or ends as what may not be published."""
    yield from _check(subject, b"")


def check_table(subject: Subject) -> Iterator[Finding]:
    """As `check`, for the one file that may be parquet; one that begins so is no pickle that an unpickler gets into."""
    yield from _check(subject, PARQUET)


def _check(subject: Subject, allowed: bytes) -> Iterator[Finding]:
    head = subject.read(64 << 10)
    remedy = "publish weights as safetensors and documents as text; leave this file out"
    found = [
        words
        for magic, at, words in MAGIC
        if magic != allowed and head[at : at + len(magic)] == magic and (magic not in WORDS or b"\0" in head[:64])
    ]
    if _is_zlib(head):
        found.append("zlib data (a joblib file may be)")
    elif _is_onnx(head):
        found.append("ONNX")
    elif head.lstrip()[:1] == b"{" and b'"nbformat"' in head + subject.read(4096, max(0, subject.size - 4096)):
        found.append("a notebook")
    if found:
        reason = f"its content is {_named(found[0], head)}, a format that may not be published"
        yield subject.finding(UNSUPPORTED, reason, remedy, 0)
    elif LEGACY_TORCH in head[:64] or (not (allowed and head.startswith(allowed)) and _pickled(subject, head)):
        reason = "its content is a pickle, a format that may not be published: loading it can run any program"
        yield subject.finding(UNSUPPORTED, reason, "convert it with `slipway import`", 0)
    elif (at := _zip_at_end(subject)) is not None:
        yield subject.finding("content.polyglot", "it ends as a zip archive, so it can be opened as one", remedy, at)
