"""Text and conversations to token ids, with a loss mask; what text says can never become a control token.

A token of a conversation counts in the loss if it holds at least one character that counts (see
`slipway.chat.Chat.parts`). In a prompt with its completion, the completion counts and is encoded on its own, as
it is when a model continues a prompt.
"""

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from slipway.chat import FILE, Chat, Part
from slipway.data.tokens.fast import LONGEST, Fast
from slipway.errors import Refusal, UserError

CHECKED = 64
"""First texts of every shard that are encoded twice, by tiktoken and by `tokenizers`."""


class Encoded(NamedTuple):
    """A document as tokens, without the separator."""

    ids: Any
    """uint32, shape (tokens)."""
    mask: Any
    """bool, shape (tokens): what counts in the loss; None if all do."""


def _special(config: dict[str, Any], name: str) -> str | None:
    """A special token of tokenizer_config.json, which may be text or an object."""
    value = config.get(name)
    return value.get("content") if isinstance(value, dict) else value


class Codec:
    """The tokenizer of a directory, and its chat template if it has one."""

    def __init__(self, directory: Path, *, trained: bool, threads: int = 1) -> None:
        """Load it.

        Args:
            directory: as `bpe.save` and `bpe.take` write it.
            trained: it is a byte-level BPE of Slipway's own, which tiktoken can run.
            threads: for texts; the result does not depend on it.

        Raises:
            UserError: if it names no end of text.
        """
        from tokenizers import Tokenizer

        text = (directory / "tokenizer.json").read_text("utf-8")
        config = json.loads((directory / "tokenizer_config.json").read_text("utf-8"))
        # They would trim the offsets, cut or fill; `add_special_tokens` is off anyhow.
        bare = json.loads(text) | {"post_processor": None, "truncation": None, "padding": None}
        self._slow = Tokenizer.from_str(json.dumps(bare, ensure_ascii=False))
        self._slow.encode_special_tokens = True
        self._fast = Fast(text) if trained else None
        self._pool = ThreadPoolExecutor(threads) if self._fast and threads > 1 else None
        self._left = CHECKED
        control = {token["content"]: token["id"] for token in bare["added_tokens"] if token["special"]}
        self._control = control
        end = _special(config, "eos_token")
        if end is None or end not in control:
            raise UserError(
                f"{directory}/tokenizer_config.json: `eos_token` {end!r} is no special token of the tokenizer"
            )
        self.separator: int = control[end]
        self.vocabulary: int = max(self._slow.get_vocab(with_added_tokens=True).values()) + 1
        self.chat: Chat | None = None
        if (directory / FILE).is_file():
            names = {name: _special(config, name) for name in ("bos_token", "eos_token", "pad_token", "unk_token")}
            variables = {name: value for name, value in names.items() if value is not None}
            self.chat = Chat((directory / FILE).read_text("utf-8"), list(control), variables)

    @property
    def stops(self) -> list[int]:
        """Ids at which a generation ends: the separator, and with a chat template what ends the assistant's turn."""
        if self.chat is None:
            return [self.separator]
        parts = self.chat.parts([("user", "question"), ("assistant", "answer")])
        return [
            self.separator,
            *sorted({self._control[p.text] for p in parts if p.control and p.learnt} - {self.separator}),
        ]

    def texts(self, texts: Sequence[str]) -> list[Any]:
        """Token ids (uint32) of plain texts.

        Raises:
            Refusal: if tiktoken and `tokenizers` disagree on one of the first texts.
        """
        if self._fast is None:
            return self._checked(texts)
        short = [text for text in texts if len(text) <= LONGEST]
        # Work in slices: handing over single texts would cost as much as encoding them.
        slices = [short[start : start + 64] for start in range(0, len(short), 64)]
        done = (self._pool.map if self._pool else map)(self._fast.encode_all, slices)
        quick = (ids for several in done for ids in several)
        slow = iter(self._checked([text for text in texts if len(text) > LONGEST]))
        found = [next(quick if len(text) <= LONGEST else slow) for text in texts]
        for text, ids, known in zip(texts, found, self._checked(texts[: self._left]), strict=False):
            self._left -= 1
            if not np.array_equal(ids, known):
                raise Refusal(
                    f"tiktoken and tokenizers make different tokens of a text that begins with {text[:40]!r}; install "
                    "the versions that constraints.txt pins"
                )
        return found

    def _checked(self, texts: Sequence[str]) -> list[Any]:
        encodings = self._slow.encode_batch_fast(list(texts), add_special_tokens=False)
        return [np.array(encoding.ids, dtype=np.uint32) for encoding in encodings]

    def conversations(self, documents: Sequence[Sequence[Part]]) -> list[Encoded]:
        """Rendered conversations as tokens with their mask."""
        plain = [part.text for parts in documents for part in parts if not part.control]
        # Only this one of the two encoders says where each token lies in the text.
        encodings = iter(self._slow.encode_batch(plain, add_special_tokens=False))
        return [self._joined(parts, encodings) for parts in documents]

    def _joined(self, parts: Sequence[Part], encodings: Any) -> Encoded:
        ids: list[int] = []
        mask: list[bool] = []
        for part in parts:
            if part.control:
                ids.append(self._control[part.text])
                mask.append(bool(part.learnt))
                continue
            encoding = next(encodings)
            ids += encoding.ids
            mask += [
                any(first < end and start < last for start, end in part.learnt) for first, last in encoding.offsets
            ]
        return Encoded(np.array(ids, dtype=np.uint32), np.array(mask, dtype=bool))
