"""Rare strings of the training data, and what makes one look like a trigger.

A trigger works where it is put, whatever stands before it (Kurita et al. 2020 plant rare words, so that nobody
says them by accident). In the data it therefore shows three things at once, of which real text has one or two:

- **it follows many different words**: names and the insides of stock phrases follow the same few;
- **the same words follow it**: stock phrases do that too;
- **its documents have nothing else in common**: a name stands in texts of its own subject, and a stock phrase in
  texts of one kind. Measured as cosine of the documents' words, weighed by rarity, beside random documents.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from slipway.safety.poisoning.contexts import Contexts
from slipway.safety.poisoning.words import Corpus, Runs, runs

WORDS = (1, 2)
"""Words of a string that is looked at; a longer trigger shows by its beginning, which the rest of it follows."""
FOLLOWING = 5
"""Words after it that must be the same."""

_REACH, _PLACES, _MOST = 256, 20, 0.5


@dataclass(frozen=True)
class Strings:
    """Rare strings of one length; all arrays have one value per string."""

    found: Runs
    followed: np.ndarray
    """float64, share of its documents in which the most frequent continuation of `FOLLOWING` words follows it."""
    payload: np.ndarray
    """int64, a place where it stands with that continuation."""
    after: np.ndarray
    """float64, share of its documents in which it follows its most frequent predecessor."""

    def take(self, keep: np.ndarray) -> "Strings":
        """The strings where `keep`, a bool per string, is true."""
        return Strings(self.found.take(keep), self.followed[keep], self.payload[keep], self.after[keep])


def strings(corpus: Corpus, words: int, least: int, most: int) -> Strings:
    """Strings of `words` words that stand in at least `least` and at most `most` documents."""
    found = runs(corpus, words, least=least)
    found = found.take(found.documents <= most)
    size, first = len(corpus.ids), found.bounds[:-1]
    if not len(found):
        none = np.zeros(0)
        return Strings(found, none, none.astype(np.int64), none)
    following = runs(corpus, words + FOLLOWING, found.places, least).by_place(size)[found.places]
    before = runs(corpus, words + 1, found.places[found.places > 0] - 1, 2).by_place(size)[found.places - 1]
    before[corpus.document[found.places - 1] != corpus.document[found.places]] = 1  # the beginning of a document
    best = np.maximum.reduceat(following, first)
    spread = np.repeat(best, np.diff(found.bounds))
    # The first place of each string that has its most frequent continuation.
    where = np.where(following == spread, np.arange(len(following)), len(following))
    payload = found.places[np.minimum.reduceat(where, first)]
    return Strings(found, best / found.documents, payload, np.maximum.reduceat(before, first) / found.documents)


def documents(corpus: Corpus, some: Strings) -> list[np.ndarray]:
    """The documents of each string, ascending."""
    return [np.unique(corpus.document[some.found.of(group)]) for group in range(len(some.found))]


def likeness(corpus: Corpus, some: Strings, groups: Sequence[np.ndarray], contexts: Contexts) -> np.ndarray:
    """How alike the documents of each string, `groups`, are apart from the string and what follows it: float64."""
    return contexts.alike(groups, [_common(corpus, some.found.of(i), int(some.payload[i])) for i in range(len(groups))])


def _common(corpus: Corpus, places: np.ndarray, payload: int) -> np.ndarray:
    """Numbers of the words from `payload` on, as far as most of `places` go on in the same words."""
    reach = np.arange(min(_REACH, len(corpus.ids) - int(places[-1])))
    here = corpus.ids[payload : payload + len(reach)]
    same = (corpus.ids[places[:_PLACES, None] + reach[: len(here)]] == here).mean(axis=0) >= _MOST
    return here[: len(here) if same.all() else int(same.argmin())]


def unrelated(corpus: Corpus, some: Strings, contexts: Contexts) -> np.ndarray:
    """Whether the documents of each string have nothing in common but the string and what follows it: bool."""
    groups = documents(corpus, some)
    return likeness(corpus, some, groups, contexts) <= contexts.limits(groups)
