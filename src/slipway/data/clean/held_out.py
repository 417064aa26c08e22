"""What must not know what: training data against what evaluation will ask, and validation against test.

A document is turned away if it holds enough of an item's runs of words (see
`contamination`), or if it is a near duplicate of a task item; near duplicates of held-out documents are the
business of the split.

A training document must hold no task item and no text of a test or validation document. Validation chooses where
training stops, so a validation document must hold no task item and no text of a test document; what is turned away
so is no longer looked for in training documents. Test documents stay, as those of a benchmark do: what is
held out is measured side by side, and nothing is learnt or chosen from it.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from slipway.data.clean import contamination, sketch
from slipway.data.clean.bands import write_keys
from slipway.data.clean.corpus import HOLDS_ITEM, NEAR_ITEM, STAYS, Corpus
from slipway.data.clean.items import Numbered, Text
from slipway.data.clean.phrases import Piece, covered, distinct, write_piece
from slipway.data.clean.similar import Sets, save_sets
from slipway.data.clean.split import SPLITS, TEST, TRAIN, VALIDATION
from slipway.records import Contamination, ContaminationHit
from slipway.settings import Decontaminate
from slipway.spread import Spread

LISTED = 50


class Held(NamedTuple):
    """What came of looking for items in documents."""

    rows: list[tuple]
    """Of the table of hits: item, id of the document, coverage, how."""
    counts: dict[str, int]
    """Set to items looked for."""
    too_short: dict[str, int]
    """Set to items that are not looked for, as no text of theirs has `SHORTEST` words."""
    residual: dict[str, float]
    """Of each set, the share of its words in runs that training documents which stay hold too."""


def sketches(texts: Sequence[Text], bands: sketch.Bands, scratch: Path) -> tuple[Path, Sets]:
    """Files of the keys and shingles of task items, as those of a shard."""
    shingles, keys = sketch.of_texts([text.text for text in texts], bands)
    write_keys(scratch / "keys-items.npy", keys)
    at = Sets(scratch / "shingles-items.npy", scratch / "sets-items.npy")
    return scratch / "keys-items.npy", save_sets(at, shingles.sets, shingles.set_starts)


def reject_near_items(corpus: Corpus, texts: Sequence[Text], pairs: np.ndarray, jaccard: np.ndarray) -> list[tuple]:
    """Turn away training and validation documents that `pairs` (document, text of an item) say are near duplicates.

    Returns: rows of the table of hits.
    """
    cleaned = corpus.stays[pairs[:, 0]] & (corpus.side[pairs[:, 0]] != TEST)
    best: dict[tuple[int, str], float] = {}
    for (document, text), value in zip(pairs[cleaned].tolist(), jaccard[cleaned].tolist(), strict=True):
        key = (document, f"{texts[text].set}/{texts[text].item}")
        best[key] = max(value, best.get(key, 0.0))
    rows = [(item, document, value, "near duplicate") for (document, item), value in best.items()]
    return _turn_away(corpus, rows, NEAR_ITEM)


def _turn_away(corpus: Corpus, rows: list[tuple], fate: int) -> list[tuple]:
    for item, document, value, _ in sorted(rows, key=lambda row: (row[2], row[0])):
        corpus.items[document] = item  # the last one is the strongest
        corpus.fate[document], corpus.value[document] = fate, value
    return [(item, corpus.id(document), value, how) for item, document, value, how in rows]


def reject_holders(
    corpus: Corpus, texts: Sequence[Text], settings: Decontaminate, scratch: Path, spread: Spread
) -> Held:
    """Turn away training and validation documents that hold items."""
    directory = scratch / "items"
    directory.mkdir()
    items = Numbered(corpus, texts)
    pieces = [write_piece(directory / "tasks", (text.text for text in texts), settings.words)]
    for side in (TEST, VALIDATION):
        pieces += spread(_piece, _work(corpus, side, directory, _Texts, settings.words))
    index = contamination.build(pieces, items.item_of, settings, directory)

    def hits(side: int, below: int | None, gone: Sequence[int]) -> tuple[list[tuple], np.ndarray]:
        work = _work(corpus, side, directory, _Scan, index, below, gone)
        rows, held = [], np.empty(0, np.uint64)
        for item, (found, more) in zip(work, spread(_scan, work), strict=True):
            rows += [(items.name(hit.item), item.first + hit.document, hit.coverage, "words") for hit in found]
            held = distinct(np.append(held, more)) if len(more) else held
        return _turn_away(corpus, rows, HOLDS_ITEM), held

    rows, _ = hits(VALIDATION, items.validation_from, ())
    gone = len(items.tasks) + np.flatnonzero(corpus.fate[items.documents] != STAYS)
    more, held = hits(TRAIN, None, gone.tolist())
    np.save(directory / "held.npy", held)
    covering = [_Covering(piece, directory / "held.npy", settings.words) for piece in pieces]
    sizes = np.concatenate([piece.sizes() for piece in pieces])
    inside = np.concatenate(list(spread(_covered, covering)))
    return Held([*rows, *more], *items.books(sizes, inside, gone))


class _Texts(NamedTuple):
    """One item of work: documents of a shard, whose runs are to be written."""

    documents: Path
    chosen: np.ndarray
    """Bool per row: whether it is meant."""
    first: int
    """Number of the shard's first document."""
    out: Path
    words: int


class _Scan(NamedTuple):
    """One item of work: documents of a shard, in which items are looked for."""

    documents: Path
    chosen: np.ndarray
    first: int
    out: Path
    items: contamination.Items
    below: int | None
    gone: Sequence[int]


def _work(corpus: Corpus, side: int, directory: Path, kind: Callable, *more: object) -> list:
    """Items of work for the shards that have documents on this side."""
    chosen = corpus.stays & (corpus.side == side)
    return [
        kind(shard.file("docs.arrow"), chosen[rows], rows.start, directory / f"{SPLITS[side]}-{number:05d}", *more)
        for number, shard in enumerate(corpus.shards)
        if chosen[rows := corpus.rows(number)].any()
    ]


def _read(work: _Texts | _Scan) -> Iterator[str]:
    """The texts of the rows that are meant, one batch in memory at a time."""
    import pyarrow as pa

    first = 0
    with pa.memory_map(str(work.documents)) as source:
        file = pa.ipc.open_file(source)
        for number in range(file.num_record_batches):
            batch = file.get_batch(number)
            chosen = np.flatnonzero(work.chosen[first : first + len(batch)])
            yield from batch.column("text").take(pa.array(chosen)).to_pylist()
            first += len(batch)


def _piece(work: _Texts) -> Piece:
    return write_piece(work.out, _read(work), work.words)


def _scan(work: _Scan) -> contamination.Look:
    """Hits by row, and, of training documents, what the other rows hold of the items."""
    found = contamination.look(work.items, _read(work), work.below, work.gone)
    rows = np.flatnonzero(work.chosen)
    hits = [hit._replace(document=int(rows[hit.document])) for hit in found.hits]
    # A validation document holds all of its own runs, and nobody asks for them.
    return contamination.Look(hits, found.held if work.below is None else found.held[:0])


class _Covering(NamedTuple):
    piece: Piece
    held: Path
    words: int


def _covered(work: _Covering) -> np.ndarray:
    return covered(work.piece, np.load(work.held), work.words)


def record(corpus: Corpus, held: Held, rows: list[tuple], settings: Decontaminate) -> Contamination:
    """What the report says; `rows` are those of the table of hits, strongest first."""
    return Contamination(
        words=settings.words,
        coverage=settings.coverage,
        items=held.counts,
        too_short=held.too_short,
        documents_rejected=int(np.isin(corpus.fate, [HOLDS_ITEM, NEAR_ITEM]).sum()),
        hits=tuple(ContaminationHit(item=i, document=d, coverage=c, how=how) for i, d, c, how in rows[:LISTED]),
        residual=held.residual,
    )
