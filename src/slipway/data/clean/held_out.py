"""Training data against what evaluation will ask: task files, and the test and validation documents.

A task item enters as two texts, its question with all choices and its question with the right answer, because
either is how items stand in web text. A training document is turned away if it holds enough of an item's
runs of words (see `contamination`), or if it is a near duplicate of a task item; near duplicates of held-out
documents are the business of the split.
"""

import functools
import pickle
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from slipway.data.clean import contamination, sketch
from slipway.data.clean.bands import write_keys
from slipway.data.clean.corpus import HOLDS_ITEM, NEAR_ITEM, Corpus
from slipway.data.clean.similar import Sets, save_sets
from slipway.data.clean.split import SPLITS, TRAIN
from slipway.records import Contamination, ContaminationHit
from slipway.settings import Decontaminate
from slipway.spread import Spread

LISTED = 50


class Text(NamedTuple):
    """One text of a task item."""

    set: str
    """Name of the task file."""
    item: str
    text: str


class _Scan(NamedTuple):
    documents: Path
    chosen: np.ndarray
    """Bool per row: whether it is to be looked at."""
    items: Path


class Held(NamedTuple):
    """What came of looking for items in training documents."""

    rows: list[tuple]
    """Of the table of hits: item, id of the document, coverage, how."""
    items: contamination.Items
    residual: dict[str, float]
    """Of each set, the share of its words in runs that documents which stay hold too."""


def task_texts(directory: Path) -> list[Text]:
    """The texts of all items of the task files in `directory`."""
    import pyarrow.parquet as pq

    return [
        Text(path.stem, str(row["item"]), "\n".join([row["question"], *answers]))
        for path in sorted(directory.glob("*.parquet"))
        for row in pq.read_table(path, columns=["item", "question", "choices", "answer"]).to_pylist()
        for answers in (row["choices"], [row["choices"][row["answer"]]])
    ]


def sketches(texts: Sequence[Text], bands: sketch.Bands, scratch: Path) -> tuple[Path, Sets]:
    """Files of the keys and shingles of task items, as those of a shard."""
    shingles, keys = sketch.of_texts([text.text for text in texts], bands)
    write_keys(scratch / "keys-items.npy", keys)
    at = Sets(scratch / "shingles-items.npy", scratch / "sets-items.npy")
    return scratch / "keys-items.npy", save_sets(at, shingles.sets, shingles.set_starts)


def reject_near_items(corpus: Corpus, texts: Sequence[Text], pairs: np.ndarray, jaccard: np.ndarray) -> list[tuple]:
    """Turn away training documents that `pairs` (document, text of an item) say are near duplicates.

    Returns: rows of the table of hits.
    """
    training = corpus.stays[pairs[:, 0]] & (corpus.side[pairs[:, 0]] == TRAIN)
    best: dict[tuple[int, str], float] = {}
    for (document, text), value in zip(pairs[training].tolist(), jaccard[training].tolist(), strict=True):
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
    """Turn away training documents that hold items."""
    items = contamination.build(_items(corpus, texts), settings)
    path = scratch / "items.pickle"
    path.write_bytes(pickle.dumps(items, pickle.HIGHEST_PROTOCOL))
    training = corpus.stays & (corpus.side == TRAIN)
    work = [
        _Scan(shard.file("docs.arrow"), training[corpus.rows(number)], path)
        for number, shard in enumerate(corpus.shards)
    ]
    rows: list[tuple] = []
    seen = None
    for number, (found, more) in enumerate(spread(_scan, work)):
        first = int(corpus.first[number])
        rows += [(item, first + row, coverage, "words") for row, item, coverage in found]
        seen = more if seen is None else seen | more
    residual = {} if seen is None else contamination.residual(items, seen)
    return Held(_turn_away(corpus, rows, HOLDS_ITEM), items, residual)


def _items(corpus: Corpus, texts: Sequence[Text]) -> Iterator[tuple[str, str, str]]:
    import pyarrow as pa

    yield from texts
    for number, shard in enumerate(corpus.shards):
        held_out = corpus.stays[corpus.rows(number)] & (corpus.side[corpus.rows(number)] != TRAIN)
        table = pa.ipc.open_file(pa.memory_map(str(shard.file("docs.arrow")))).read_all().select(["id", "text", "side"])
        for row in table.filter(pa.array(held_out)).to_pylist():
            yield SPLITS[row["side"]], row["id"], row["text"]


@functools.lru_cache(maxsize=1)
def _load(path: Path, _written: int) -> "contamination.Items":
    return pickle.loads(path.read_bytes())  # noqa: S301 - our own file of a moment ago


def _scan(work: _Scan) -> tuple[list[tuple[int, str, float]], np.ndarray]:
    """Hits as row, item and coverage; and which runs of the items the other rows hold."""
    import pyarrow as pa

    items = _load(work.items, work.items.stat().st_mtime_ns)
    rows: list[tuple[int, str, float]] = []
    seen = contamination.seen(items, [])
    first = 0
    file = pa.ipc.open_file(pa.memory_map(str(work.documents)))
    for number in range(file.num_record_batches):
        batch = file.get_batch(number)
        chosen = first + np.flatnonzero(work.chosen[first : first + len(batch)])
        texts = batch.column("text").take(pa.array(chosen - first)).to_pylist()
        found = contamination.look(items, texts)
        rows += [(int(chosen[hit.document]), hit.item, hit.coverage) for hit in found.hits]
        seen |= found.seen
        first += len(batch)
    return rows, seen


def record(corpus: Corpus, held: Held, rows: list[tuple], settings: Decontaminate) -> Contamination:
    """What the report says; `rows` are those of the table of hits, strongest first."""
    return Contamination(
        words=settings.words,
        coverage=settings.coverage,
        items=held.items.counts,
        too_short=held.items.too_short,
        documents_rejected=int(np.isin(corpus.fate, [HOLDS_ITEM, NEAR_ITEM]).sum()),
        hits=tuple(ContaminationHit(item=i, document=d, coverage=c, how=how) for i, d, c, how in rows[:LISTED]),
        residual=held.residual,
    )
