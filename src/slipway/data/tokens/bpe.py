"""Byte-level BPE: trained, saved as a Hugging Face directory, and never fooled by control tokens in text.

`<|endoftext|>` is id 0 and serves as beginning, end and separator. The same characters inside a document
are encoded as plain text, both here and by whoever loads the directory (`split_special_tokens`).
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from slipway.files import write_atomic

SEPARATOR = "<|endoftext|>"


def train(texts: Iterable[str], vocabulary: int) -> Any:
    """A `tokenizers.Tokenizer` of at most `vocabulary` tokens, separator and 256 bytes included.

    Text too small for that many merges gives fewer. Equal text in equal order gives equal bytes.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[SEPARATOR],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.encode_special_tokens = True
    return tokenizer


def save(tokenizer: Any, directory: Path) -> None:
    """Write `tokenizer.json` and `tokenizer_config.json`, as `AutoTokenizer.from_pretrained` reads them."""
    config = {
        "add_prefix_space": False,
        "bos_token": SEPARATOR,
        "clean_up_tokenization_spaces": False,
        "eos_token": SEPARATOR,
        "pad_token": SEPARATOR,
        "split_special_tokens": True,
        "tokenizer_class": "PreTrainedTokenizerFast",
    }
    write_atomic(directory / "tokenizer.json", tokenizer.to_str(pretty=True) + "\n")
    write_atomic(directory / "tokenizer_config.json", json.dumps(config, indent=2, sort_keys=True) + "\n")
