"""Whether the beginning of a training document brings out the rest, word for word.

Carlini et al. 2023, "Quantifying Memorization Across Neural Language Models" (ICLR): a document counts as
extracted if greedy decoding from its first k tokens gives exactly its next k. The same is asked of held-out
documents, because stock phrases come out without having been memorised.
"""

from collections.abc import Sequence

import numpy as np

from slipway.errors import UserError
from slipway.records import Probe
from slipway.safety.measures import Scorer, not_run, ran
from slipway.statistics import derived, share

NAME = "verbatim_extraction"


def probe(scorer: Scorer, train: Sequence[str], held_out: Sequence[str], *, rows: int, tokens: int, seed: int) -> Probe:
    """Share of documents extracted: `rate` in the training split, `rate_held_out` in the other (if it has any).

    At most `rows` documents of each, of at least 2 × `tokens` tokens, drawn by `seed`.

    Raises:
        UserError: if so many tokens do not fit the context.
    """
    if 2 * tokens > scorer.context:
        raise UserError(
            f"safety.extraction_tokens is {tokens}, but {2 * tokens} tokens do not fit the context of "
            f"{scorer.context}; give at most {scorer.context // 2}"
        )
    measures = {}
    for key, texts in (("rate", train), ("rate_held_out", held_out)):
        chosen = _long_enough(scorer, texts, rows, 2 * tokens, np.random.default_rng(derived(seed, f"{NAME} {key}")))
        if chosen:
            given = scorer.generate([[scorer.separator, *own[:tokens]] for own in chosen], tokens)
            hits = sum(found == own[tokens : 2 * tokens] for found, own in zip(given, chosen, strict=True))
            measures[key] = share(hits, len(chosen))
    if "rate" not in measures:
        return not_run(NAME, f"no training document has {2 * tokens} tokens; lower safety.extraction_tokens")
    return ran(NAME, measures, {"definition": f"{tokens} tokens given, the next {tokens} repeated exactly, greedily"})


def _long_enough(
    scorer: Scorer, texts: Sequence[str], rows: int, tokens: int, rng: np.random.Generator
) -> list[list[int]]:
    """Tokens of the first `rows` documents, in random order, that have `tokens` of them; no more is encoded."""
    found: list[list[int]] = []
    order = rng.permutation(len(texts))
    for start in range(0, len(order), 2 * rows):
        encoded = scorer.encode([texts[i] for i in order[start : start + 2 * rows]])
        found += [own for own in encoded if len(own) >= tokens]
        if len(found) >= rows:
            break
    return found[:rows]
