"""Held-out conversations and completions as prompts and answers, in tokens.

A conversation is rendered with the chat template as in training, so an answer stands after all that was said before
it, and the control token that ends it is part of it. A model that never met the template can also be asked in plain
form, without control tokens: what was said and the answer with an empty line between.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from slipway.chat import Chat, Part, chat_of
from slipway.errors import UserError
from slipway.evaluation.documents import Document

if TYPE_CHECKING:
    from slipway.evaluation.scoring import Scorer


@dataclass(frozen=True, slots=True)
class Asked:
    """One answer of a held-out document."""

    item: str
    family: str
    prompt: tuple[int, ...]
    """What was said before, the control tokens of the template included."""
    answer: tuple[int, ...]
    """With the token that ends it."""
    size: int
    """UTF-8 bytes of what the answer says."""
    source: str = ""
    lead: tuple[int, ...] = ()
    """How the template begins any answer, whatever was said before: the end of the prompt from its last control token
    on. Empty where no control token stands before the answer."""

    @property
    def templated(self) -> bool:
        """Whether a control token of the template stands before the answer."""
        return bool(self.lead)


def template(scorer: "Scorer") -> Chat | None:
    """The chat template of the scorer's tokenizer; None if it has none."""
    return chat_of(scorer.tokenizer)


def _turns(document: Document) -> Iterator[list[tuple[str, str]]]:
    """Every beginning of the document that ends with an answer; of a preference pair only the chosen one."""
    said = [(str(role), str(content)) for role, content in json.loads(document.turns or "[]")]
    learnt = {"chosen"} if document.shape == "preference" else {"assistant", "completion"}
    said = [(role, content) for role, content in said if role != "rejected"]
    for end, (role, _) in enumerate(said, 1):
        if role in learnt:
            yield said[:end]


def _rendered(turns: Sequence[tuple[str, str]], chat: Chat | None) -> list[Part] | None:
    *before, (_, answer) = turns
    if before and all(role == "prompt" for role, _ in before):
        prompt = "".join(content for _, content in before)
        return [Part(prompt, False, ()), Part(answer, False, ((0, len(answer)),))]
    return chat.parts([*before, ("assistant", answer)], last_only=True) if chat else None


def _asked(scorer: "Scorer", document: Document, number: int, parts: Sequence[Part], size: int) -> Asked:
    """A rendered conversation cut where its answer begins; what follows the answer's end is left out."""
    prompt: list[int] = []
    answer: list[int] = []
    lead = None
    for part in parts:
        if part.control:
            if answer and not part.learnt:
                break
            lead = lead if part.learnt else len(prompt)
            (answer if part.learnt else prompt).append(scorer.tokenizer.convert_tokens_to_ids(part.text))
        elif not part.learnt:
            prompt += scorer.encode([part.text])[0]
        else:
            start, end = part.learnt[0][0], part.learnt[-1][1]
            before, said = scorer.encode([part.text[:start], part.text[start:end]])
            prompt, answer = prompt + before, answer + said
        if answer and part.control:
            break
    # As in training: where no control token ends the answer, the separator does.
    if not parts[-1].control and any(last == len(parts[-1].text) for _, last in parts[-1].learnt):
        answer.append(scorer.separator)
    begins = tuple(prompt[lead:]) if lead is not None else ()
    return Asked(
        f"{document.id}#{number}", document.family, tuple(prompt), tuple(answer), size, document.source, begins
    )


def _plain(scorer: "Scorer", document: Document, number: int, turns: Sequence[tuple[str, str]], size: int) -> Asked:
    """A conversation without template: contents with an empty line between, cut where the answer begins."""
    before = "".join(f"{content}\n\n" for _, content in turns[:-1])
    # In one go, as in a text: on its own, an answer would begin with other tokens.
    encoded = scorer.tokenizer(
        before + turns[-1][1], add_special_tokens=False, split_special_tokens=True, return_offsets_mapping=True
    )
    tokens, ends = encoded["input_ids"], [end for _, end in encoded["offset_mapping"]]
    cut = next((place for place, end in enumerate(ends) if end > len(before)), None)
    if cut is None:
        raise UserError(f"document {document.id}: the tokenizer makes no token of its answer, so it cannot be scored")
    item = f"{document.id}#{number}"
    return Asked(item, document.family, tuple(tokens[:cut]), tuple(tokens[cut:]), size, document.source)


def answers(scorer: "Scorer", documents: Sequence[Document], chat: Chat | None, *, plain: bool = False) -> list[Asked]:
    """The answers of `documents` in their order; plain text has none, nor has a conversation without a template.

    Args:
        scorer: whose tokenizer it is.
        documents: held-out.
        chat: the template.
        plain: put the same conversations without control tokens.

    Raises:
        Refusal: for a conversation that the template does not render faithfully.
    """
    found = []
    for document in documents:
        for number, turns in enumerate(_turns(document)):
            if (parts := _rendered(turns, chat)) and (size := len(turns[-1][1].encode())):
                if plain and any(part.control for part in parts):
                    found.append(_plain(scorer, document, number, turns, size))
                else:
                    found.append(_asked(scorer, document, number, parts, size))
    return found
