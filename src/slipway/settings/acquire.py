"""Section `acquire`: where text, task files and base weights come from."""

from typing import Annotated, Literal

from pydantic import Field

from slipway.settings.base import Count, Name, Settings

Shape = Literal["text", "chat", "completion", "preference"]


class PydocsSource(Settings):
    """Docstrings and signatures of installed Python packages, read with `ast`; no package code runs."""

    kind: Literal["pydocs"]
    name: Name
    packages: Annotated[tuple[str, ...], Field(min_length=1)]
    """Distribution names as on PyPI."""
    exclude: tuple[str, ...] = ()
    """Glob patterns of paths inside the packages to leave out (tests, files generated per platform)."""
    questions: bool = False
    """Conversations instead of text: what an object does and which parameters it takes, answered by its docstring."""


class FileSource(Settings):
    """Files: JSON lines (also .gz, .zst), parquet or plain text, on this machine, on S3 or on a Hugging Face hub."""

    kind: Literal["jsonl", "parquet", "text"]
    name: Name
    path: str
    """File, directory or glob relative to the project; `s3://bucket/key-or-glob`;
    `hf://datasets/owner/name@revision/file-or-glob`. A DVC-tracked path is pulled when it is not there."""
    licence: str
    """SPDX expression under which the text may be used, e.g. `CC-BY-4.0`."""
    origin: Literal["public", "licensed", "crawled", "user", "synthetic", "other"] | None = None
    """Whose text it is, for the data card: a public data set, licensed from its owners, crawled by the provider, of
    users of a service, made by a model, or other. Nothing is guessed: without it the card says "not stated"."""
    collected: str | None = None
    """When the text was collected, for the data card, e.g. `2024-01 to 2024-06`."""
    shape: Literal["auto"] | Shape = "auto"
    """`auto`: by the columns: `messages` is chat, `chosen` and `rejected` preference, `prompt` and `completion`
    completion, else text."""
    text_column: str = "text"
    id_column: str | None = None
    """Column with a unique id; without it the id is made of file name and row number."""
    group_column: str | None = None
    """Rows with the same value (a conversation, a book) stay on one side of the split; default: each row alone."""
    label_column: str | None = None
    """Column with a class label, for data that has one; the contract looks at its balance."""


Source = Annotated[PydocsSource | FileSource, Field(discriminator="kind")]


class Base(Settings):
    """Weights and tokenizer that training may start from; scanned before anything loads them."""

    path: str
    """Directory relative to the project, `s3://…`, `hf://owner/name@revision`, or `release://name@version` for a
    release of the store, whose signature and every byte are verified."""
    licence: str
    """SPDX expression of the weights."""


class Limits(Settings):
    """What a file may hold; beyond it reading stops with an error that names file and row."""

    row_bytes: Count = 16_000_000
    """Bytes of one row, decompressed."""
    expansion: Count = 200
    """Decompressed bytes per compressed byte."""


class Acquire(Settings):
    """Where the data comes from."""

    sources: Annotated[tuple[Source, ...], Field(min_length=1)]
    base: Base | None = None
    teacher: Base | None = None
    """Model that a smaller one learns from (`train.objective` distill); its tokenizer must be the same."""
    limits: Limits = Limits()
    shard_characters: Count = 8_000_000
    """Characters after which a new shard of `data/raw` begins: the unit of work of every later stage."""
