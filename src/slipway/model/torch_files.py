"""Files of `torch.save`, judged by their structure before torch sees them: what else is in there is refused.

Two formats are let through, as torch writes them: the zip (since 1.6) with stored members of known names, and the
sequence of five pickles before it. Their pickles are read as a list of instructions, which runs nothing, and may ask
only for what rebuilds tensors. `slipway.model.unpickling` then loads the file in a process of its own.
"""

import pickletools
import re
import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from slipway.errors import Refusal

LEGACY = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
"""The number that files from before torch 1.6 begin with."""
PICKLE_LIMIT = 64 << 20
"""Largest pickle of names and shapes, in bytes; a thousand tensors need about 200 kB."""
MEMBER = re.compile(
    r"data\.pkl|byteorder|version|\.format_version|\.storage_alignment|\.data/serialization_id|data/\d{1,9}"
)
REBUILDS = re.compile(
    r"collections OrderedDict|torch\._utils _rebuild_(tensor_v2|parameter|parameter_with_state)|torch Size|"
    r"torch (Float|Double|Half|BFloat16|Long|Int|Short|Char|Byte|Bool|ComplexFloat|Untyped)Storage|"
    r"torch\.storage (Untyped|Typed)Storage|torch (u?int(8|16|32|64)|float(16|32|64)|bfloat16|bool|"
    r"float8_e(5m2|4m3fn)(uz)?|complex64)|torch\._tensor _rebuild_from_type_v2|"
    r"torch\.nn\.parameter Parameter|torch Tensor"
)
UNKNOWN_CALLS = {"STACK_GLOBAL", "INST", "OBJ", "EXT1", "EXT2", "EXT4", "NEWOBJ", "NEWOBJ_EX", "PERSID"}
"""Instructions that torch does not write and that could name something else than GLOBAL says."""


def _refuse(path: Path, reason: str) -> Refusal:
    return Refusal(
        f"{path}: {reason}. Slipway reads only plain files of torch.save; ask whoever made it for safetensors, or save "
        "the state_dict alone again with a current torch"
    )


class _Bounded:
    """A stream that gives at most `PICKLE_LIMIT` bytes: an instruction may claim any length."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream, self._left = stream, PICKLE_LIMIT

    def _take(self, content: bytes) -> bytes:
        self._left -= len(content)
        if self._left < 0:
            raise ValueError(f"a pickle of more than {PICKLE_LIMIT} bytes")
        return content

    def read(self, size: int) -> bytes:
        if size > self._left:
            raise ValueError(f"a pickle of more than {PICKLE_LIMIT} bytes")
        return self._take(self._stream.read(size))

    def readline(self) -> bytes:
        return self._take(self._stream.readline(self._left + 1))

    def tell(self) -> int:
        return self._stream.tell()


def _instructions(path: Path, stream: IO[bytes]) -> None:
    """One pickle, read from where the stream stands to its end; it may only rebuild tensors."""
    try:
        for opcode, argument, _ in pickletools.genops(_Bounded(stream)):  # type: ignore[arg-type]
            if opcode.name in UNKNOWN_CALLS:
                raise _refuse(path, f"its pickle uses {opcode.name}, which could call anything")
            if opcode.name == "GLOBAL" and not REBUILDS.fullmatch(str(argument)):
                raise _refuse(path, f"its pickle asks for {str(argument)[:80]!a}, and loading would call it")
    except (ValueError, IndexError, OverflowError, MemoryError) as error:
        raise _refuse(path, f"its pickle cannot be read: {str(error)[:120]!a}") from None


def _members(path: Path, archive: zipfile.ZipFile) -> Iterator[zipfile.ZipInfo]:
    """The members, each known by name, stored, unencrypted, and the same in both places that describe it."""
    seen: set[str] = set()
    end = 0
    root = archive.infolist()[0].filename.split("/")[0] if archive.infolist() else ""
    for info in sorted(archive.infolist(), key=lambda info: info.header_offset):
        name = info.orig_filename
        if name in seen or not name.startswith(f"{root}/") or not MEMBER.fullmatch(name[len(root) + 1 :]):
            raise _refuse(path, f"the zip holds {name[:80]!a}, twice or where torch.save writes nothing of that name")
        if info.flag_bits & ~0x0808 or info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size:
            raise _refuse(path, f"the zip's member {name[:80]!a} is encrypted or compressed")
        if not end <= info.header_offset < archive.start_dir:
            raise _refuse(path, f"the zip's member {name[:80]!a} does not begin where the zip says")
        with path.open("rb") as stream:
            stream.seek(info.header_offset)
            head = stream.read(30)
            if len(head) < 30 or head[:4] != b"PK\x03\x04":
                raise _refuse(path, f"the zip's member {name[:80]!a} does not begin where the zip says")
            flags, method = struct.unpack_from("<HH", head, 6)
            length, extra = struct.unpack_from("<HH", head, 26)
            if (flags, method) != (info.flag_bits, 0) or stream.read(length) != name.encode():
                raise _refuse(path, f"the zip describes its member {name[:80]!a} in two ways")
        end = info.header_offset + 30 + length + extra + info.file_size
        if end > archive.start_dir:
            raise _refuse(path, f"the zip's member {name[:80]!a} reaches into the zip's directory")
        seen.add(name)
        yield info


def _check_zip(path: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            members = list(_members(path, archive))
            if archive.comment or not members or members[0].header_offset != 0:
                raise _refuse(path, "the zip has a comment, holds nothing, or begins after its first byte")
            pickles = [info for info in members if info.orig_filename.endswith("/data.pkl")]
            if len(pickles) != 1 or pickles[0].file_size > PICKLE_LIMIT:
                raise _refuse(path, "the zip does not hold one data.pkl of a possible size")
            if broken := archive.testzip():
                raise _refuse(path, f"the checksum of its member {broken[:80]!a} is wrong")
            with archive.open(pickles[0]) as stream:
                _instructions(path, stream)
                if stream.read(1):
                    raise _refuse(path, "something follows its pickle")
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, ValueError, EOFError, struct.error) as error:
        raise _refuse(path, f"the zip is broken: {str(error)[:120]!a}") from None


def check(path: Path) -> None:
    """That a file is what torch.save writes for tensors, and nothing else.

    Raises:
        Refusal: naming what it is or holds instead.
    """
    with path.open("rb") as stream:
        head = stream.read(len(LEGACY))
        if head == LEGACY:
            stream.seek(0)
            for _ in range(5):  # the number, the protocol, sizes of this machine's types, the tensors, their storages
                _instructions(path, stream)
            return
    if head[:4] != b"PK\x03\x04":
        raise _refuse(path, "it is neither a zip of torch.save nor its format from before, whatever it is called")
    _check_zip(path)
