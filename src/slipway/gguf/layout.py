"""Numbers of the format, and the bytes of a header. No model is read here.

A file is magic, version, two counts, the metadata, the list of tensors, zeros up to a multiple of ALIGNMENT, and the
tensors' bytes, each filled up with zeros in the same way (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md).
"""

import struct
from math import prod
from typing import Any, NamedTuple

MAGIC = b"GGUF"
VERSION = 3
ALIGNMENT = 32
UINT32, INT32, FLOAT32, BOOL, STRING, ARRAY = 4, 5, 6, 7, 8, 9
"""Types of metadata values; these are all that a release's file uses."""
_PACKED = {UINT32: "<I", INT32: "<i", FLOAT32: "<f", BOOL: "<?"}


class Type(NamedTuple):
    """How the numbers of a tensor are stored."""

    code: int
    """Of the tensor, in the file."""
    file_type: int
    """`general.file_type` of a file whose matrices have this type."""
    block: int
    """Numbers that are stored together; a row holds whole blocks."""
    bytes: int
    """Of one block."""


TYPES = {
    "f32": Type(0, 0, 1, 4),
    "f16": Type(1, 1, 1, 2),
    "bf16": Type(30, 32, 1, 2),
    "q8_0": Type(8, 7, 32, 34),
}
QUANTIZATION_VERSION = 2


class Entry(NamedTuple):
    """One line of the metadata."""

    key: str
    kind: int
    value: Any
    item: int | None = None
    """Type of the items of an ARRAY."""


class Tensor(NamedTuple):
    """One tensor of the file, and where its numbers come from."""

    name: str
    source: str
    """Its name in the safetensors."""
    shape: tuple[int, ...]
    """Rows first, as in the safetensors; the file lists sides the other way round."""
    type: str
    heads: int = 0
    """Heads whose rows are put in another order, 0 for none: see `regrouped`."""


class Plan(NamedTuple):
    """All of a file but the numbers."""

    entries: list[Entry]
    tensors: list[Tensor]


def file_name(name: str, kind: str) -> str:
    """The file of a model in one type, as llama.cpp's users name them."""
    return f"{name}-{kind.upper()}.gguf"


def padded(size: int) -> int:
    """The next multiple of ALIGNMENT."""
    return -(-size // ALIGNMENT) * ALIGNMENT


def size(tensor: Tensor) -> int:
    """Bytes of a tensor without filling."""
    kind = TYPES[tensor.type]
    return prod(tensor.shape) // kind.block * kind.bytes


def regrouped(rows: Any, heads: int) -> Any:
    """Rows of queries or keys in llama.cpp's order; `rows` is an array of whole heads, or of numbers (a bias).

    The rotation of positions pairs number i of a head with number i + half in transformers, with its neighbour in
    llama.cpp's `llama` architecture.
    """
    shape = rows.shape
    return rows.reshape(heads, 2, shape[0] // heads // 2, *shape[1:]).swapaxes(1, 2).reshape(shape)


def encoded(entry: Entry) -> bytes:
    """A metadata value as it stands in the file, its type included."""
    if entry.item is None:
        return struct.pack("<I", entry.kind) + _value(entry.kind, entry.value)
    head = struct.pack("<IIQ", ARRAY, entry.item, len(entry.value))
    return head + b"".join(_value(entry.item, value) for value in entry.value)


def _value(kind: int, value: Any) -> bytes:
    if kind == STRING:
        return text(value)
    return struct.pack(_PACKED[kind], value)


def text(value: str) -> bytes:
    """A string with its length."""
    raw = value.encode()
    return struct.pack("<Q", len(raw)) + raw


def header(plan: Plan) -> bytes:
    """Everything before the tensors' bytes, filling included."""
    parts = [MAGIC, struct.pack("<IQQ", VERSION, len(plan.tensors), len(plan.entries))]
    parts += [text(entry.key) + encoded(entry) for entry in plan.entries]
    offset = 0
    for tensor in plan.tensors:
        sides = tensor.shape[::-1]
        parts.append(text(tensor.name) + struct.pack(f"<I{len(sides)}Q", len(sides), *sides))
        parts.append(struct.pack("<IQ", TYPES[tensor.type].code, offset))
        offset += padded(size(tensor))
    found = b"".join(parts)
    return found.ljust(padded(len(found)), b"\0")
