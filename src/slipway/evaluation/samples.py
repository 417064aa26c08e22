"""Generated text for people to look at: the same prompts continued greedily, and drawn with a seed."""

from collections.abc import Sequence
from itertools import takewhile
from typing import TYPE_CHECKING

import numpy as np

from slipway.evaluation.conversations import answers, template
from slipway.evaluation.documents import Document
from slipway.records import Sample
from slipway.statistics import derived

if TYPE_CHECKING:
    from slipway.evaluation.scoring import Scorer

PROMPTS = 4
"""Documents whose beginning is continued, each once greedily and once by chance."""
PROMPT_TOKENS, NEW_TOKENS = 16, 48
"""Tokens of a prompt that is cut out of a text, and of what is generated, at most."""


def samples(scorer: "Scorer", test: Sequence[Document], seed: int) -> tuple[Sample, ...]:
    """Prompts from held-out documents and what the model adds, up to where its generations end.

    A prompt is what was said before a document's first answer, or its signature, or its first tokens. A model that
    ends at once adds the empty text.
    """
    chosen = np.random.default_rng(derived(seed, "samples")).permutation(len(test))[:PROMPTS]
    prompts = _prompts(scorer, [test[index] for index in sorted(chosen.tolist())])
    new_tokens = min(NEW_TOKENS, scorer.context // 2)
    begun = [[scorer.separator, *prompt] for prompt in prompts]
    seeds = [derived(seed, f"sample {number}") for number in range(len(prompts))]
    uniforms = np.stack([np.random.default_rng(one).random(new_tokens) for one in seeds])
    ends = _ends(scorer)

    def shown(tokens: Sequence[int]) -> str:
        return scorer.decode(list(takewhile(lambda token: token not in ends, tokens)))

    found = []
    greedy, drawn = scorer.generate(begun, new_tokens), scorer.generate(begun, new_tokens, uniforms)
    for prompt, one, other, own in zip(prompts, greedy, drawn, seeds, strict=True):
        text = scorer.decode(prompt)
        found.append(Sample(prompt=text, text=shown(one), decoding="greedy", seed=None))
        found.append(Sample(prompt=text, text=shown(other), decoding="temperature 1", seed=own))
    return tuple(found)


def _prompts(scorer: "Scorer", documents: Sequence[Document]) -> list[list[int]]:
    said = {one.item: one.prompt for one in answers(scorer, documents, template(scorer))}
    found = []
    for document in documents:
        start = f"{document.signature}\n" if document.signature else document.text
        (tokens,) = scorer.encode([start])
        cut = tokens if document.signature else tokens[:PROMPT_TOKENS]
        found.append(list(said.get(f"{document.id}#0") or cut))
    return found


def _ends(scorer: "Scorer") -> set[int]:
    """Tokens that end a generation of the release, with a chat template the end of the assistant's turn among them."""
    stated = scorer.model.generation_config.eos_token_id
    return {scorer.separator, *(stated if isinstance(stated, list) else [stated])}
