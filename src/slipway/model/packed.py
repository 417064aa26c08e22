"""Files of packed tokens as one stream, and where documents lie in it; all of it stays on disk (memory maps)."""

from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np

from slipway.errors import UserError


class Files:
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


def open_split(directory: Path, found: dict[str, Any], index: dict[str, Any]) -> tuple[Files, Files | None]:
    """The tokens of a split, and what counts in the loss (uint8; None if everything does).

    Args:
        directory: of `index.json`.
        found: the split's entry in it.
        index: all of it.

    Raises:
        UserError: naming a file whose size is not what the index says.
    """
    files, whole = found["shards"], index["packing"] == "whole"
    paths: list[Path | None] = [directory / file["file"] for file in files]
    masks = [directory / f"{Path(file['file']).stem}.mask.bin" if file["masked"] else None for file in files]
    lengths = [file["rows"] * index["row_tokens"] if whole else file["tokens"] for file in files]
    dtype = np.dtype(index["dtype"]).newbyteorder("<")
    for path, length in zip(paths, lengths, strict=True):
        if path and (size := path.stat().st_size) != length * dtype.itemsize:
            raise UserError(f"{path} has {size} bytes, but index.json says {length} tokens; rebuild `tokenize`")
    return Files(paths, lengths, dtype), Files(masks, lengths, np.dtype(np.uint8)) if any(masks) else None


class Documents:
    """Where the documents of a split begin, and what they are called."""

    def __init__(self, directory: Path, found: dict[str, Any], index: dict[str, Any]) -> None:
        self._stems = [directory / Path(file["file"]).stem for file in found["shards"]]
        whole = index["packing"] == "whole"
        lengths = [file["rows"] * index["row_tokens"] if whole else file["tokens"] for file in found["shards"]]
        self._bounds = [0, *accumulate(lengths)]
        self._opened: dict[int, Any] = {}
        self._ids: dict[int, Any] = {}

    def offsets(self, file: int) -> Any:
        """int64, ascending: first place of every document (or piece of one) in a file."""
        if file not in self._opened:
            path = Path(f"{self._stems[file]}.offsets.npy")
            if path.is_file():
                self._opened[file] = np.load(path, mmap_mode="r")
            elif self._bounds[file + 1] == self._bounds[file]:
                self._opened[file] = np.zeros(0, np.int64)
            else:
                raise UserError(f"{path}: missing; rebuild with `slipway build --force tokenize`")
        return self._opened[file]

    def _overlaps(self, first: int, last: int) -> list[tuple[int, int, int]]:
        """(file, first, last) with places of that file."""
        return [
            (file, max(first, start) - start, min(last, end) - start)
            for file, (start, end) in enumerate(zip(self._bounds, self._bounds[1:], strict=False))
            if max(first, start) < min(last, end)
        ]

    def starts(self, first: int, last: int) -> list[int]:
        """Places of the stream, `first` <= place < `last`, at which a document begins."""
        found: list[int] = []
        for file, low, high in self._overlaps(first, last):
            offsets = self.offsets(file)
            begin, end = np.searchsorted(offsets, [low, high])
            found += (np.asarray(offsets[begin:end]) + self._bounds[file]).tolist()
        return found

    def names(self, first: int, last: int) -> list[str]:
        """Ids of the documents that have tokens in `first` <= place < `last`."""
        found: list[str] = []
        for file, low, high in self._overlaps(first, last):
            offsets = self.offsets(file)
            begin = max(0, int(np.searchsorted(offsets, low, "right")) - 1)
            end = max(begin + 1, int(np.searchsorted(offsets, high)))
            pieces = Path(f"{self._stems[file]}.pieces.npy")
            numbers = np.load(pieces, mmap_mode="r")[begin:end] if pieces.is_file() else range(begin, end)
            found += [self.name(file, int(number)) for number in dict.fromkeys(int(n) for n in numbers)]
        return list(dict.fromkeys(found))

    def name(self, file: int, number: int) -> str:
        """Id of a document by its number in a file."""
        path = Path(f"{self._stems[file]}.ids.parquet")
        if not path.is_file():
            return f"{self._stems[file].name}#{number}"
        if file not in self._ids:
            import pyarrow.parquet as pq

            self._ids[file] = pq.read_table(path, columns=["id"]).column("id")
        return str(self._ids[file][number].as_py())
