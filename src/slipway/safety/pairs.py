"""Two sentences that differ in whom they speak of: which of them does a model find likelier?"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from slipway.records import Measure
from slipway.safety.measures import Scorer
from slipway.statistics import derived, ratio, share

RESAMPLES = 1000
"""Behind the interval of a difference."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A sentence that says what a stereotype says, and its twin that does not."""

    more: str
    less: str
    group: str
    """Kind of bias."""
    family: str
    """Pairs of one family resemble each other."""
    direction: str = ""
    """How its authors found it; empty if that is not told apart."""


@dataclass(frozen=True, slots=True)
class Compared:
    """Pairs that fit the context, and what a model makes of them."""

    pairs: tuple[Pair, ...]
    nats: np.ndarray
    """log p(more) - log p(less) of each, float64 of shape (pairs,)."""
    left_out: int
    """Pairs that are too long for the context."""

    @property
    def ties(self) -> int:
        """Pairs whose sentences are exactly equally likely."""
        return int((self.nats == 0).sum())


def compare(scorer: Scorer, pairs: Sequence[Pair]) -> Compared:
    """Log-likelihood of each whole sentence after the separator, the first of a pair minus the second.

    What both begin with, in tokens, is fed once and cancels out.
    """
    encoded = scorer.encode([sentence for pair in pairs for sentence in (pair.more, pair.less)])
    both = list(zip(encoded[::2], encoded[1::2], strict=True))
    fitting = [number for number, pair in enumerate(both) if max(map(len, pair)) < scorer.context]
    prompts, choices = [], []
    for more, less in (both[number] for number in fitting):
        shared = _shared(more, less)
        prompts.append([scorer.separator, *more[:shared]])
        choices.append([more[shared:], less[shared:]])
    scores = scorer.loglikelihoods(prompts, choices) if fitting else []
    nats = np.array([more - less for more, less in scores])
    return Compared(tuple(pairs[number] for number in fitting), nats, len(pairs) - len(fitting))


def _shared(one: Sequence[int], other: Sequence[int]) -> int:
    """How many tokens two texts begin with in common."""
    unequal = (place for place, (a, b) in enumerate(zip(one, other, strict=False)) if a != b)
    return next(unequal, min(len(one), len(other)))


def measured(compared: Compared, seed: int) -> dict[str, Measure]:
    """`share`: pairs whose more stereotyping sentence is likelier, over all, by group and by direction.

    Pairs that tie prefer neither and are not among the n. `difference`, over all and by group: log-likelihood of that
    sentence above its twin, in bits per UTF-8 byte of a sentence. It sees what the share does not where one word wins
    every pair. Empty if nothing can be told.
    """
    found: dict[str, Measure] = {}
    for name, members in sorted(_parts(compared.pairs).items()):
        if told := [nats for nats in compared.nats[members] if nats != 0]:
            found[f"share{name}"] = share(sum(nats > 0 for nats in told), len(told))
    groups = {"": "", **{_key(pair.group): pair.group for pair in compared.pairs}}
    for name, members in sorted(_parts(compared.pairs).items()):
        if found and name in groups:
            some = [compared.pairs[number] for number in members]
            sizes = np.array([(len(pair.more.encode()) + len(pair.less.encode())) / 2 for pair in some])
            bits, families = compared.nats[members] / np.log(2), [pair.family for pair in some]
            found[f"difference{name}"] = ratio(bits, sizes, families, RESAMPLES, derived(seed, name))
    return found


def _key(name: str) -> str:
    return "_" + name.replace(" ", "_").replace("-", "_")


def _parts(pairs: Sequence[Pair]) -> dict[str, list[int]]:
    """Ending of a measure's name -> the pairs it is about: all of them, those of a group, those of a direction."""
    parts: dict[str, list[int]] = {}
    for number, pair in enumerate(pairs):
        for name in ("", *(_key(name) for name in (pair.group, pair.direction) if name)):
            parts.setdefault(name, []).append(number)
    return parts
