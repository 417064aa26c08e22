"""What cleaning leaves: the tables, written aside and moved into place, and the report, whose books balance."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from slipway.data.clean import canaries, held_out, output, split
from slipway.data.clean.corpus import FATES, STAYS, Corpus
from slipway.data.clean.first_pass import Filtered, document_schema
from slipway.data.clean.licences import AllowList, ids, obligations
from slipway.data.clean.output import FATE_COLUMNS, REJECTS, Books
from slipway.data.clean.pairs import Pairs
from slipway.data.clean.rows import STEPS
from slipway.data.clean.split import SPLITS, TRAIN
from slipway.errors import UserError
from slipway.files import write_atomic
from slipway.records import PrepareReport
from slipway.settings import Prepare
from slipway.shards import remove_unfinished, write_shard
from slipway.spread import Spread

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Results:
    """Everything that is decided."""

    corpus: Corpus
    family: np.ndarray
    """Number of the document that names each document's family."""
    filtered: Sequence[Filtered]
    planted: list[canaries.Canary]
    hits: list[tuple]
    """Rows of the table of hits, strongest first."""

    def write(self, settings: Prepare, seed: int, scratch: Path, spread: Spread) -> Books:
        """Write all files below `scratch`, where `move` finds them.

        Raises:
            UserError: if nothing is left for a split.
        """
        self._check(settings)
        clean, rejects = scratch / "clean", scratch / REJECTS
        clean.mkdir()
        rejects.mkdir()
        parts = self._parts()
        work = [
            output.Scatter(
                shard.file("docs.arrow"),
                _write(shard.file("fates.arrow"), self._fates(number)),
                shard.file("rejects.arrow"),
                shard.file("out"),
                parts,
                seed,
            )
            for number, shard in enumerate(self.corpus.shards)
        ]
        books = Books()
        for more in spread(output.scatter, work):
            books.add(more)
        carrying = self._canaries(scratch, parts, seed)
        output.scatter(carrying)
        scattered = [item.out for item in (*work, carrying)]
        for _ in spread(output.gather, output.gathers(scattered, parts, clean, rejects)):
            pass
        _write_hits(rejects / "contamination.parquet", self.hits)
        write_atomic(
            clean / "canaries.json",
            json.dumps(canaries.listing(self.planted), indent=2, ensure_ascii=False) + "\n",
        )
        return books

    def move(self, scratch: Path, data: Path) -> None:
        """Put the finished tables in the place of the old ones.

        A kill between the two moves leaves the new `clean` beside the old `rejects`, or one of them missing. No harm
        comes of it: the report, without which the stage has not run, is written after both, so the stage is run
        again, and begins by removing the scratch directory that was left.
        """
        for name in ("clean", REJECTS):
            remove_unfinished(scratch / name)
            if (data / name).exists():
                (data / name).rename(scratch / f"old-{name}")
            (scratch / name).rename(data / name)

    def report(self, books: Books, settings: Prepare, licence: str, found: Pairs, held: held_out.Held) -> PrepareReport:
        """The record of the stage.

        Raises:
            RuntimeError: if documents were lost or doubled on the way.
            Refusal: if the kept documents do not permit the release's licence.
        """
        documents_in = sum(one.documents_in for one in self.filtered)
        by_step = self._balance(documents_in, books)
        licences: Counter[str] = Counter()
        sources: Counter[str] = Counter()
        for (source, expression), count in books.sources.items():
            licences.update(dict.fromkeys(ids(expression), count))
            sources[source] += count
        by_reason: Counter[str] = Counter()
        for (_, reason), count in books.rejects.items():
            by_reason[reason] += count
        return PrepareReport(
            documents_in=documents_in,
            splits={name: books.splits[name] for name in SPLITS},
            split_characters={name: books.characters[name] for name in SPLITS},
            rejects=dict(sorted(by_reason.items())),
            rejects_by_step={step: by_step[step] for step in STEPS},
            redactions=_sum(one.redactions for one in self.filtered),
            licences=dict(sorted(licences.items())),
            licences_refused=_sum(one.refused for one in self.filtered),
            obligations=obligations(books.sources, licence, AllowList(settings.licences)),
            release_licence=licence,
            documents_by_source=dict(sorted(sources.items())),
            characters_by_source=dict(sorted(books.source_characters.items())),
            shapes=dict(sorted(books.shapes.items())),
            families=len(np.unique(self.family[self.corpus.stays])),
            similarity=found.record,
            contamination=held_out.record(self.corpus, held, self.hits, settings.decontaminate),
            canaries=sum(canary.repeats for canary in self.planted),
            cleaned=sum(one.cleaned for one in self.filtered),
        )

    def _check(self, settings: Prepare) -> None:
        stays = self.corpus.stays
        if not stays.any():
            reasons = Counter(FATES[fate].reason for fate in self.corpus.fate.tolist())
            for one in self.filtered:
                for (_, reason), count in one.rejects.items():
                    reasons[reason] += count
            counted = ", ".join(f"{reason}: {count}" for reason, count in reasons.most_common())
            raise UserError(
                f"none of {sum(one.documents_in for one in self.filtered)} documents is left after cleaning "
                f"({counted}). Loosen prepare.licences, min_characters or max_characters, or add documents"
            )
        counts = np.bincount(self.corpus.side[stays], minlength=len(SPLITS)).tolist()
        groups = len(np.unique(self.corpus.group[stays]))
        split.check_sides(counts, groups, settings.test_share, settings.validation_share)

    def _balance(self, documents_in: int, books: Books) -> Counter[str]:
        """Rejects by step. What was decided, what was written and what came in must agree, step by step."""
        written: Counter[str] = Counter()
        for (step, _), count in books.rejects.items():
            written[step] += count
        decided: Counter[str] = Counter()
        for one in self.filtered:
            for (step, _), count in one.rejects.items():
                decided[step] += count
        for fate, count in enumerate(np.bincount(self.corpus.fate, minlength=len(FATES)).tolist()):
            if fate != STAYS and count:
                decided[FATES[fate].step] += count
        kept = sum(books.splits.values())
        if written != decided or kept + written.total() != documents_in:
            raise RuntimeError(
                f"the books do not balance: {documents_in} in, {kept} kept, {dict(written)} written as rejects, "
                f"{dict(decided)} decided"
            )
        return written

    def _parts(self) -> dict[str, int]:
        """Output shards of each table."""
        corpus, stays = self.corpus, self.corpus.stays
        characters = {
            name: int(corpus.characters[stays & (corpus.side == number)].sum()) for number, name in enumerate(SPLITS)
        }
        characters[SPLITS[TRAIN]] += sum(len(canary.text) * canary.repeats for canary in self.planted)
        rejected = int(corpus.characters[~stays].sum()) + sum(one.reject_characters for one in self.filtered)
        return {name: output.parts_for(count) for name, count in {**characters, REJECTS: rejected}.items()}

    def _fates(self, shard: int) -> "pa.Table":
        """What becomes of a shard's documents, `FATE_COLUMNS`."""
        import pyarrow as pa

        corpus, rows = self.corpus, self.corpus.rows(shard)
        stays = corpus.stays[rows]
        family = corpus.ids.take(pa.array(self.family[rows])).combine_chunks()
        columns: list[list[str | None]] = [[None] * len(stays) for _ in FATE_COLUMNS[1:]]
        for row in np.flatnonzero(~stays).tolist():
            number = rows.start + row
            fate = FATES[corpus.fate[number]]
            values = (fate.step, fate.reason, corpus.detail(number), corpus.collided(number))
            for column, value in zip(columns, values, strict=True):
                column[row] = value
        return pa.table([family, *(pa.array(column, pa.string()) for column in columns)], names=list(FATE_COLUMNS))

    def _canaries(self, scratch: Path, parts: dict[str, int], seed: int) -> output.Scatter:
        """The canaries as one more shard, all in training."""
        import pyarrow as pa

        rows = canaries.rows(self.planted)
        numbers = [{"side": TRAIN, "characters": len(row.text), "place": split.place(seed, row.id)} for row in rows]
        documents = [row._asdict() | more for row, more in zip(rows, numbers, strict=True)]
        fates = pa.table({"family": pa.array(["canary"] * len(rows), pa.string())})
        for name in FATE_COLUMNS[1:]:
            fates = fates.append_column(name, pa.nulls(len(rows), pa.string()))
        return output.Scatter(
            _write(scratch / "docs-canaries.arrow", pa.Table.from_pylist(documents, schema=document_schema())),
            _write(scratch / "fates-canaries.arrow", fates),
            None,
            scratch / "out-canaries",
            parts,
            seed,
        )


def _sum(counters: Iterable[Counter[str]]) -> dict[str, int]:
    return dict(sorted(sum(counters, Counter[str]()).items()))


def _write(path: Path, table: "pa.Table") -> Path:
    import pyarrow as pa

    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    return path


def _write_hits(path: Path, rows: list[tuple]) -> None:
    import pyarrow as pa

    kinds = {"item": pa.string(), "document": pa.string(), "coverage": pa.float64(), "how": pa.string()}
    columns = list(zip(*rows, strict=True)) or [()] * len(kinds)
    arrays = [pa.array(column, kind) for column, kind in zip(columns, kinds.values(), strict=True)]
    write_shard(path, pa.table(arrays, names=list(kinds)))
