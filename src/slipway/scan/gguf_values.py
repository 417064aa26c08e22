"""The numbers of a GGUF file against those of the safetensors beside it, a stretch at a time.

Each stretch is converted anew, by numpy and not by the exporter's library, and must give the very bytes of the file:
float32, float16 and bfloat16 to the nearest, ties to even; q8_0 in blocks of 32 numbers, a float16 scale (the largest
magnitude by 127) and 32 signed bytes, ties away from zero.
"""

import os
from collections.abc import Iterator, Mapping
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slipway.gguf import layout
from slipway.scan.gguf_header import Described, Fault
from slipway.scan.values import Tensor

if TYPE_CHECKING:
    import numpy as np

NUMBERS = 1 << 15
"""Converted at once, so that all copies stay in a processor's cache."""
WIDTHS = {"F32": 4, "F16": 2, "BF16": 2}
_SAME = {("F32", "f32"), ("F16", "f16"), ("BF16", "bf16")}


class _Files:
    """Files read by offset; nothing is mapped, so a limit on memory holds."""

    def __init__(self) -> None:
        self._open: dict[Path, int] = {}

    def read(self, path: Path, first: int, last: int) -> "np.ndarray[Any, Any]":
        import numpy as np

        if path not in self._open:
            self._open[path] = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        found = os.pread(self._open[path], last - first, first)
        if len(found) != last - first:
            raise OSError(f"{path.name} could not be read at byte {first}: the file became shorter")
        return np.frombuffer(found, "u1")

    def close(self) -> None:
        for handle in self._open.values():
            os.close(handle)


def _floats(raw: "np.ndarray[Any, Any]", dtype: str) -> "np.ndarray[Any, Any]":
    """float32 numbers of a stretch of safetensors."""
    import numpy as np

    if dtype == "F32":
        return raw.view("<f4")
    if dtype == "F16":
        return raw.view("<f2").astype(np.float32)
    return (raw.view("<u2").astype(np.uint32) << 16).view("<f4")


def _q8_0(numbers: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
    import numpy as np

    blocks = numbers.reshape(-1, 32)
    scale = np.abs(blocks).max(axis=1, keepdims=True) / np.float32(127)
    inverse = np.divide(np.float32(1), scale, out=np.zeros_like(scale), where=scale != 0)
    exact = blocks * inverse
    whole = np.rint(exact)
    # numpy rounds ties to even; they are rare, so they are mended only where there is one.
    ties = np.abs(exact - whole) == np.float32(0.5)
    if ties.any():
        whole[ties] = np.trunc(exact[ties]) + np.sign(exact[ties])
    found = np.empty((len(blocks), 34), "u1")
    found[:, :2] = scale.astype("<f2").view("u1")
    found[:, 2:] = whole.astype(np.int8).view("u1")
    return found


def converted(raw: "np.ndarray[Any, Any]", dtype: str, kind: str) -> "np.ndarray[Any, Any]":
    """Bytes that a stretch of safetensors becomes in a GGUF file.

    Args:
        raw: its bytes.
        dtype: of the safetensors, one of `WIDTHS`.
        kind: of the GGUF, one of `layout.TYPES`.
    """
    import numpy as np

    if (dtype, kind) in _SAME:
        return raw
    numbers = _floats(raw, dtype)
    if kind == "f32":
        found: np.ndarray[Any, Any] = numbers
    elif kind == "f16":
        found = numbers.astype("<f2")
    elif kind == "bf16":
        bits = numbers.view("<u4")
        found = ((bits + (((bits >> 16) & 1) + np.uint32(0x7FFF))) >> 16).astype("<u2")
    else:
        found = _q8_0(numbers)
    return found.reshape(-1).view("u1")


def _stretches(tensor: layout.Tensor) -> Iterator[tuple[int, int]]:
    """First and last-plus-one number of stretches; those of regrouped rows hold whole heads."""
    total = prod(tensor.shape)
    step = NUMBERS
    if tensor.heads:
        head = total // tensor.heads
        step = max(1, NUMBERS // head) * head
    for first in range(0, total, step):
        yield first, min(first + step, total)


def _regrouped(raw: "np.ndarray[Any, Any]", tensor: layout.Tensor, width: int) -> "np.ndarray[Any, Any]":
    """Whole heads of a stretch, with their rows in the file's order."""
    row = width * prod(tensor.shape[1:])
    rows = raw.reshape(-1, row)
    heads = len(rows) * tensor.heads // tensor.shape[0]
    return layout.regrouped(rows, heads).reshape(-1)


def _judge(files: _Files, path: Path, place: Described, tensor: layout.Tensor, source: tuple[Path, Tensor]) -> None:
    """Raises Fault `value` at the first number that is not the source's."""
    import numpy as np

    kind, width = layout.TYPES[tensor.type], WIDTHS[source[1].dtype]
    for first, last in _stretches(tensor):
        raw = files.read(source[0], source[1].first + first * width, source[1].first + last * width)
        if tensor.heads:
            raw = _regrouped(raw, tensor, width)
        expected = converted(raw, source[1].dtype, tensor.type)
        begin, end = (place.first + number // kind.block * kind.bytes for number in (first, last))
        actual = files.read(path, begin, end)
        if not np.array_equal(expected, actual):
            at = begin + int((expected != actual).argmax())
            reason = f"tensor {tensor.name!r} is not what {tensor.source!r} of the weights gives as {tensor.type}"
            raise Fault("value", reason, at)
        scales = actual.reshape(-1, kind.bytes)[:, :2].copy().view("<f2") if tensor.type == "q8_0" else None
        if tensor.type == "f16":
            scales = actual.view("<f2")
        if scales is not None and not np.isfinite(scales).all():
            raise Fault("not_finite", f"tensor {tensor.name!r} holds a number that {tensor.type} cannot hold", begin)


def check(
    path: Path, plan: layout.Plan, places: list[Described], sources: Mapping[str, tuple[Path, Tensor]], size: int
) -> None:
    """Every number of the file.

    Args:
        path: the file.
        plan: what it must hold.
        places: where its tensors are, in the plan's order.
        sources: tensor of the safetensors -> its file, and where it is there.
        size: of the file.

    Raises:
        Fault: `value`, `not_finite` or `filling`, with the offset.
        OSError: if a file cannot be read to its end.
    """
    import numpy as np

    files = _Files()
    ends = [place.first for place in places[1:]] + [size]
    try:
        # Weights that are no numbers, or too large for the type, are found; numpy need not warn of them as well.
        with np.errstate(all="ignore"):
            for tensor, place, end in zip(plan.tensors, places, ends, strict=True):
                _judge(files, path, place, tensor, sources[tensor.source])
                if files.read(path, place.last, end).any():
                    raise Fault("filling", f"holds bytes behind the tensor {tensor.name!r}", place.last)
    finally:
        files.close()
