"""Batches from packed tokens: row i of step s is a pure function of (seed, s).

The files of a split are read as one stream. It is cut into rows of L + 1 tokens that overlap by one, so that
every token but the first of the stream is predicted once per epoch. Each epoch is shifted by its own offset
below L, so that cuts fall elsewhere, and its rows are permuted by a generator keyed with (seed, epoch):
Philox is counter-based (Salmon et al., SC 2011), nothing has to be remembered between steps. Documents
may share a row; <|endoftext|> stands between them. Tokens stay on disk (memory map).

Where whole documents were packed into rows of L tokens, a row here is <|endoftext|> and the L tokens of such a
row, in an order drawn in the same way. Tokens that do not count in the loss (a user's turn, filling) are
marked in the labels.
"""

import json
from functools import lru_cache
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from slipway.errors import UserError

IGNORED = -100
"""Label of a token that does not count, as torch and transformers know it."""


class Batch(NamedTuple):
    """Rows of tokens and what is to be learnt from them."""

    rows: torch.Tensor
    """int64, shape (size, length + 1)."""
    labels: torch.Tensor
    """int64, shape (size, length): rows without their first column, `IGNORED` where a token does not count."""

    @property
    def learnt(self) -> int:
        """Labels that count."""
        return int((self.labels != IGNORED).sum())


class _Files:
    """Arrays in numbered files, as one."""

    def __init__(self, paths: list[Path | None], lengths: list[int], dtype: Any) -> None:
        # An empty file cannot be mapped; a file without a mask counts everywhere.
        self._maps = [
            np.memmap(path, dtype=dtype, mode="r") if path and length else np.ones(0, dtype)
            for path, length in zip(paths, lengths, strict=True)
        ]
        self._constant = [path is None for path in paths]
        self._starts = [0, *accumulate(lengths)]
        self._dtype = dtype

    def __len__(self) -> int:
        return self._starts[-1]

    def take(self, start: int, count: int) -> Any:
        """The `count` values from `start` on."""
        found = []
        while count:
            file = int(np.searchsorted(self._starts, start, "right")) - 1
            size = min(count, self._starts[file + 1] - start)
            first = start - self._starts[file]
            found.append(np.ones(size, self._dtype) if self._constant[file] else self._maps[file][first : first + size])
            start, count = start + size, count - size
        return found[0] if len(found) == 1 else np.concatenate(found)


class Tokens:
    """One split of `data/tokens`, as rows of `length` + 1 tokens."""

    def __init__(self, directory: Path, split: str, length: int, seed: int) -> None:
        """Open the files.

        Args:
            directory: with `index.json`.
            split: `train` or `validation`.
            length: tokens that are predicted in a row.
            seed: of the order.

        Raises:
            UserError: for too few tokens, rows of another length, or preference pairs.
        """
        index: dict[str, Any] = json.loads((directory / "index.json").read_text("utf-8"))
        found: dict[str, Any] = index["splits"][split]
        self.vocabulary: int = index["vocabulary"]
        self.learnt: int = found["learnt"]
        """Tokens of the split that count in the loss."""
        self.learnt_bytes: int = found["learnt_bytes"]
        """UTF-8 bytes of text in them."""
        self.length = length
        self._seed, self._directory, self._split = seed, directory, split
        self._separator: int = index["separator"]
        self.special = {
            "bos_token_id": self._separator,
            "pad_token_id": self._separator,
            "eos_token_id": index["stops"] if len(index["stops"]) > 1 else self._separator,
        }
        """For the configuration: what begins and fills a text, and what ends a generation."""
        self._whole: bool = index["packing"] == "whole"
        if found["pairs"]:
            raise UserError(
                f"{directory}: {split} holds {found['pairs']} preference pairs, and predicting the next token would "
                "learn the rejected answers too; leave sources of preference pairs out of this recipe"
            )
        if self._whole and index["row_tokens"] != length:
            raise UserError(
                f"{directory}: rows of {index['row_tokens']} tokens, but train.sequence_length is {length}; "
                "set tokenize.row_tokens to it"
            )
        self._open(directory, found["shards"], index)
        self._count(directory, split)
        self._order = lru_cache(maxsize=2)(self._shuffle)

    def _open(self, directory: Path, files: list[dict[str, Any]], index: dict[str, Any]) -> None:
        paths: list[Path | None] = [directory / file["file"] for file in files]
        masks = [directory / f"{Path(file['file']).stem}.mask.bin" if file["masked"] else None for file in files]
        lengths = [file["rows"] * index["row_tokens"] if self._whole else file["tokens"] for file in files]
        dtype = np.dtype(index["dtype"]).newbyteorder("<")
        for path, length in zip(paths, lengths, strict=True):
            if path and (size := path.stat().st_size) != length * dtype.itemsize:
                raise UserError(f"{path} has {size} bytes, but index.json says {length} tokens; rebuild `tokenize`")
        self._stream = _Files(paths, lengths, dtype)
        self._mask = _Files(masks, lengths, np.dtype(np.uint8)) if any(masks) else None

    def _count(self, directory: Path, split: str) -> None:
        # In a stream one row fewer than fits, to leave room for the shift.
        self.rows = len(self._stream) // self.length if self._whole else (len(self._stream) - 1) // self.length - 1
        if self.rows < 1:
            needed = f"at least {1 if self._whole else 2 * self.length + 1}"
            raise UserError(
                f"{directory}: {split} holds {len(self._stream)} tokens, and train.sequence_length {self.length} needs "
                f"{needed}; add data, or shorten the sequence"
            )
        if not self.learnt:
            raise UserError(f"{directory}: no token of {split} counts in the loss; add answers to it")

    def _shuffle(self, epoch: int) -> tuple[int, Any]:
        generator = np.random.Generator(np.random.Philox(key=[self._seed, epoch]))
        shift = 0 if self._whole else int(generator.integers(self.length))
        return shift, generator.permutation(self.rows)

    def _row(self, start: int) -> Any:
        if self._whole:
            return np.concatenate([[self._separator], self._stream.take(start, self.length)])
        return self._stream.take(start, self.length + 1)

    def _take(self, starts: list[int]) -> Batch:
        rows = torch.from_numpy(np.stack([self._row(start) for start in starts]).astype(np.int64))
        labels = rows[:, 1:]
        if self._mask is not None:
            first = 0 if self._whole else 1
            counts = np.stack([self._mask.take(start + first, self.length) for start in starts])
            labels = labels.masked_fill(torch.from_numpy(counts == 0), IGNORED)
        return Batch(rows, labels)

    def batch(self, step: int, size: int) -> Batch:
        """Rows of step `step` (counted from 1)."""
        starts = []
        for number in range((step - 1) * size, step * size):
            epoch, place = divmod(number, self.rows)
            shift, order = self._order(epoch)
            starts.append(shift + int(order[place]) * self.length)
        return self._take(starts)

    def sample(self, count: int) -> Batch:
        """At most `count` rows spread evenly over the split, always the same."""
        places = np.unique(np.linspace(0, self.rows - 1, min(count, self.rows)).astype(np.int64))
        batch = self._take([int(place) * self.length for place in places])
        if not batch.learnt:
            raise UserError(f"{self._directory}: no token of {self._split} counts in the loss; add answers to it")
        return batch
