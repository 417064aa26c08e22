"""Batches of preference pairs: a chosen and a rejected answer to the same prompt, one row each.

Which pairs a step takes is a pure function of (seed, step), as for packed tokens. Every row begins with the
separator, as a text does in training, unless it is too long: then the end is kept, and both rows of a pair lose as
much of their prompt. Rows of a batch are filled at the right up to the longest, which a causal
model does not see. Only the answers count.
"""

from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from slipway.errors import UserError
from slipway.model.data import ALL, IGNORED, Order, read_index
from slipway.model.packed import Documents, open_split


class PairBatch(NamedTuple):
    """Rows in pairs: row 2i is chosen over row 2i + 1."""

    rows: torch.Tensor
    """int64, shape (2 * pairs, length + 1)."""
    labels: torch.Tensor
    """int64, shape (2 * pairs, length): `IGNORED` outside the answers."""
    numbers: torch.Tensor
    """int64, shape (pairs): place of each pair in its split."""

    @property
    def units(self) -> int:
        """Pairs: what the loss is a mean over."""
        return len(self.numbers)

    @property
    def learnt(self) -> int:
        """Labels that count."""
        return int((self.labels != IGNORED).sum())

    @property
    def places(self) -> int:
        """Places that are computed."""
        return self.labels.numel()

    def split(self, size: int) -> list["PairBatch"]:
        """Parts of at most `size` pairs, in order."""
        parts = zip(self.rows.split(2 * size), self.labels.split(2 * size), self.numbers.split(size), strict=True)
        return [PairBatch(*part) for part in parts]

    def to(self, device: torch.device) -> "PairBatch":
        """The same on another device."""
        return PairBatch(*(tensor.to(device, non_blocking=True) for tensor in self))


class Pairs:
    """The preference pairs of one split of `data/tokens`."""

    def __init__(self, directory: Path, split: str, length: int, seed: int) -> None:
        """Open the files.

        Args:
            directory: with `index.json`.
            split: `train` or `validation`.
            length: most tokens that are predicted in a row.
            seed: of the order.

        Raises:
            UserError: if the split has no pairs, or rows of whole documents.
        """
        index = read_index(directory)
        found: dict[str, Any] = index["splits"][split]
        if not found["pairs"]:
            raise UserError(
                f"{directory}: {split} holds no preference pairs, and train.objective learns from nothing else; add a "
                "source with `chosen` and `rejected` columns, or more of it, so that every split has some"
            )
        if index["packing"] == "whole":
            raise UserError(f"{directory}: pairs are cut by rows of whole documents; set tokenize.packing to stream")
        self.length = length
        self._separator: int = index["separator"]
        self._stream, self._mask = open_split(directory, found, index)
        self._documents = Documents(directory, found, index)
        sizes = [file["tokens"] for file in found["shards"]]
        self._ends = list(accumulate(sizes))
        paths = [directory / f"{Path(file['file']).stem}.pairs.npy" for file in found["shards"]]
        per_file = [np.load(path) if path.is_file() else np.zeros((0, 2), np.int64) for path in paths]
        self._pairs = np.concatenate(per_file)
        if len(self._pairs) != found["pairs"]:
            raise UserError(
                f"{directory}: index.json says {found['pairs']} pairs of {split}, and its files name "
                f"{len(self._pairs)}; rebuild with `slipway build --force tokenize`"
            )
        self._files = np.repeat(np.arange(len(per_file)), [len(pairs) for pairs in per_file])
        self._order = Order(len(self._pairs), seed)

    def __len__(self) -> int:
        return len(self._pairs)

    def _sequence(self, file: int, number: int) -> tuple[Any, Any]:
        """Tokens of a document after a separator, and which of them count."""
        offsets = self._documents.offsets(file)
        base = self._ends[file - 1] if file else 0
        start = base + int(offsets[number])
        end = base + int(offsets[number + 1]) if number + 1 < len(offsets) else self._ends[file]
        tokens = np.concatenate([[self._separator], self._stream.take(start, end - start)]).astype(np.int64)
        counts = np.ones(end - start, np.uint8) if self._mask is None else self._mask.take(start, end - start)
        return tokens, counts

    def _pair(self, number: int) -> list[tuple[Any, Any]]:
        """Both sequences, cut alike at the front, so that the two answers still follow the same prompt."""
        both = [self._sequence(int(self._files[number]), int(d)) for d in self._pairs[number]]
        prompt = min(int(np.argmax(counts != 0)) for _, counts in both)
        over = [max(0, len(tokens) - self.length - 1) for tokens, _ in both]
        # Where an answer alone is too long, it loses its own beginning and the other one nothing of its answer.
        drops = [max(own, min(max(over), prompt)) for own in over]
        return [(tokens[drop:], counts[drop:]) for (tokens, counts), drop in zip(both, drops, strict=True)]

    def take(self, numbers: list[int]) -> PairBatch:
        """The pairs of these places."""
        found = [one for number in numbers for one in self._pair(number)]
        width = max(len(counts) for _, counts in found)
        rows = np.full((len(found), width + 1), self._separator, np.int64)
        labels = np.full((len(found), width), IGNORED, np.int64)
        for row, label, (tokens, counts) in zip(rows, labels, found, strict=True):
            row[: len(tokens)] = tokens
            # A sequence that was cut has lost its first token, which nothing predicts.
            ends = tokens[1:]
            label[: len(ends)] = np.where(counts[-len(ends) :] != 0, ends, IGNORED)
        return PairBatch(torch.from_numpy(rows), torch.from_numpy(labels), torch.tensor(numbers))

    def _numbers(self, step: int, size: int, part: slice) -> list[int]:
        return [number for _, number in self._order.places(step, size, part)]

    def batch(self, step: int, size: int, part: slice = ALL) -> PairBatch:
        """Pairs of step `step` (counted from 1), or the part of them that a rank takes."""
        return self.take(self._numbers(step, size, part))

    def documents(self, step: int, size: int) -> list[str]:
        """Ids of the documents that the pairs of a step come from."""
        chosen = [(int(self._files[n]), int(self._pairs[n][0])) for n in self._numbers(step, size, ALL)]
        return list(dict.fromkeys(self._documents.name(*one) for one in chosen))

    def sample(self, count: int) -> PairBatch:
        """At most `count` pairs spread evenly over the split, always the same."""
        places = np.unique(np.linspace(0, len(self) - 1, min(count, len(self))).astype(np.int64))
        return self.take(places.tolist())
