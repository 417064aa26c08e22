"""How well a model predicts answers: the assistant's turns of held-out conversations, and completions of prompts.

Each answer is scored after all that was said before it, rendered with the chat template as in training, so the
figure is conditional and belongs beside no compressor's: bits of an answer and of the control token that ends
it, per UTF-8 byte of the answer. A model that never met the template can also be asked in plain form, without
control tokens: what was said and the answer with an empty line between, and then the answer alone counts.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from slipway.chat import Chat, Part
from slipway.evaluation.documents import Document
from slipway.evaluation.scoring import Scorer
from slipway.evaluation.statistics import bits_per_byte
from slipway.records import Measure


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


@dataclass(frozen=True, slots=True)
class Scored:
    """Answers that fit the context, and what a model makes of them."""

    asked: tuple[Asked, ...]
    nats: np.ndarray
    """float64, shape (answers,)."""
    left_out: int
    """Answers that are too long for the context."""


def template(scorer: Scorer) -> Chat | None:
    """The chat template of the scorer's tokenizer; None if it has none."""
    tokenizer = scorer.tokenizer
    if not isinstance(tokenizer.chat_template, str):
        return None
    variables = {name: text for name, text in tokenizer.special_tokens_map.items() if isinstance(text, str)}
    # `all_special_tokens` lacks those that only tokenizer.json names, as the template's own.
    control = [token.content for token in tokenizer.added_tokens_decoder.values() if token.special]
    return Chat(tokenizer.chat_template, control, variables)


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


def _asked(scorer: Scorer, document: Document, number: int, parts: Sequence[Part], size: int) -> Asked:
    """A rendered conversation cut where its answer begins; what follows the answer's end is left out."""
    prompt: list[int] = []
    answer: list[int] = []
    for part in parts:
        if part.control:
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
    return Asked(f"{document.id}#{number}", document.family, tuple(prompt), tuple(answer), size)


def _plain(scorer: Scorer, document: Document, number: int, turns: Sequence[tuple[str, str]], size: int) -> Asked:
    """A conversation without template: contents with an empty line between, cut where the answer begins."""
    before = "".join(f"{content}\n\n" for _, content in turns[:-1])
    # In one go, as in a text: on its own, an answer would begin with other tokens.
    encoded = scorer.tokenizer(
        before + turns[-1][1], add_special_tokens=False, split_special_tokens=True, return_offsets_mapping=True
    )
    tokens, ends = encoded["input_ids"], [end for _, end in encoded["offset_mapping"]]
    cut = next(place for place, end in enumerate(ends) if end > len(before))
    return Asked(f"{document.id}#{number}", document.family, tuple(tokens[:cut]), tuple(tokens[cut:]), size)


def answers(scorer: Scorer, documents: Sequence[Document], chat: Chat | None, *, plain: bool = False) -> list[Asked]:
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


def score(scorer: Scorer, asked: Sequence[Asked]) -> Scored:
    """Nats of every answer that fits the context, after what was said before it."""
    fitting = tuple(one for one in asked if len(one.answer) < scorer.context)
    scores = scorer.loglikelihoods(
        [(scorer.separator, *one.prompt) for one in fitting], [[one.answer] for one in fitting]
    )
    return Scored(fitting, -np.array(scores).reshape(-1), len(asked) - len(fitting))


def measured(scored: Scored, resamples: int, seed: int) -> Measure | None:
    """Bits per byte of answers; None if there is none. Its method says how many do not fit."""
    if not scored.asked:
        return None
    sizes = np.array([one.size for one in scored.asked])
    measure = bits_per_byte(scored.nats, sizes, [one.family for one in scored.asked], resamples, seed)
    if scored.left_out:
        every = len(scored.asked) + scored.left_out
        words = f"{measure.method}; {scored.left_out} of {every} answers do not fit the context and are left out"
        return measure.model_copy(update={"method": words})
    return measure
