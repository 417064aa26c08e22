"""The stage's work: the tokenizer, and each split as numbered files of tokens with one index.

`data/tokens/index.json` names the files of each split in order; `shard` says what is in them. Clean shards are
tokenised independently of each other, so any number of workers gives the same bytes. The test split is not
packed: it is scored as text.
"""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

from slipway import chat
from slipway.data.tokens import bpe
from slipway.data.tokens.codec import Codec
from slipway.data.tokens.render import needs_template
from slipway.data.tokens.shard import SUFFIXES, Counts, Job, pack
from slipway.errors import UserError
from slipway.files import sha256_file, write_atomic
from slipway.records import TokenizeReport
from slipway.settings import Tokenize
from slipway.shards import count_rows, shards
from slipway.spread import Spread, here

Progress = Callable[[int, int, str], None]
SPLITS = ("train", "validation")
TOTALS = ("tokens", "documents", "bytes", "learnt", "learnt_bytes", "pairs", "rows")


def _texts(clean: Path, sample_bytes: int) -> Iterator[str]:
    """Texts of the training split, or every so-manieth of them if there is more than `sample_bytes`.

    Without canaries: their digits would become tokens of their own, and the tokenizer would remember for the model.
    """
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    size = 0
    for path in shards(clean, "train"):
        data = pq.read_metadata(path)
        column = data.schema.names.index("text")
        size += sum(data.row_group(i).column(column).total_uncompressed_size for i in range(data.num_row_groups))
    every, number = max(1, -(-size // sample_bytes)), 0
    for path in shards(clean, "train"):
        with pq.ParquetFile(path, buffer_size=1 << 20) as file:
            for batch in file.iter_batches(batch_size=256, columns=["text", "source"]):
                kept = batch.filter(pc.not_equal(batch.column("source"), "canary")).column("text").to_pylist()
                # The next one due lies `skipped` rows into this batch.
                skipped = -number % every
                number += len(kept)
                yield from kept[skipped::every]


def _has_conversations(clean: Path) -> bool:
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    for path in [path for split in SPLITS for path in shards(clean, split)]:
        with pq.ParquetFile(path, buffer_size=1 << 20) as file:
            for batch in file.iter_batches(columns=["shape", "turns"]):
                told = batch.filter(pc.is_in(batch.column("shape"), pa.array(["chat", "preference"])))
                if any(map(needs_template, *(told.column(name).to_pylist() for name in ("shape", "turns")))):
                    return True
    return False


def _make_tokenizer(settings: Tokenize, root: Path) -> None:
    clean, directory = root / "data" / "clean", root / "models" / "tokenizer"
    chats = _has_conversations(clean)
    if settings.origin == "base":
        bpe.take(root / "models" / "base", directory, chats=chats)
    elif settings.vocabulary is None:
        raise UserError("tokenize.vocabulary is missing: the number of tokens of a trained tokenizer, e.g. 8192")
    else:
        control = chat.CONTROL if chats or settings.conversations else ()
        tokenizer = bpe.train(_texts(clean, settings.sample_bytes), settings.vocabulary, control)
        bpe.save(tokenizer, directory, chat.TEMPLATE if chats else None)


def _jobs(settings: Tokenize, root: Path, dtype: str) -> list[tuple[str, Job]]:
    found = [(split, path) for split in SPLITS for path in shards(root / "data" / "clean", split)]
    threads = max(1, len(os.sched_getaffinity(0)) // max(1, len(found) - 1))
    return [
        (
            split,
            Job(
                source=path,
                target=f"{root / 'data' / 'tokens'}/.{path.stem}-",
                tokenizer=root / "models" / "tokenizer",
                trained=settings.origin == "trained",
                dtype=dtype,
                row_tokens=settings.row_tokens if settings.packing == "whole" else None,
                shard_tokens=settings.shard_tokens,
                threads=threads,
            ),
        )
        for split, path in found
    ]


def _rename(tokens: Path, hidden: str, split: str, number: int, counts: Counts) -> dict[str, Any]:
    """Give a finished file its place in the order of its split."""
    name = f"{split}-{number:05d}"
    for suffix in SUFFIXES:
        if (made := Path(f"{hidden}{suffix}")).exists():
            made.replace(tokens / f"{name}{suffix}")
    return {"file": f"{name}.bin", **counts._asdict()}


def _pack_all(jobs: list[tuple[str, Job]], root: Path, progress: Progress, spread: Spread) -> dict[str, dict[str, Any]]:
    tokens, clean = root / "data" / "tokens", root / "data" / "clean"
    total, done = sum(count_rows(clean, split) for split in SPLITS), 0
    files: dict[str, list[dict[str, Any]]] = {split: [] for split in SPLITS}
    for (split, job), counted in zip(jobs, spread(pack, [job for _, job in jobs]), strict=True):
        for number, counts in enumerate(counted):
            files[split].append(_rename(tokens, f"{job.target}{number:05d}", split, len(files[split]), counts))
            done += counts.documents - counts.pairs
        progress(done, total, job.source.stem)
    return {
        split: {name: sum(file[name] for file in entries) for name in TOTALS} | {"shards": entries}
        for split, entries in files.items()
    }


def _padding(split: dict[str, Any], row_tokens: int | None) -> float:
    return 1 - split["tokens"] / (split["rows"] * row_tokens) if row_tokens and split["rows"] else 0.0


def tokenize(settings: Tokenize, root: Path, progress: Progress, spread: Spread = here) -> TokenizeReport:
    """Write `models/tokenizer/` and `data/tokens/`.

    Args:
        settings: the section `tokenize` of the recipe.
        root: the project.
        progress: gets documents done, in all, and the shard.
        spread: where the clean shards are tokenised.

    Raises:
        UserError: if there is nothing to tokenise, or the base has no usable tokenizer.
        Refusal: naming a document that cannot be rendered faithfully.
    """
    tokens, directory = root / "data" / "tokens", root / "models" / "tokenizer"
    if settings.packing == "whole" and settings.row_tokens is None:
        raise UserError("tokenize.packing `whole` needs tokenize.row_tokens; set it to train.sequence_length")
    for split in SPLITS:
        if not shards(root / "data" / "clean", split):
            raise UserError(f"data/clean holds no {split}-00000.parquet; run `slipway build --force prepare`")
    for place in (tokens, directory):
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
    _make_tokenizer(settings, root)
    codec = Codec(directory, trained=False)
    dtype: Literal["uint16", "uint32"] = "uint16" if codec.vocabulary <= 65536 else "uint32"
    splits = _pack_all(_jobs(settings, root, dtype), root, progress, spread)
    row_tokens = settings.row_tokens if settings.packing == "whole" else None
    digests: dict[str, Any] = {
        "tokenizer_sha256": sha256_file(directory / "tokenizer.json"),
        "chat_template_sha256": codec.chat.sha256 if codec.chat else None,
    }
    index = {
        "dtype": dtype,
        "vocabulary": codec.vocabulary,
        "separator": codec.separator,
        "stops": codec.stops,
        "packing": settings.packing,
        "row_tokens": row_tokens,
        "splits": splits,
        **digests,
    }
    write_atomic(tokens / "index.json", json.dumps(index, indent=2, sort_keys=True) + "\n")
    return TokenizeReport(
        origin=settings.origin,
        vocabulary=codec.vocabulary,
        dtype=dtype,
        shards={split: len(found["shards"]) for split, found in splits.items()},
        tokens={split: found["tokens"] for split, found in splits.items()},
        documents={split: found["documents"] for split, found in splits.items()},
        bytes={split: found["bytes"] for split, found in splits.items()},
        learnt={split: found["learnt"] for split, found in splits.items()},
        packing=settings.packing,
        padding={split: _padding(found, row_tokens) for split, found in splits.items()},
        **digests,
    )
