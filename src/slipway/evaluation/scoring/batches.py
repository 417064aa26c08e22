"""Batches of rows: which rows go together, who computes them, and what is taken from the journal of an earlier run.

Batches follow from the rows alone. So the sums are the same bits whether one process computes all of them or several
deal them out, and whether or not some were finished before.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from slipway.evaluation.scoring import group
from slipway.evaluation.scoring.forward import Forward
from slipway.evaluation.scoring.journal import Journal, digest, fingerprint
from slipway.evaluation.scoring.rows import Row

Progress = Callable[[int, int], None]


class Batches:
    """Rows in, results out, for the process that stands alone and for one of several.

    `tokens` bounds those that are fed at once; `journal` is a folder, or None to keep nothing.
    """

    def __init__(self, forward: Forward, tokens: int, journal: Path | None) -> None:
        self.forward, self.tokens = forward, tokens
        self.group = group.current()
        self.computed = 0
        """Rows and prompts that this process computed, and did not find in its journal."""
        self._journal = Journal(journal, self.group.rank)
        self._model: str | None = None

    def of(self, rows: Sequence[Row]) -> list[list[Row]]:
        """Rows that are fed together, of about equal length."""
        batches: list[list[Row]] = []
        width = first = 0
        # Longest first: a batch that is too big for the memory fails at once, not after minutes.
        for row in sorted(rows, key=self._order, reverse=True):
            count = len(batches[-1]) + 1 if batches else 0
            wide, low = max(width, len(row.tokens)), min(first, row.scored[0])
            if count and count * wide <= self.tokens and self._logits(count * (wide - low)):
                batches[-1].append(row)
                width, first = wide, low
            else:
                batches.append([row])
                width, first = len(row.tokens), row.scored[0]
        return batches

    def _order(self, row: Row) -> tuple[int, int]:
        # A model that gives logits for a range of positions is fed rows whose ranges are alike.
        ends = len(row.tokens), row.scored[0]
        return ends if self.forward.decoder is not None else ends[::-1]

    def _logits(self, positions: int) -> bool:
        """Whether a batch may have scored positions in so many places."""
        whole = self.forward.decoder is None
        return not whole or positions * self.forward.vocabulary <= self.forward.batch_logits

    def sums(self, rows: Sequence[Row], slots: int, progress: Progress | None = None) -> tuple[np.ndarray, np.ndarray]:
        """By slot: the sum of the targets' log-probabilities (float64), and how many are not the most probable."""
        sums, misses = np.zeros(slots), np.zeros(slots, int)

        def places(batch: list[Row]) -> tuple[np.ndarray, np.ndarray]:
            return np.unique(np.concatenate([row.slots for row in batch]), return_inverse=True)

        def work(batch: list[Row]) -> list[list[float]]:
            of, (scores, greedy) = places(batch)[1], self.forward.scores(batch)
            return [np.bincount(of, weights=scores).tolist(), np.bincount(of, weights=~greedy).tolist()]

        def told(batch: list[Row]) -> list[Any]:
            laid = [[row.tokens, row.ends, row.depths, row.scored, row.targets] for row in batch]
            return ["score", laid, places(batch)[1]]

        batches = self.of(rows)
        for batch, (some, missed) in zip(batches, self.each(batches, work, told, progress), strict=True):
            where = places(batch)[0]
            sums[where] += some
            misses[where] += np.array(missed, int)
        return sums, misses

    def each(
        self,
        batches: Sequence[Any],
        work: Callable[[Any], Any],
        told: Callable[[Any], list[Any]] | None = None,
        progress: Progress | None = None,
    ) -> list[Any]:
        """What comes of each batch: from the journal, from this process, or from another of the group.

        Args:
            batches: the same in every process.
            work: computes one.
            told: all that decides its result but for the model; None keeps no journal.
            progress: called with the rows done, those of other processes included, and all of them.
        """
        done, total, found = 0, sum(map(len, batches)), {}
        for number, batch in enumerate(batches):
            done += len(batch)
            if self.group.mine(number):
                found[number] = self._kept(batch, work, told)
                if progress:
                    progress(done, total)
        results = self.group.gather(found)
        return [results[number] for number in range(len(batches))]

    def _kept(self, batch: Any, work: Callable[[Any], Any], told: Callable[[Any], list[Any]] | None) -> Any:
        if told is None or self._journal.folder is None:
            self.computed += len(batch)
            return work(batch)
        self._model = self._model or fingerprint(self.forward.model)
        key = digest(self._model, self.forward.context, *told(batch))
        if (result := self._journal.get(key)) is None:
            result = work(batch)
            self.computed += len(batch)
            self._journal.add(key, result)
        return result
