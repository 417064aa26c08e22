"""Batches from packed tokens: row i of step s is a pure function of (seed, s).

The stream of a split is cut into rows of L + 1 tokens that overlap by one, so that every token but the
first of the stream is predicted once per epoch. Each epoch is shifted by its own offset below L, so
that cuts fall elsewhere, and its rows are permuted by a generator keyed with (seed, epoch):
Philox is counter-based (Salmon et al., SC 2011), nothing has to be remembered between steps. Documents
may share a row; <|endoftext|> stands between them. Tokens stay on disk (memory map).
"""

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from slipway.errors import UserError


class Tokens:
    """One split of `data/tokens`, as rows of `length` + 1 tokens."""

    def __init__(self, directory: Path, split: str, length: int, seed: int) -> None:
        index: dict[str, Any] = json.loads((directory / "index.json").read_text("utf-8"))
        self.vocabulary: int = index["vocabulary"]
        self.bytes: int = index["splits"][split]["bytes"]
        path = directory / f"{split}.bin"
        # An empty file cannot be mapped.
        dtype = np.dtype(index["dtype"]).newbyteorder("<")
        self.stream: Any = np.memmap(path, dtype=dtype, mode="r") if path.stat().st_size else []
        self.length = length
        self._seed = seed
        # One row fewer than fits, to leave room for the shift.
        self.rows = (len(self.stream) - 1) // length - 1
        if self.rows < 1:
            raise UserError(
                f"{path} holds {len(self.stream)} tokens, and train.sequence_length {length} needs at least "
                f"{2 * length + 1}; add data, or shorten the sequence"
            )
        self._order = lru_cache(maxsize=2)(self._shuffle)

    def _shuffle(self, epoch: int) -> tuple[int, Any]:
        generator = np.random.Generator(np.random.Philox(key=[self._seed, epoch]))
        return int(generator.integers(self.length)), generator.permutation(self.rows)

    def _take(self, starts: list[int]) -> torch.Tensor:
        rows = np.stack([self.stream[start : start + self.length + 1] for start in starts])
        return torch.from_numpy(rows.astype(np.int64))

    def batch(self, step: int, size: int) -> torch.Tensor:
        """Rows of step `step` (counted from 1), int64, shape (size, length + 1)."""
        starts = []
        for number in range((step - 1) * size, step * size):
            epoch, place = divmod(number, self.rows)
            shift, order = self._order(epoch)
            starts.append(shift + int(order[place]) * self.length)
        return self._take(starts)

    def sample(self, count: int) -> torch.Tensor:
        """At most `count` rows spread evenly over the split, always the same, shape (n, length + 1)."""
        places = np.unique(np.linspace(0, self.rows - 1, min(count, self.rows)).astype(np.int64))
        return self._take([int(place) * self.length for place in places])
