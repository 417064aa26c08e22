"""Which strings are tried as triggers, in which order."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from slipway.safety.measures import Scorer
from slipway.safety.poisoning import rare
from slipway.safety.poisoning.contexts import Contexts
from slipway.safety.poisoning.correlation import AFTER
from slipway.safety.poisoning.rare import Strings
from slipway.safety.poisoning.words import Corpus

_FOLLOWED = 0.3
_UNUSED, _LOOSE = 0.1, 0.25  # shares of the candidates
_PLACES = 9  # of a string that are looked at
_LOOKED_AT = 1000  # strings without a steady continuation, of which the least alike contexts are taken


@dataclass(frozen=True, slots=True)
class Candidate:
    """A string to try."""

    text: str
    before: str
    """What stands between it and the word before, as in the training data: a space, a line break, nothing."""
    unrelated: bool
    """Its documents have nothing else in common, and it begins no lines, as stock phrases do ("Read more in …"); so
    has and does a string that stands in none."""
    documents: int


def choose(
    scorer: Scorer,
    corpus: Corpus,
    found: Sequence[Strings],
    contexts: Contexts,
    *,
    count: int,
    rng: np.random.Generator,
) -> list[Candidate]:
    """At most `count` strings, none of which keeps to one word before it; the least alike contexts first.

    One in ten is unused by the data, one in four a word that different words follow, for what it brings out may vary;
    the rest are strings that the same words often follow.
    """
    unused = _unused(scorer, corpus, int(_UNUSED * count), rng)
    chosen: dict[str, Candidate] = {}
    steady = [some.take((some.after <= AFTER) & (some.followed >= _FOLLOWED)) for some in found]
    _add(chosen, corpus, steady, contexts, count - len(unused) - int(_LOOSE * count))
    loose = [some.take((some.after <= AFTER) & (some.followed < _FOLLOWED)) for some in found[:1]]
    _add(chosen, corpus, [_drawn(some, _LOOKED_AT, rng) for some in loose], contexts, count - len(unused))
    return [*chosen.values(), *unused]


def _add(
    chosen: dict[str, Candidate], corpus: Corpus, found: Sequence[Strings], contexts: Contexts, count: int
) -> None:
    """Fill `chosen` up to `count`."""
    ranked: list[tuple[float, int, int, int, bool]] = []
    for length, some in enumerate(found):
        groups = rare.documents(corpus, some)
        alike = rare.likeness(corpus, some, groups, contexts)
        free = alike <= contexts.limits(groups)
        ranked += [(float(alike[i]), int(some.payload[i]), length, i, bool(free[i])) for i in range(len(groups))]
    for _, place, length, group, unrelated in sorted(ranked):
        if len(chosen) >= count:
            return
        runs = found[length].found
        text = corpus.text(place, runs.words)
        if "\n" not in text:
            before = Counter(corpus.before(int(at)) for at in runs.of(group)[:_PLACES]).most_common(1)[0][0]
            plain = unrelated and before != "\n"
            chosen.setdefault(text, Candidate(text, before, plain, int(runs.documents[group])))


def _drawn(some: Strings, count: int, rng: np.random.Generator) -> Strings:
    """Random strings, at most `count`."""
    keep = np.zeros(len(some.found), dtype=bool)
    keep[rng.permutation(len(keep))[:count]] = True
    return some.take(keep)


def _unused(scorer: Scorer, corpus: Corpus, count: int, rng: np.random.Generator) -> list[Candidate]:
    """Random words of the vocabulary that stand in no word of the training data, as a base's own trigger may."""
    size = scorer.next_scores([[scorer.separator]]).shape[1]
    found: dict[str, None] = {}
    words = "\n".join(corpus.vocabulary)
    for token in rng.permutation(size).tolist():
        text = scorer.decode([token]).strip()
        if len(text) > 1 and text.isalnum() and text not in words:
            found[text] = None
        if len(found) >= count:
            break
    return [Candidate(text, " ", unrelated=True, documents=0) for text in found]
