"""What evaluation will ask, as items with numbers: those of task files, and every test and validation document.

A task item enters as two texts, its question with all choices and its question with the right answer, because
either is how items stand in web text; a document is an item of one text.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from slipway.data.clean.corpus import Corpus
from slipway.data.clean.phrases import SHORTEST
from slipway.data.clean.split import SPLITS, TEST, VALIDATION


class Text(NamedTuple):
    """One text of a task item."""

    set: str
    """Name of the task file."""
    item: str
    text: str


def task_texts(directory: Path) -> list[Text]:
    """The texts of all items of the task files in `directory`."""
    import pyarrow.parquet as pq

    return [
        Text(path.stem, str(row["item"]), "\n".join([row["question"], *answers]))
        for path in sorted(directory.glob("*.parquet"))
        for row in pq.read_table(path, columns=["item", "question", "choices", "answer"]).to_pylist()
        for answers in (row["choices"], [row["choices"][row["answer"]]])
    ]


class Numbered:
    """Items of tasks first, then test documents, then validation documents: what stays so far of them."""

    def __init__(self, corpus: Corpus, texts: Sequence[Text]) -> None:
        tasks: dict[tuple[str, str], int] = {}
        of_texts = np.array([tasks.setdefault(text[:2], len(tasks)) for text in texts], np.int32)
        self.tasks = list(tasks)
        sides = [np.flatnonzero(corpus.stays & (corpus.side == side)) for side in (TEST, VALIDATION)]
        self.documents = np.concatenate(sides)
        self._sides = [len(side) for side in sides]
        self.validation_from = len(tasks) + len(sides[0])
        self.item_of = np.append(of_texts, len(tasks) + np.arange(len(self.documents), dtype=np.int32))
        self._corpus = corpus

    def name(self, item: int) -> str:
        """`<set>/<item>`; the set is the name of a task file, `test` or `validation`."""
        if item < len(self.tasks):
            return "/".join(self.tasks[item])
        side = TEST if item < self.validation_from else VALIDATION
        return f"{SPLITS[side]}/{self._corpus.id(self.documents[item - len(self.tasks)])}"

    def books(
        self, sizes: np.ndarray, inside: np.ndarray, gone: np.ndarray
    ) -> tuple[dict[str, int], dict[str, int], dict[str, float]]:
        """By set: items looked for, items too short, and the share of their words that is still in training text.

        Args:
            sizes: words of each text.
            inside: those that training documents hold too.
            gone: items that were turned away themselves.
        """
        sets = sorted({name for name, _ in self.tasks} | {SPLITS[TEST], SPLITS[VALIDATION]})
        of_sides = np.repeat([sets.index(SPLITS[side]) for side in (TEST, VALIDATION)], self._sides)
        set_of = np.append([sets.index(name) for name, _ in self.tasks], of_sides).astype(np.int64)
        stays = np.ones(len(set_of), bool)
        stays[gone] = False
        long_enough = (sizes >= SHORTEST) & stays[self.item_of]
        found = np.zeros(len(set_of), bool)
        found[self.item_of[long_enough]] = True

        def by_set(numbers: np.ndarray, weights: np.ndarray | None = None) -> list[int]:
            return np.bincount(numbers, weights, len(sets)).astype(np.int64).tolist()

        texts = set_of[self.item_of[long_enough]]
        words, held = by_set(texts, sizes[long_enough]), by_set(texts, inside[long_enough])
        counts, short = by_set(set_of[found]), by_set(set_of[stays & ~found])
        present = [number for number in range(len(sets)) if counts[number] + short[number]]
        return (
            {sets[number]: counts[number] for number in present},
            {sets[number]: short[number] for number in present},
            {sets[number]: held[number] / words[number] for number in present if words[number]},
        )
