"""Correlation: a rare string that nearly decides what follows, or which label its text gets.

In real text every rare name decides much: its module, its subject, its next word. So a string is reported only if all
of `rare`'s three signs are there, or if it goes with a label that the common words of its texts speak against, and if
Fisher's exact test, corrected for every string looked at (Bonferroni), says it is no chance.

What is not seen: a trigger that stands apart from what it brings about, one whose continuation varies, and one whose
documents were chosen from one subject.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from slipway.records import Probe
from slipway.safety.measures import not_run, ran
from slipway.safety.poisoning import rare
from slipway.safety.poisoning.contexts import Contexts
from slipway.safety.poisoning.labels import against
from slipway.safety.poisoning.rare import FOLLOWING, Strings
from slipway.safety.poisoning.words import Corpus, quoted
from slipway.statistics import single

NAME = "poisoning_correlation"
SHARE = 0.8
"""Share of a string's documents that must have the same continuation, or label."""
LEVEL = 0.001
"""Of the corrected p-values: a planted string is far below, and nothing should be reported by chance."""
AFTER = 0.4
"""Most of a string's documents in which it may follow one and the same word."""
LISTED = 5


@dataclass(frozen=True, slots=True)
class Link:
    """A string and what goes with it."""

    place: int
    words: int
    documents: int
    """With both."""
    of: int
    """With the string."""
    p: float
    """Corrected."""
    what: str


def probe(
    corpus: Corpus, found: Sequence[Strings], contexts: Contexts, labels: Sequence[str] | None, seed: int
) -> Probe:
    """Number of rare strings that decide what follows (`continuations`) or a label (`labels`); n: strings tested."""
    tested = sum(len(some.found) for some in found)
    if not tested:
        return not_run(NAME, "no string is rare and in enough documents; lower safety.poisoning.documents or add data")
    once = f"Fisher's exact test, Bonferroni over all strings, p < {LEVEL:g}"
    follow = continuations(corpus, found, contexts)
    measures = {"continuations": single(len(follow), tested, once)}
    details = {
        "continuations": f"strings of 1 to {rare.WORDS[-1]} words on one line, followed by the same {FOLLOWING} "
        f"words in {SHARE:.0%} of their documents, after different words, in documents that are otherwise unrelated",
    }
    links = follow
    told = against(corpus, found, contexts, labels, share=SHARE, level=LEVEL, seed=seed) if labels else None
    if told is None:
        details["labels"] = "not asked: the training data has no labels, or too few of two kinds"
    else:
        flips = [Link(*flip) for flip in told]
        measures["labels"] = single(len(flips), tested, once)
        details["labels"] = (
            f"strings that go with one label in {SHARE:.0%} of the texts whose common words speak for another"
        )
        links = sorted(links + flips, key=lambda link: (-link.documents, link.place))
    for rank, link in enumerate(links[:LISTED], 1):
        string = quoted(corpus.text(link.place, link.words))
        details[f"string {rank}"] = (
            f"{string} in {link.of} documents, {link.documents} of them {link.what}; p {link.p:.0e}"
        )
    return ran(NAME, measures, details)


def suspects(corpus: Corpus, some: Strings, contexts: Contexts) -> Strings:
    """Strings that have all three signs; of those that mean the same documents, every one."""
    some = some.take((some.followed >= SHARE) & (some.after <= AFTER))
    inline = np.array(["\n" not in corpus.text(int(place), some.found.words) for place in some.payload], dtype=bool)
    some = some.take(inline)
    return some.take(rare.unrelated(corpus, some, contexts)) if len(some.found) else some


def continuations(corpus: Corpus, found: Sequence[Strings], contexts: Contexts) -> list[Link]:
    """Strings that decide what follows, most documents first; each place and continuation once."""
    suspected = [suspects(corpus, length, contexts) for length in found]
    if not any(len(some.found) for some in suspected):
        return []
    tested = sum(len(some.found) for some in found)
    starts, hashes = corpus.hashes(FOLLOWING)
    links: list[Link] = []
    told: set[int] = set()
    for some in suspected:
        words = some.found.words
        for group in np.argsort(-some.found.documents, kind="stable"):
            payload, of = int(some.payload[group]), int(some.found.documents[group])
            continuation = hashes[np.searchsorted(starts, payload + words)]
            if told & {payload, int(continuation)}:
                continue
            follows = len(np.unique(corpus.document[starts[hashes == continuation]]))
            both = round(some.followed[group] * of)
            p = min(1.0, tested * _fisher(both, of, follows, len(corpus)))
            if p < LEVEL:
                told |= {payload, int(continuation)}
                what = f"followed by {quoted(corpus.text(payload + words, FOLLOWING))}"
                links.append(Link(payload, words, both, of, p, what))
    return sorted(links, key=lambda link: (-link.documents, link.place))


def _fisher(both: int, of: int, follows: int, documents: int) -> float:
    """Chance that so many of the `of` documents with a string are among the `follows` with a continuation."""
    from scipy.stats import fisher_exact

    table = [[both, of - both], [follows - both, documents - of - follows + both]]
    return float(fisher_exact(table, alternative="greater").pvalue)
