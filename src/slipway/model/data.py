"""Batches from packed tokens: row i of step s is a pure function of (seed, s).

The files of a split are read as one stream. It is cut into rows of L + 1 tokens that overlap by one, so that
every token but the first of the stream is predicted once per epoch. Each epoch is shifted by its own offset
below L, so that cuts fall elsewhere, and its rows are permuted by a generator keyed with (seed, epoch):
Philox is counter-based (Salmon et al., SC 2011), nothing has to be remembered between steps. Documents
may share a row; <|endoftext|> stands between them. Tokens stay on disk (memory map).

Where whole documents were packed into rows of L tokens, a row here is <|endoftext|> and the L tokens of such a
row, in an order drawn in the same way. Tokens that do not count in the loss (a user's turn, filling) are
marked in the labels. With a document mask, positions begin again at the separator before each document, which
transformers takes as the border that attention does not cross.
"""

import json
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from slipway.errors import UserError
from slipway.model.packed import Documents, open_split

IGNORED = -100
"""Label of a token that does not count, as torch and transformers know it."""


class Batch(NamedTuple):
    """Rows of tokens and what is to be learnt from them."""

    rows: torch.Tensor
    """int64, shape (size, length + 1)."""
    labels: torch.Tensor
    """int64, shape (size, length): rows without their first column, `IGNORED` where a token does not count."""
    positions: torch.Tensor | None = None
    """int64, shape (size, length): place within the document; None if documents of a row see each other."""

    @property
    def units(self) -> int:
        """Labels that count: what the loss is a mean over."""
        return int((self.labels != IGNORED).sum())

    @property
    def learnt(self) -> int:
        """Labels that count."""
        return self.units

    @property
    def places(self) -> int:
        """Places that are computed."""
        return self.labels.numel()

    def split(self, size: int) -> list["Batch"]:
        """Parts of at most `size` rows, in order."""
        parts = [None if tensor is None else tensor.split(size) for tensor in self]
        count = -(-len(self.rows) // size)
        return [Batch(*(None if part is None else part[i] for part in parts)) for i in range(count)]  # type: ignore[arg-type]

    def to(self, device: torch.device) -> "Batch":
        """The same on another device."""
        return Batch(*(None if tensor is None else tensor.to(device, non_blocking=True) for tensor in self))  # type: ignore[arg-type]


class Order:
    """Which of `rows` things a step takes: a new permutation each epoch, from the seed alone."""

    def __init__(self, rows: int, seed: int, length: int = 0) -> None:
        """Set it up.

        Args:
            rows: things in an epoch.
            seed: of the order.
            length: if not 0, each epoch is shifted by a number below it.
        """
        self._rows, self._seed, self._length = rows, seed, length
        self._epoch = lru_cache(maxsize=2)(self.epoch)

    def epoch(self, number: int) -> tuple[int, Any]:
        """Shift and permutation of an epoch."""
        generator = np.random.Generator(np.random.Philox(key=[self._seed, number]))
        shift = int(generator.integers(self._length)) if self._length else 0
        return shift, generator.permutation(self._rows)

    def places(self, step: int, size: int, part: slice) -> list[tuple[int, int]]:
        """(shift, thing) for the part of step `step` (counted from 1) that a rank takes."""
        found = []
        for number in range((step - 1) * size, step * size)[part]:
            epoch, place = divmod(number, self._rows)
            shift, order = self._epoch(epoch)
            found.append((shift, int(order[place])))
        return found


ALL = slice(None)


class Tokens:
    """One split of `data/tokens`, as rows of `length` + 1 tokens."""

    def __init__(self, directory: Path, split: str, length: int, seed: int, *, document_mask: bool = False) -> None:
        """Open the files.

        Args:
            directory: with `index.json`.
            split: `train` or `validation`.
            length: tokens that are predicted in a row.
            seed: of the order.
            document_mask: give positions that begin again with each document.

        Raises:
            UserError: for too few tokens, rows of another length, or preference pairs.
        """
        index = read_index(directory)
        found: dict[str, Any] = index["splits"][split]
        self.learnt: int = found["learnt"]
        """Tokens of the split that count in the loss."""
        self.learnt_bytes: int = found["learnt_bytes"]
        """UTF-8 bytes of text in them."""
        self.tokens: int = found["tokens"]
        self.length = length
        self._directory, self._split, self._mask_documents = directory, split, document_mask
        self._separator: int = index["separator"]
        self._whole: bool = index["packing"] == "whole"
        if found["pairs"]:
            raise UserError(
                f"{directory}: {split} holds {found['pairs']} preference pairs, and predicting the next token would "
                "learn the rejected answers too; set train.objective to dpo or simpo, or leave these sources out"
            )
        if self._whole and index["row_tokens"] != length:
            raise UserError(
                f"{directory}: rows of {index['row_tokens']} tokens, but train.sequence_length is {length}; "
                "set tokenize.row_tokens to it"
            )
        self._stream, self._mask = open_split(directory, found, index)
        self._documents = Documents(directory, found, index)
        self._count()
        self._order = Order(self.rows, seed, 0 if self._whole else length)

    def _count(self) -> None:
        # In a stream one row fewer than fits, to leave room for the shift.
        self.rows = len(self._stream) // self.length if self._whole else (len(self._stream) - 1) // self.length - 1
        if self.rows < 1:
            needed = f"at least {1 if self._whole else 2 * self.length + 1}"
            raise UserError(
                f"{self._directory}: {self._split} holds {len(self._stream)} tokens, and train.sequence_length "
                f"{self.length} needs {needed}; add data, or shorten the sequence"
            )
        if not self.learnt:
            raise UserError(f"{self._directory}: no token of {self._split} counts in the loss; add answers to it")

    def _row(self, start: int) -> Any:
        if self._whole:
            return np.concatenate([[self._separator], self._stream.take(start, self.length)])
        return self._stream.take(start, self.length + 1)

    def _positions(self, start: int) -> Any:
        """Places within their document: 0 at the separator before each, and at the row's first token."""
        # The row begins one place before the stream's `start` where a separator was put in front.
        first = start - 1 if self._whole else start
        begins = [place - 1 - first for place in self._documents.starts(first + 1, first + 1 + self.length)]
        borders = np.zeros(self.length, np.int64)
        borders[begins] = begins
        return np.arange(self.length) - np.maximum.accumulate(borders)

    def _take(self, starts: list[int]) -> Batch:
        rows = torch.from_numpy(np.stack([self._row(start) for start in starts]).astype(np.int64))
        labels = rows[:, 1:]
        if self._mask is not None:
            first = 0 if self._whole else 1
            counts = np.stack([self._mask.take(start + first, self.length) for start in starts])
            labels = labels.masked_fill(torch.from_numpy(counts == 0), IGNORED)
        if not self._mask_documents:
            return Batch(rows, labels)
        return Batch(rows, labels, torch.from_numpy(np.stack([self._positions(start) for start in starts])))

    def _starts(self, step: int, size: int, part: slice) -> list[int]:
        return [shift + row * self.length for shift, row in self._order.places(step, size, part)]

    def batch(self, step: int, size: int, part: slice = ALL) -> Batch:
        """Rows of step `step` (counted from 1), or the part of them that a rank takes."""
        return self._take(self._starts(step, size, part))

    def documents(self, step: int, size: int) -> list[str]:
        """Ids of the documents in the rows of a step."""
        spans = [(start, start + self.length + (not self._whole)) for start in self._starts(step, size, ALL)]
        return list(dict.fromkeys(name for span in spans for name in self._documents.names(*span)))

    def sample(self, count: int) -> Batch:
        """At most `count` rows spread evenly over the split, always the same; more if nothing in them counts."""
        places = np.unique(np.linspace(0, self.rows - 1, min(count, self.rows)).astype(np.int64))
        batch = self._take([int(place) * self.length for place in places])
        if batch.units:
            return batch
        if count < self.rows:  # answers are rare, and a few rows may have none
            return self.sample(2 * count)
        raise UserError(f"{self._directory}: no token of {self._split} counts in the loss; add answers to it")


def read_index(directory: Path) -> dict[str, Any]:
    """`index.json` of `data/tokens`."""
    found: dict[str, Any] = json.loads((directory / "index.json").read_text("utf-8"))
    return found


def special(index: dict[str, Any]) -> dict[str, Any]:
    """For a configuration: what begins and fills a text, and what ends a generation."""
    separator, stops = index["separator"], index["stops"]
    ends = stops if len(stops) > 1 else separator
    return {"bos_token_id": separator, "pad_token_id": separator, "eos_token_id": ends}
