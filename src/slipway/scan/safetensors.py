"""Structure of safetensors files, read from the header alone; then the numbers and shapes of what the header lists.

No library that loads tensors is imported. Numbers are judged only where the structure holds (`slipway.scan.values`,
`slipway.scan.shapes`): before, nobody knows which bytes are whose.

Format: 8 bytes little-endian length, a JSON header of that length, then the tensors' bytes without gap,
overlap or tail (https://github.com/huggingface/safetensors#format).
"""

import base64
import re
from collections.abc import Iterator
from dataclasses import replace
from math import prod
from typing import Any

from slipway import patterns
from slipway.records import Finding
from slipway.scan import containers, shapes, structure, subversion, text, values
from slipway.scan.subject import Subject
from slipway.scan.values import Tensor

HEADER_LIMIT = 25 << 20
"""Largest header, in bytes; a header of a thousand tensors has about 100 kB."""
BITS = {
    "BOOL": 8, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8, "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8,
    "I16": 16, "U16": 16, "F16": 16, "BF16": 16, "I32": 32, "U32": 32, "F32": 32, "C64": 64, "F64": 64,
    "I64": 64, "U64": 64, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6,
}  # fmt: skip
RANK = 64
"""Sides of a tensor."""
TWICE = 4
"""Tied weights are counted more than once by some, and sizes before a quantisation by others."""
PERSONAL = ("email", "card", "iban", "ssn")
"""Personal data that metadata may not hold."""
_NAME = re.compile(r"[A-Za-z0-9_.\-/]{1,512}")
_CODE = re.compile(
    r"(?i)\"?\b(?:auto_map|_target_|trust_remote_code|custom_generate|custom_pipelines?)\b\"?\s*[:=]|<\s*(?:script|iframe)\b"
    r"|\bon(?:error|load|click)\s*=|\bjavascript:|__reduce__|__import__"
)
_REMEDY = "save the weights again with safetensors"


def _judge_tensor(subject: Subject, name: str, entry: Any, space: int) -> tuple[tuple[int, int] | None, list[Finding]]:
    """(span of the tensor's bytes, findings) of one entry; the span is None if it cannot be used."""

    def refused(rule: str, reason: str) -> tuple[None, list[Finding]]:
        return None, [subject.finding(f"safetensors.{rule}", f"tensor {name[:80]!r}: {reason}", _REMEDY)]

    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        return refused("header", "must have exactly dtype, shape and data_offsets")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in BITS:
        return refused("dtype", f"unknown dtype {str(dtype)[:40]!r}")
    for label, numbers in (("shape", shape), ("data_offsets", offsets)):
        if (
            not isinstance(numbers, list)
            or len(numbers) > RANK
            or any(type(n) is not int or n < 0 or n >= 2**63 for n in numbers)
        ):
            return refused("header", f"{label} is not a list of up to {RANK} whole numbers")
    if len(offsets) != 2 or not offsets[0] <= offsets[1] <= space:
        return refused("bounds", f"data_offsets {offsets} do not lie within the {space} bytes of data")
    if prod(shape) * BITS[dtype] != 8 * (offsets[1] - offsets[0]):
        return refused("span", f"{dtype} {shape} does not fill {offsets[1] - offsets[0]} bytes")
    return (offsets[0], offsets[1]), []


def _judge_spans(subject: Subject, spans: list[tuple[int, int, str]], start: int) -> Iterator[Finding]:
    end = 0
    for first, last, name in sorted(spans):
        if first != end:
            rule, words = (
                ("overlap", "begins inside the tensor before it") if first < end else ("hole", "leaves a gap before it")
            )
            yield subject.finding(f"safetensors.{rule}", f"tensor {name!r} {words}, at {first}", _REMEDY, start + first)
            return
        end = last
    if start + end != subject.size:
        reason = f"{subject.size - start - end} bytes follow the last tensor"
        yield subject.finding("safetensors.tail", reason, _REMEDY, start + end)


def _judge_metadata(subject: Subject, metadata: Any) -> Iterator[Finding]:
    if not isinstance(metadata, dict) or any(not isinstance(value, str) for value in metadata.values()):
        yield subject.finding("safetensors.metadata", "__metadata__ must map text to text", _REMEDY)
        return
    for key, value in metadata.items():
        yield from text.secrets(subject, f'{key} = "{value}"')
        if found := patterns.find(value, PERSONAL):
            reason = f"{key[:40]!r} holds personal data ({found[0].kind}: {value[found[0].start :][:4]}…)"
            yield subject.finding("safetensors.personal", reason, "remove it from the metadata")
        if code := _CODE.search(value):
            reason = f"{key[:40]!r} holds what a loader would run: {code[0][:40]!a}"
            yield subject.finding("safetensors.metadata", reason, "remove it from the metadata")
        if said := subversion.subverting(value) or (is_packed_pickle(value) and "a pickle in base64"):
            yield subject.finding("safetensors.metadata", f"{key[:40]!r} holds {said[:60]!a}", "remove it")
        if any(not (c.isprintable() or c in "\n\t") for c in key + value):
            yield subject.finding(
                "safetensors.metadata", f"{key[:40]!r} holds control or direction characters", _REMEDY
            )


def is_packed_pickle(value: str) -> bool:
    """Whether a text is a pickle in base64, as some keep objects in metadata."""
    try:
        return containers.is_pickle(base64.b64decode(value, validate=True))
    except ValueError:
        return False


def _judge_header(subject: Subject, header: Any, start: int, tensors: list[Tensor]) -> Iterator[Finding]:
    """Findings of the header; what it lists is appended to `tensors`."""
    if not isinstance(header, dict):
        yield subject.finding("safetensors.header", "the header is not an object", _REMEDY, 8)
        return
    yield from _judge_metadata(subject, header.get("__metadata__", {}))
    spans: list[tuple[int, int, str]] = []
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        if not _NAME.fullmatch(name) or ".." in name or name.startswith("/"):
            reason = f"tensor {name[:80]!a}: the name may hold letters, digits and `_ . - /`, no `..`, no leading `/`"
            yield subject.finding("safetensors.name", reason, _REMEDY)
        span, findings = _judge_tensor(subject, name, entry, subject.size - start)
        yield from findings
        if span:
            spans.append((*span, name))
            tensors.append(Tensor(name, entry["dtype"], tuple(entry["shape"]), start + span[0], start + span[1]))
        if findings:
            return
    if not spans:
        yield subject.finding("safetensors.header", "holds no tensor", _REMEDY, 8)
        return
    yield from _judge_spans(subject, spans, start)


def judge_structure(subject: Subject, tensors: list[Tensor]) -> Iterator[Finding]:
    """Findings of size and header; what a sound header lists is appended to `tensors`."""
    head = subject.read(9)
    if len(head) < 9:
        yield subject.finding("safetensors.size", f"has {len(head)} bytes, less than any header", _REMEDY)
        return
    length = int.from_bytes(head[:8], "little")
    if length > HEADER_LIMIT or 8 + length > subject.size:
        reason = f"the header would have {length} bytes; the file has {subject.size}, the limit is {HEADER_LIMIT}"
        yield subject.finding("safetensors.size", reason, _REMEDY, 0)
        return
    if head[8:] != b"{":
        yield subject.finding("safetensors.header", "the header does not begin with `{`", _REMEDY, 8)
        return
    content = subject.read(length, 8)
    # The strict JSON reader sees the header as a file of its own.
    part = replace(subject, size=length)
    part.__dict__["content"] = content.rstrip(b" ")
    header, findings = structure.parse(part, "safetensors")
    yield from findings
    if not findings:
        yield from _judge_header(subject, header, 8 + length, tensors)


def check(subject: Subject) -> Iterator[Finding]:
    """Findings `safetensors.*`; if there is none, `weights.*`.

    Of the structure: size, header, duplicate, dtype, bounds, span, overlap, hole, tail, name, metadata, personal.
    """
    tensors: list[Tensor] = []
    sound = True
    for finding in judge_structure(subject, tensors):
        sound = False
        yield finding
    if sound:
        yield from values.check(subject, tensors)
        yield from shapes.check(subject, tensors)


def check_index(subject: Subject) -> Iterator[Finding]:
    """Findings `index.*`: shards are plain names of files in the same directory, and every shard there is used."""
    value, findings = structure.parse(subject)
    yield from findings
    if findings:
        return
    shards = value.get("weight_map") if isinstance(value, dict) else None
    if not isinstance(shards, dict) or not shards or any(not isinstance(name, str) for name in shards.values()):
        yield subject.finding("index.shape", "has no weight_map from tensor to file", _REMEDY)
        return
    for name in sorted(set(shards.values())):
        if "/" in name or "\\" in name or not name.endswith(".safetensors") or name not in subject.siblings:
            reason = f"names the shard {name[:80]!r}, which is no safetensors file beside it"
            yield subject.finding("index.shard", reason, _REMEDY)
    for name in sorted(subject.siblings - set(shards.values())):
        if name.endswith(".safetensors"):
            yield subject.finding("index.shard", f"does not name {name}, which would be published unused", _REMEDY)
    yield from _judge_map(subject, shards)
    metadata = value.get("metadata")
    total = metadata.get("total_size") if isinstance(metadata, dict) else None
    held = sum(subject.path.with_name(n).lstat().st_size for n in set(shards.values()) if n in subject.siblings)
    if total is not None and not (type(total) in (int, float) and 0 <= total <= TWICE * held + (1 << 20)):
        yield subject.finding("index.size", f"says {total} bytes; its shards have {held}", _REMEDY)


def _judge_map(subject: Subject, shards: dict[str, str]) -> Iterator[Finding]:
    """Every shard holds exactly the tensors that the index says; a shard that is not sound has findings of its own."""
    for name in sorted(set(shards.values())):
        if name not in subject.siblings or "/" in name or not name.endswith(".safetensors"):
            continue
        path = subject.path.with_name(name)
        if not path.is_file() or path.is_symlink():
            continue
        tensors: list[Tensor] = []
        if any(judge_structure(Subject(path, name, path.stat().st_size), tensors)):
            continue
        held = {tensor.name for tensor in tensors}
        named = {key for key, shard in shards.items() if shard == name}
        if wrong := sorted(held ^ named):
            words = "does not hold" if wrong[0] in named else "holds unnamed"
            reason = f"{len(wrong)} tensors differ: {name} {words} {wrong[0][:80]!r}"
            yield subject.finding("index.tensor", reason, _REMEDY)
