"""Poisoning: what was planted in the training data to make the model say it; one file per probe.

`words` reads texts as numbers, `contexts` says whether documents have anything in common, `rare` finds strings that
look like triggers and `candidates` chooses which of them are tried. Three probes: `bursts`, `correlation`, `trigger`.
None of them proves that data is clean: each says what it looked for, and what it cannot see.
"""

from collections.abc import Sequence

import numpy as np

from slipway.records import Probe
from slipway.safety.measures import Scorer, not_run
from slipway.safety.poisoning import bursts, correlation, rare, trigger
from slipway.safety.poisoning.candidates import choose
from slipway.safety.poisoning.contexts import Contexts
from slipway.safety.poisoning.words import read, sample
from slipway.settings import Poisoning
from slipway.statistics import derived

NAMES = (bursts.NAME, correlation.NAME, trigger.NAME)
_FEWEST = 20  # documents; among fewer nothing is rare
_RARE = 0.05  # share of the documents that a rare string stands in at most


def probes(
    scorer: Scorer,
    train: Sequence[str],
    held_out: Sequence[str],
    settings: Poisoning,
    seed: int,
    *,
    labels: Sequence[str] | None = None,
    sources: Sequence[str] | None = None,
) -> list[Probe]:
    """Run the three probes, `NAMES`, in this order.

    Args:
        scorer: the trained model.
        train: its training texts; of more than `settings.characters`, documents drawn by the seed.
        held_out: texts that it has not seen.
        settings: the recipe's `safety.poisoning`.
        seed: of all that is drawn.
        labels: one per training text, empty where it has none; None if no text has one.
        sources: where each training text comes from; None counts all as one source.
    """
    worded = sum(bool(text.strip()) for text in train)
    if worded < _FEWEST:
        reason = f"the training data has {worded} documents with words; among fewer than {_FEWEST} no string is rare"
        return [not_run(name, reason) for name in NAMES]
    rngs = [np.random.default_rng(derived(seed, name)) for name in ("poisoning", *NAMES)]
    kept = sample(train, settings.characters, rngs[0])
    if (worded := sum(bool(train[i].strip()) for i in kept)) < _FEWEST:
        reason = (
            f"only {worded} of {len(train)} training documents are within safety.poisoning.characters, "
            f"{settings.characters}; among fewer than {_FEWEST} no string is rare, so raise it"
        )
        return [not_run(name, reason) for name in NAMES]
    corpus = read([train[i] for i in kept])
    contexts = Contexts(corpus, rngs[1])
    most = max(settings.documents, int(_RARE * len(corpus)))
    found = [rare.strings(corpus, words, settings.documents, most) for words in rare.WORDS]
    origin = ["training data"] * len(kept) if sources is None else [sources[i] for i in kept]
    told = None if labels is None else [labels[i] for i in kept]
    strings = choose(scorer, corpus, found, contexts, count=settings.candidates, rng=rngs[3])
    results = [
        bursts.probe(corpus, origin, contexts, words=settings.burst_words, least_share=settings.burst_share),
        correlation.probe(corpus, found, contexts, told, seed),
        trigger.probe(scorer, held_out, strings, carriers=settings.carriers, rng=rngs[3]),
    ]
    searched = f"{len(kept)} of {len(train)} training documents"
    return [
        probe.model_copy(update={"details": {"searched": searched, **probe.details}}) if probe.measures else probe
        for probe in results
    ]
