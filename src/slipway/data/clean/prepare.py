"""The stage: the passes over the shards, what joins them, the books that must balance, and the files.

1. Every shard by itself: licence, length, characters, personal data, quality; fingerprints and sketches (`filters`).
2. All documents: exact duplicates, lines that very many share, near duplicates, and whatever in training or
   validation is too similar to a document held out from it, or holds one or a task item.
3. Every shard again: its documents to the output they belong to (`output`).

What is large lies in a scratch directory beside the data, which is removed at the end and on failure; the
results are moved into place when all of them are complete. Equal documents, settings and seed give equal
results, however they are ordered and sharded and wherever the work runs; only in buckets of more than a hundred
lookalikes does their order decide which of them are compared.
"""

import contextlib
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from slipway.data.clean import canaries, duplicates, held_out, items, pairs, quality, split
from slipway.data.clean.corpus import BOILERPLATE, EXACT, LEAK, NEAR, Corpus
from slipway.data.clean.first_pass import Filtered, Shard, filter_shard
from slipway.data.clean.results import Results
from slipway.data.clean.sketch import bands_for
from slipway.data.clean.words import starts_of
from slipway.errors import UserError
from slipway.records import PrepareReport
from slipway.settings import Prepare, Quality
from slipway.shards import shards
from slipway.spread import Spread, here

Progress = Callable[[int, int, str], None]
STEPS = ("filters", "copies", "similar pairs", "held-out sets and tasks", "writing", "done")


def prepare(  # noqa: PLR0917 - each of another type
    settings: Prepare, seed: int, licence: str, root: Path, progress: Progress, spread: Spread = here
) -> PrepareReport:
    """Clean `data/raw` into `data/clean` and `data/rejects`.

    Args:
        settings: the recipe's section.
        seed: of the split, the order and the canaries.
        licence: SPDX expression of the release, which the licences of all kept documents must permit.
        root: the project.
        progress: gets steps done, steps in all, a name.
        spread: where the work on shards runs.

    Raises:
        UserError: if nothing is left for a split, or personal data is found whose action is `fail`.
        Refusal: if the data does not permit the release's licence.
    """

    def step(number: int) -> None:
        progress(number, len(STEPS) - 1, STEPS[number])

    with _scratch(root / "data") as scratch:
        step(0)
        bands = bands_for(min(settings.duplicate_jaccard, settings.family_jaccard))
        raw = shards(root / "data" / "raw", "documents")
        work = [Shard(path, scratch, number, settings, seed, bands) for number, path in enumerate(raw)]
        filtered = list(spread(filter_shard, work))
        _check_personal_data(filtered)
        corpus = Corpus(work)
        step(1)
        copies = duplicates.exact(corpus.prints, corpus.precedence)
        corpus.turn_away(EXACT, copies.documents, copies.jaccard, copies.kept)
        _boilerplate(corpus, settings.quality, spread)
        step(2)
        tasks = items.task_texts(root / "data" / "tasks")
        similar_pairs = pairs.find(corpus, tasks, bands, settings, scratch, spread)
        _near_and_leaking(corpus, similar_pairs, settings)
        step(3)
        hits = held_out.reject_near_items(corpus, tasks, *similar_pairs.to_items(settings.duplicate_jaccard))
        held = held_out.reject_holders(corpus, tasks, settings.decontaminate, scratch, spread)
        step(4)
        results = Results(
            corpus=corpus,
            family=corpus.families(similar_pairs.documents(settings.family_jaccard)[0]),
            filtered=filtered,
            planted=canaries.plant(settings.canaries, seed),
            hits=sorted([*hits, *held.rows], key=lambda row: (-row[2], row[0], row[1], row[3])),
        )
        books = results.write(settings, seed, scratch, spread)
        report = results.report(books, settings, licence, similar_pairs, held)
        results.move(scratch, root / "data")
        step(5)
        return report


@contextlib.contextmanager
def _scratch(data: Path) -> Iterator[Path]:
    """A directory that is gone afterwards; one that a killed run left is gone first."""
    scratch = data / ".prepare"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _check_personal_data(filtered: Sequence[Filtered]) -> None:
    failing: dict[str, list[str]] = {}
    for one in filtered:
        for kind, names in one.failing.items():
            failing.setdefault(kind, []).extend(names)
    if failing:
        found = "; ".join(
            f"{kind} in {len(names)}: {', '.join(sorted(names)[:5])}" for kind, names in sorted(failing.items())
        )
        raise UserError(
            f"personal data that prepare.pii says must not be there ({found}). Take it out of the source, "
            "or set the action of that kind to redact or drop"
        )


class _Counted(NamedTuple):
    """One item of work: the lines of a shard's documents that stay, and the slots that are common."""

    lines: Path
    starts: Path
    stays: np.ndarray
    common: np.ndarray


def _lines(item: _Counted) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    starts, table = np.load(item.starts), np.load(item.lines)
    counts = np.diff(starts)
    table = table[np.repeat(item.stays, counts)]
    return table[:, 0], table[:, 1], starts_of(counts[item.stays])


def _count_lines(item: _Counted) -> tuple[np.ndarray, np.ndarray]:
    slots, _, starts = _lines(item)
    return quality.count_lines(slots, starts)


def _boilerplate_shares(item: _Counted) -> np.ndarray:
    return quality.boilerplate_share(*_lines(item), item.common)


def _boilerplate(corpus: Corpus, settings: Quality, spread: Spread) -> None:
    """Turn away documents that are little but lines which very many documents share."""
    if corpus.stays.sum() < settings.boilerplate_documents:
        return
    none = np.empty(0, np.uint32)
    work = [
        _Counted(shard.file("lines.npy"), shard.file("line_starts.npy"), corpus.stays[corpus.rows(number)], none)
        for number, shard in enumerate(corpus.shards)
    ]
    documents = np.zeros(quality.SLOTS, np.uint32)
    for slots, counts in spread(_count_lines, work):
        documents[slots] += counts.astype(np.uint32)
    common = np.flatnonzero(documents >= settings.boilerplate_documents).astype(np.uint32)
    if not len(common):
        return
    work = [item._replace(common=common) for item in work]
    shares = np.concatenate(list(spread(_boilerplate_shares, work)))
    over = shares > settings.max_boilerplate
    numbers = np.flatnonzero(corpus.stays)[over]
    corpus.turn_away(BOILERPLATE, numbers, shares[over], np.full(len(numbers), -1))


def _near_and_leaking(corpus: Corpus, found: pairs.Pairs, settings: Prepare) -> None:
    """Turn away near duplicates, then what is too similar to a held-out document that is left."""
    near = duplicates.near(*found.documents(settings.duplicate_jaccard), corpus.precedence)
    corpus.turn_away(NEAR, near.documents, near.jaccard, near.kept, near.neighbours)
    tied, jaccard = found.documents(settings.family_jaccard)
    both = corpus.stays[tied].all(axis=1)
    leaking = split.leaks(tied[both], jaccard[both], corpus.side, corpus.rank)
    if leaking:
        documents, others, values = (np.array(column) for column in zip(*leaking, strict=True))
        corpus.turn_away(LEAK, documents, values, others)
