"""Section `tokenize`: tokenizer, chat template, packing."""

from typing import Annotated, Literal

from pydantic import Field

from slipway.settings.base import Count, Settings


class Tokenize(Settings):
    """A byte-level BPE trained on the training split, or the tokenizer of the base model."""

    origin: Literal["trained", "base"] = "trained"
    vocabulary: Annotated[int, Field(ge=260)] | None = None
    """Number of tokens of a trained tokenizer, special tokens and 256 bytes included."""
    conversations: bool = False
    """Reserve the control tokens of Slipway's chat template in a trained tokenizer even if the data holds no
    conversations, so that a model can be taught some later, with this one as its base."""
    sample_bytes: Count = 100_000_000
    """UTF-8 bytes of training text that a tokenizer is trained on, about; more text is thinned evenly."""
    packing: Literal["stream", "whole"] = "stream"
    """`stream`: documents follow each other and rows are cut anywhere.
    `whole`: a document that fits stays in one row."""
    row_tokens: Count | None = None
    """Tokens of a row, for `whole`; equal to train.sequence_length."""
    shard_tokens: Count = 100_000_000
    """Tokens after which a new file of `data/tokens` begins."""
