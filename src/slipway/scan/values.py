"""The numbers in the weights: no NaN, no infinity, and no matrix that holds nothing but zeros.

Every byte is looked at, in blocks that fit a processor's cache, as whole numbers: in each format the values that are
no numbers have the largest exponent, so they are the largest or the smallest whole numbers, and one maximum finds them.
No number is converted, so it is as fast as the memory.

A matrix of zeros makes a layer deaf: nobody trains one on purpose, and a file that was cut short and filled up looks
like that. Vectors are left alone, for biases and norms start at zero and some stay there; so are the matrices that
begin as "no effect" (an adapter's second half, tables that are added). A file of zeros alone is always refused.
"""

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

from slipway.records import Finding
from slipway.scan.subject import Subject

if TYPE_CHECKING:
    import numpy as np

BLOCK = 1 << 20
"""Bytes looked at at once."""
SHOWN = 20
"""Findings of one file at most; what is wrong with one tensor is often wrong with all."""
NEUTRAL = re.compile(
    r"lora_B|lora_embedding_A|lora_E\b|bias|position_embedding|(^|\.)(ia3_l|vera_lambda)|rel_pos|pos_embed|time_embed"
    r"|(mask|class|cls|group|register|query)_tokens?\b|attention_weights|sampling_offsets|codebook|router|gate\.weight$"
    r"|oft_R|boft_R|hada_w2_b|lokr_w1|hira_B|glora_|lily_B|peanut_B|shadow_up"
    r"|_projection_weight$|\.ape$|weight_integer$|bbox_embed|gate_preact"
)
"""Parts of names whose tensors may be zero: without an effect until they are trained, as the libraries make them."""
BOUND = re.compile(r"[_.](min|max)$")
"""Names of single numbers that stand for a bound; there is none if they are infinite."""
SHARD = re.compile(r"-\d{5}-of-\d{5}\.safetensors$")
"""A part of a model may hold biases only; a whole one that is all zero holds nothing."""
_REMEDY = "publish a checkpoint from before the training went wrong, or save the file again"


class Tensor(NamedTuple):
    """One tensor as the header describes it."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    first: int
    """Offset of its first byte in the file."""
    last: int
    """Offset behind its last byte."""


@dataclass(frozen=True)
class Format:
    """Where a floating-point format keeps what is no number, seen as whole numbers of its width."""

    bytes: int
    above: int | None
    """From this magnitude on (sign left out) a value is NaN or infinite; None if the sign bit alone says so."""
    zero: bool = True
    """Whether it can write zero."""


FORMATS = {
    "F64": Format(8, 0x7FF0_0000_0000_0000),
    "F32": Format(4, 0x7F80_0000),
    "C64": Format(4, 0x7F80_0000),
    "F16": Format(2, 0x7C00),
    "BF16": Format(2, 0x7F80),
    "F8_E5M2": Format(1, 0x7C),
    "F8_E4M3": Format(1, 0x7F),
    "F8_E5M2FNUZ": Format(1, None),
    "F8_E4M3FNUZ": Format(1, None),
    "F8_E8M0": Format(1, None, zero=False),
}


def _no_numbers(block: "np.ndarray[Any, Any]", form: Format) -> "np.ndarray[Any, Any]":
    """Which values of a block are NaN or infinite: the slow way, for saying where."""
    sign = 1 << (8 * form.bytes - 1)
    if form.above is None:
        return block == (sign if form.zero else 0xFF)
    return (block & (sign - 1)) >= form.above


def _judge_block(unsigned: "np.ndarray[Any, Any]", form: Format) -> tuple[bool, bool]:
    """(all are numbers, all are zero). Zero has two forms, with and without sign."""
    sign = 1 << (8 * form.bytes - 1)
    largest = int(unsigned.max())
    if not form.zero:
        return largest != 0xFF, False
    if form.above is None:
        return not bool((unsigned == sign).any()), largest == 0
    positive = int(unsigned.view(f"i{form.bytes}").max())
    return positive < form.above and largest < sign + form.above, positive <= 0 and largest in (0, sign)


class _Reader:
    """Reads stretches of one file into one buffer: nothing is mapped, so a limit on addresses does not matter."""

    def __init__(self, subject: Subject) -> None:
        import numpy as np

        self._file = os.open(subject.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        self._buffer: np.ndarray[Any, Any] = np.empty(BLOCK, "u1")

    def blocks(self, first: int, last: int, width: int) -> "Iterator[tuple[int, np.ndarray[Any, Any]]]":
        """(offset, whole numbers of `width` bytes); the buffer is used again for the next."""
        for start in range(first, last, BLOCK):
            size = min(BLOCK, last - start)
            if os.preadv(self._file, [self._buffer[:size].data], start) != size:
                raise OSError(f"could not be read at byte {start}: the file became shorter")
            yield start, self._buffer[:size].view(f"<u{width}")

    def close(self) -> None:
        os.close(self._file)


def _judge_tensor(reader: _Reader, tensor: Tensor) -> tuple[tuple[str, str, int] | None, bool]:
    """(rule, reason, offset) of what is wrong with the values; and whether all are zero."""
    form = FORMATS[tensor.dtype]
    zero = True
    for start, block in reader.blocks(tensor.first, tensor.last, form.bytes):
        finite, none = _judge_block(block, form)
        if not finite:
            whole = int(block[0]) & ((1 << (8 * form.bytes - 1)) - 1)
            if BOUND.search(tensor.name) and prod(tensor.shape) == 1 and whole == form.above:
                return None, False
            at = start + form.bytes * int(_no_numbers(block, form).argmax())
            place = (at - tensor.first) // form.bytes
            return ("not_finite", f"holds NaN or an infinite value, the first as number {place}", at), False
        zero = zero and none
    long_sides = sum(side > 1 for side in tensor.shape)
    if zero and form.zero and long_sides > 1 and not NEUTRAL.search(tensor.name):
        shape = " x ".join(map(str, tensor.shape))
        return ("all_zero", f"is a matrix of {shape} numbers that are all zero", tensor.first), True
    return None, zero and form.zero


def check(subject: Subject, tensors: Iterable[Tensor]) -> Iterator[Finding]:
    """Findings `weights.not_finite` and `weights.all_zero`, at most `SHOWN` of a file.

    Args:
        subject: a safetensors file whose structure holds.
        tensors: what its header lists.

    Raises:
        OSError: if the file cannot be read to its end.
    """
    floating = [tensor for tensor in tensors if tensor.dtype in FORMATS and tensor.first < tensor.last]
    if not floating:
        return
    reader = _Reader(subject)
    found, nothing = 0, True
    try:
        for tensor in floating:
            fault, zero = _judge_tensor(reader, tensor)
            nothing = nothing and zero
            if fault:
                rule, reason, offset = fault
                yield subject.finding(f"weights.{rule}", f"tensor {tensor.name!r} {reason}", _REMEDY, offset)
                found += 1
                if found == SHOWN:
                    return
    finally:
        reader.close()
    several = sum(prod(tensor.shape) for tensor in floating) > 1
    if nothing and several and not found and not SHARD.search(subject.name):
        yield subject.finding("weights.all_zero", "every number in it is zero", _REMEDY, floating[0].first)
