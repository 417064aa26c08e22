"""Byte-level BPE: trained, or taken from the base model, and written as a Hugging Face directory.

`<|endoftext|>` is id 0 of a trained tokenizer and serves as beginning, end and separator. The same characters
inside a document are encoded as plain text, both here and by whoever loads the directory
(`split_special_tokens`). A directory with a chat template cannot say so, because the template's own control
tokens would become text as well: whoever feeds it text sets `split_special_tokens` there.
"""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from slipway import chat
from slipway.errors import UserError
from slipway.files import write_atomic

SEPARATOR = "<|endoftext|>"
CODE_KEYS = ("auto_map", "trust_remote_code")


def train(texts: Iterable[str], vocabulary: int, control: Sequence[str] = ()) -> Any:
    """A `tokenizers.Tokenizer` of at most `vocabulary` tokens, separator, `control` and 256 bytes included.

    Text too small for that many merges gives fewer. Equal text in equal order gives equal bytes.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[SEPARATOR, *control],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.encode_special_tokens = True
    return tokenizer


def save(tokenizer: Any, directory: Path, template: str | None = None) -> None:
    """Write `tokenizer.json`, `tokenizer_config.json` and the template, as `AutoTokenizer.from_pretrained` reads them.

    `tokenizer.json` does not hold `encode_special_tokens`; the configuration does.
    """
    config = {
        "add_prefix_space": False,
        "bos_token": SEPARATOR,
        "clean_up_tokenization_spaces": False,
        "eos_token": SEPARATOR,
        "pad_token": SEPARATOR,
        "split_special_tokens": template is None,
        "tokenizer_class": "PreTrainedTokenizerFast",
    }
    _write(directory, tokenizer.to_str(pretty=True) + "\n", config, template)


def _write(directory: Path, tokenizer: str, config: dict[str, Any], template: str | None) -> None:
    write_atomic(directory / "tokenizer.json", tokenizer)
    write_atomic(directory / "tokenizer_config.json", json.dumps(config, indent=2, sort_keys=True) + "\n")
    if template is not None:
        write_atomic(directory / chat.FILE, template)


def take(base: Path, directory: Path, *, chats: bool) -> None:
    """Copy the tokenizer of a base model: data only, and a template only if there are conversations.

    Args:
        base: Hugging Face directory, fetched and scanned.
        directory: to write.
        chats: the training data holds conversations.

    Raises:
        UserError: if the base has no tokenizer.json, would need code of its own, or cannot render conversations.
    """
    try:
        tokenizer = (base / "tokenizer.json").read_text("utf-8")
        config = json.loads((base / "tokenizer_config.json").read_text("utf-8"))
    except FileNotFoundError as error:
        raise UserError(
            f"{error.filename}: missing; tokenize.origin `base` needs a base model with tokenizer.json and "
            "tokenizer_config.json, or train a tokenizer: `origin: trained`"
        ) from None
    if asked := [key for key in CODE_KEYS if config.get(key)]:
        raise UserError(
            f"{base}/tokenizer_config.json: `{asked[0]}` asks for code that comes with it; Slipway runs none"
        )
    template = None
    if chats:
        special = {token["content"] for token in json.loads(tokenizer)["added_tokens"] if token["special"]}
        template = chat.template_of(base)
        if template is None and not special >= set(chat.CONTROL):
            raise UserError(
                f"{base}: the data holds conversations, but the base model has no chat template, and its tokenizer "
                f"lacks {' and '.join(chat.CONTROL)} for the one of Slipway; take a base model made for "
                "conversations, or one that Slipway trained with `tokenize.conversations: true`"
            )
        template = template or chat.TEMPLATE
    config.pop("chat_template", None)
    _write(directory, tokenizer, config | {"split_special_tokens": template is None}, template)
