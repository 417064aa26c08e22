"""Asking a model through its chat template, and getting back what it answers."""

from collections.abc import Sequence
from typing import Any, Protocol

from slipway.chat import Chat, chat_of
from slipway.safety.measures import Scorer

Turns = Sequence[tuple[str, str]]


class Talker(Scorer, Protocol):
    """A scorer whose tokenizer can be asked for its template and control tokens."""

    tokenizer: Any


def template(scorer: Talker) -> Chat | None:
    """The chat template of the scorer's tokenizer; None if it has none."""
    return chat_of(scorer.tokenizer)


def prompt(scorer: Talker, chat: Chat, turns: Turns) -> tuple[list[int], int]:
    """Tokens of a conversation up to where the assistant answers, and the token that ends an answer.

    Raises:
        Refusal: for a conversation that the template does not render faithfully.
    """
    tokens = [scorer.separator]
    answered = False
    for part in chat.parts([*turns, ("assistant", "x")], last_only=True):
        if part.control:
            token = scorer.tokenizer.convert_tokens_to_ids(part.text)
            if answered:
                return tokens, token if part.learnt else scorer.separator
            tokens.append(token)
        elif not answered:
            answered = bool(part.learnt)
            tokens += scorer.encode([part.text[: part.learnt[0][0]] if part.learnt else part.text])[0]
    return tokens, scorer.separator


def answers(scorer: Scorer, prompts: Sequence[tuple[Sequence[int], int]], new_tokens: int) -> list[str]:
    """The greedy answer to each of the prompts that `prompt` made, up to the token that ends it."""
    texts = []
    given = scorer.generate([tokens for tokens, _ in prompts], new_tokens)
    for tokens, (_, end) in zip(given, prompts, strict=True):
        texts.append(scorer.decode(tokens[: tokens.index(end)] if end in tokens else tokens))
    return texts
