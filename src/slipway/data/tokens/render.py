"""Documents with turns as parts to encode: a conversation and a completion make one sequence, a preference two."""

from collections.abc import Sequence

from slipway.chat import Chat, Part
from slipway.data.documents import Turn, loaded
from slipway.errors import Refusal

TURNS = ("chat", "completion", "preference")
"""Shapes of documents that have turns; `text` has none."""
PLAIN_PREFERENCE = '[["prompt",'
"""How the turns of a preference begin whose prompt is plain text, as `documents.dumped` writes them."""


def needs_template(shape: str, turns: str | None) -> bool:
    """Whether a document is a conversation, and not plain text with its continuation."""
    return shape == "chat" or (shape == "preference" and not (turns or "").startswith(PLAIN_PREFERENCE))


def _continued(prompt: Sequence[Turn], answer: str) -> list[Part]:
    parts = [Part("".join(turn.content for turn in prompt), False, ()), Part(answer, False, ((0, len(answer)),))]
    return [part for part in parts if part.text]


def _answered(chat: Chat | None, prompt: Sequence[Turn], answer: str) -> list[Part]:
    if all(turn.role == "prompt" for turn in prompt):
        return _continued(prompt, answer)
    return _template(chat).parts([*prompt, ("assistant", answer)], last_only=True)


def _template(chat: Chat | None) -> Chat:
    if chat is None:
        raise Refusal("a conversation, but the tokenizer has no chat template; rebuild with `slipway build`")
    return chat


def rendered(shape: str, turns: str | None, chat: Chat | None) -> list[list[Part]]:
    """What a document becomes: one sequence, or for a preference the chosen one and the rejected one.

    In a preference only the two answers count in the loss.

    Raises:
        Refusal: for turns that do not fit the shape, or that the template does not render faithfully.
    """
    said = loaded(turns or "[]")
    roles = [turn.role for turn in said]
    if shape == "chat" and said:
        return [_template(chat).parts(said)]
    if shape == "completion" and roles == ["prompt", "completion"]:
        return [_continued(said[:1], said[1].content)]
    if shape == "preference" and roles[-2:] == ["chosen", "rejected"] and len(roles) > 2:
        return [_answered(chat, said[:-2], answer.content) for answer in said[-2:]]
    raise Refusal(f"turns {roles} do not make a document of shape {shape!r}")
