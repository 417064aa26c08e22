"""Packing of whole documents: each stays in one row if it fits, and rows are filled best-fit decreasing.

Documents longer than a row are cut into full rows and a rest; rests and short documents are placed longest
first, each into the fullest row that still has room (Ding et al., ICML 2024, arXiv:2404.10830). The result depends
on the lengths alone. Memory: about 40 bytes per document of the file, not its tokens.
"""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

BLOCK = 1 << 22
"""Places that are laid out at a time."""


class Plan(NamedTuple):
    """Where each piece of the documents goes."""

    source: Any
    """int64, shape (pieces): its first token in the stream of documents."""
    lengths: Any
    """int64, shape (pieces)."""
    document: Any
    """int64, shape (pieces): number of its document in the file."""
    place: Any
    """int64, shape (pieces), ascending: its first place, counted through all rows."""
    rows: int


def _best_fit(lengths: Any, capacity: int) -> tuple[Any, Any, int]:
    """Row and column of every piece, and the number of rows; no length may exceed `capacity`."""
    row, column = np.zeros(len(lengths), np.int64), np.zeros(len(lengths), np.int64)
    open_rows: list[list[int]] = [[] for _ in range(capacity + 1)]
    room = 0
    """Bit r is set if a row with room for exactly r tokens is open."""
    rows = 0
    order = np.argsort(-lengths, kind="stable")
    for piece, length in zip(order.tolist(), lengths[order].tolist(), strict=True):
        enough = room >> length
        if enough:
            free = length + (enough & -enough).bit_length() - 1
            number = open_rows[free].pop()
            if not open_rows[free]:
                room ^= 1 << free
        else:
            free, number = capacity, rows
            rows += 1
        row[piece], column[piece] = number, capacity - free
        if left := free - length:
            open_rows[left].append(number)
            room |= 1 << left
    return row, column, rows


def plan(lengths: Any, capacity: int) -> Plan:
    """Cut and place documents of these lengths (int64, none 0) into rows of `capacity` tokens."""
    pieces = -(-lengths // capacity)
    document = np.repeat(np.arange(len(lengths), dtype=np.int64), pieces)
    within = (np.arange(len(document)) - np.repeat(np.cumsum(pieces) - pieces, pieces)) * capacity
    source = np.repeat(np.cumsum(lengths) - lengths, pieces) + within
    sizes = np.minimum(lengths[document] - within, capacity)
    row, column, rows = _best_fit(sizes, capacity)
    place = row * capacity + column
    order = np.argsort(place, kind="stable")
    return Plan(source[order], sizes[order], document[order], place[order], rows)


def lay_out(
    found: Plan, capacity: int, stream: Any, mask: Any, *, filling: int, target: Path, target_mask: Path
) -> None:
    """Write the rows, and a mask that is 0 on filling and wherever `mask` is.

    Args:
        found: from `plan`.
        capacity: tokens of a row.
        stream: tokens of the documents, one after the other; has a dtype and can be sliced.
        mask: uint8 of the same shape, or None if all count.
        filling: token that fills the rest of a row.
        target: file for rows * capacity tokens.
        target_mask: file for as many bytes.
    """
    step = max(1, BLOCK // capacity) * capacity
    with open(target, "wb") as tokens_out, open(target_mask, "wb") as mask_out:
        for start in range(0, found.rows * capacity, step):
            size = min(step, found.rows * capacity - start)
            tokens, counts = np.full(size, filling, stream.dtype), np.zeros(size, np.uint8)
            first, last = np.searchsorted(found.place, [start, start + size])
            columns = (found.source[first:last], found.lengths[first:last], found.place[first:last] - start)
            for source, length, place in zip(*(column.tolist() for column in columns), strict=True):
                tokens[place : place + length] = stream[source : source + length]
                counts[place : place + length] = 1 if mask is None else mask[source : source + length]
            tokens_out.write(tokens.tobytes())
            mask_out.write(counts.tobytes())
