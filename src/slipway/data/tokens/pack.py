"""The stage's work: the tokenizer trained on the training split, and each split as one stream of tokens.

`<split>.bin` is a flat little-endian array, uint16 while ids fit: tokens of a document, the separator, the
next document. `<split>.offsets.npy` says where each document starts. The test split is not packed: it is
scored as text.
"""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np

from slipway.data.tokens import bpe
from slipway.files import sha256_file, write_atomic
from slipway.records import TokenizeReport
from slipway.settings import Tokenize

Progress = Callable[[int, int, str], None]
SPLITS = ("train", "validation")
BATCH = 1024


def tokenize(settings: Tokenize, root: Path, progress: Progress) -> TokenizeReport:
    """Write `models/tokenizer/` and `data/tokens/`; `progress` gets documents done, in all, and the split."""
    tokens, directory = root / "data" / "tokens", root / "models" / "tokenizer"
    for place in (tokens, directory):
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
    tokenizer = bpe.train(_texts(root / "data" / "clean" / "train.parquet"), settings.vocabulary)
    bpe.save(tokenizer, directory)
    vocabulary = tokenizer.get_vocab_size()
    dtype: Literal["uint16", "uint32"] = "uint16" if vocabulary <= 65535 else "uint32"
    counts = {
        split: _pack(tokenizer, root / "data" / "clean" / f"{split}.parquet", tokens / split, dtype, progress)
        for split in SPLITS
    }
    index = {"dtype": dtype, "vocabulary": vocabulary, "splits": counts}
    write_atomic(tokens / "index.json", json.dumps(index, indent=2, sort_keys=True) + "\n")
    return TokenizeReport(
        vocabulary=vocabulary,
        dtype=dtype,
        tokens={split: count["tokens"] for split, count in counts.items()},
        documents={split: count["documents"] for split, count in counts.items()},
        bytes={split: count["bytes"] for split, count in counts.items()},
        tokenizer_sha256=sha256_file(directory / "tokenizer.json"),
    )


def _batches(path: Path) -> Iterator[list[str]]:
    import pyarrow.parquet as pq

    for batch in pq.ParquetFile(path).iter_batches(batch_size=BATCH, columns=["text"]):
        yield batch.column(0).to_pylist()


def _texts(path: Path) -> Iterator[str]:
    for batch in _batches(path):
        yield from batch


def _pack(tokenizer: Any, source: Path, target: Path, dtype: str, progress: Progress) -> dict[str, int]:
    import pyarrow.parquet as pq

    total = pq.read_metadata(source).num_rows
    separator = tokenizer.token_to_id(bpe.SEPARATOR)
    lengths: list[int] = []
    size = 0
    with open(target.with_suffix(".bin"), "wb") as stream:
        for texts in _batches(source):
            size += sum(len(text.encode()) for text in texts)
            rows = [encoding.ids for encoding in tokenizer.encode_batch_fast(texts, add_special_tokens=False)]
            lengths += [len(row) + 1 for row in rows]
            flat = [token for row in rows for token in (*row, separator)]
            stream.write(np.array(flat, dtype=np.dtype(dtype).newbyteorder("<")).tobytes())
            progress(len(lengths), total, target.name)
    starts = np.cumsum([0, *lengths], dtype=np.int64)
    np.save(target.with_suffix(".offsets.npy"), starts[:-1])
    return {"tokens": int(starts[-1]), "documents": len(lengths), "bytes": size}
