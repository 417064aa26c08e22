"""Texts to tokens, some at a time."""

from collections.abc import Sequence
from typing import Any

TEXTS = 256
"""Encoded at a time: beside a text's tokens a tokenizer keeps their letters and places, many times their size."""


def tokenized(tokenizer: Any, texts: Sequence[str], **how: bool) -> list[list[int]]:
    """Tokens of each text; `how` goes to the tokenizer."""
    found: list[list[int]] = []
    for start in range(0, len(texts), TEXTS):
        some = list(texts[start : start + TEXTS])
        found += tokenizer(some, return_attention_mask=False, return_token_type_ids=False, **how)["input_ids"]
    return found
