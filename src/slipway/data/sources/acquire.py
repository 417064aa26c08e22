"""The stage's work: every input read, and `data/raw`, `data/tasks` and `data/baseline` made of it.

What was fetched and checked before (`lock.fetch`) is read by workers, a file or a part of a package's files each.
All is built aside and moved into place when it is complete, so a failure leaves nothing half-written.
"""

import contextlib
import errno
import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from slipway.data.sources import files, pydocs, tasks
from slipway.data.sources.checks import check_unchanged
from slipway.data.sources.documents import ShardWriter, read_part, write_part
from slipway.data.sources.held import Held, Inputs
from slipway.data.sources.lock import version_of
from slipway.errors import UserError
from slipway.files import combined, sha256_file, write_atomic
from slipway.recipe import Recipe
from slipway.records import AcquireReport, SourceRecord
from slipway.settings import FileSource, Limits, PydocsSource
from slipway.spread import Spread, here

Progress = Callable[[int, int, str], None]
PLACES = ("raw", "tasks", "baseline")
BUNDLE = 4_000_000
"""Bytes of files that are read as one item of work."""


class _Job(NamedTuple):
    """One file to read."""

    source: FileSource
    held: Held
    limits: Limits
    part: Path


@dataclass(frozen=True)
class _Work:
    """What the sources share while they are read."""

    limits: Limits
    scratch: Path
    writer: ShardWriter
    progress: Progress
    spread: Spread
    skipped: Counter[str] = field(default_factory=Counter)


def acquire(recipe: Recipe, root: Path, inputs: Inputs, progress: Progress, spread: Spread = here) -> AcquireReport:
    """Read all inputs into `data/`.

    Args:
        recipe: the recipe.
        root: the project.
        inputs: files that are what the lock says.
        progress: gets files done, files in all and a name.
        spread: where files are read.

    Raises:
        Refusal: for a file that changed while it was read, or a package file that is not what its RECORD says.
        UserError: for bad input, naming file and row, and for sources without a single document.
    """
    limits = recipe.acquire.limits
    with _aside(root / "data") as aside:
        writer = ShardWriter(aside / "raw", recipe.acquire.shard_characters)
        work = _Work(limits, aside / "scratch", writer, progress, spread)
        records = _sources(recipe, inputs, work)
        done = tuple(
            tasks.read_task(task, inputs.tasks[task.name], limits, aside / "tasks") for task in recipe.evaluate.files
        )
        if inputs.baseline:
            copy = aside / "baseline" / "validate.json"
            shutil.copyfile(inputs.baseline.place, copy)
            check_unchanged(inputs.baseline, sha256_file(copy))
        listed = [record.model_dump(mode="json") for record in records]
        text = json.dumps(listed, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
        write_atomic(aside / "raw" / "sources.json", text)
    return AcquireReport(
        sources=tuple(records),
        documents=writer.documents.total(),
        characters=writer.characters.total(),
        shards=writer.shards,
        shapes=dict(sorted(writer.shapes.items())),
        skipped=dict(sorted((+work.skipped).items())),
        tasks=done,
    )


@contextlib.contextmanager
def _aside(data: Path) -> Iterator[Path]:
    """A directory beside the results, whose parts replace them at the end and which is gone after a failure."""
    aside = data / ".acquire"
    for place in (aside, *(data / name for name in PLACES)):
        shutil.rmtree(place, ignore_errors=True)
    try:
        for name in PLACES:
            (aside / name).mkdir(parents=True)
        yield aside
        for name in PLACES:
            (aside / name).replace(data / name)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise UserError(
            f"{data}: the disk is full ({error.strerror or error}); nothing was written. Free some space: while "
            "it works, acquire needs about twice the size of the text unpacked"
        ) from None
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _sources(recipe: Recipe, inputs: Inputs, work: _Work) -> list[SourceRecord]:
    for source in recipe.acquire.sources:
        if isinstance(source, FileSource):
            files.licence(source)
            files.check_schemas(source, inputs.sources[source.name], work.limits)
    records: list[SourceRecord] = []
    parts: list[Path] = []
    for number, source in enumerate(recipe.acquire.sources):
        at = work.scratch / str(number)
        at.mkdir(parents=True)
        if isinstance(source, PydocsSource):
            records += _packages(source, at, work)
        else:
            records.append(_files(source, inputs.sources[source.name], at, work))
        parts += sorted(at.glob("*.arrow"))
    if not work.writer.documents:
        names = ", ".join(source.name for source in recipe.acquire.sources)
        reasons = "; ".join(f"{reason}: {count}" for reason, count in sorted((+work.skipped).items()))
        raise UserError(
            f"no document in any source ({names}); skipped: {reasons or 'nothing, the files are empty'}. "
            "Check acquire.sources in params.yaml"
        )
    work.writer.close(parts)
    return records


def _packages(source: PydocsSource, at: Path, work: _Work) -> list[SourceRecord]:
    records = []
    packages = pydocs.packages(source)
    for number, (record, batches) in enumerate(pydocs.read(source, packages, at, work.skipped, work.spread)):
        work.progress(number, len(packages), record.location)
        for batch in batches:
            work.writer.add(batch)
        records.append(_counted(record, work.writer))
    work.progress(len(packages), len(packages), source.name)
    return records


def _counted(record: SourceRecord, writer: ShardWriter) -> SourceRecord:
    name = record.source
    return record.model_copy(update={"documents": writer.documents[name], "characters": writer.characters[name]})


def _read(jobs: Sequence[_Job]) -> list[Counter[str]]:
    """Write the parts of some files; returns what was skipped in each."""
    left_out = []
    for job in jobs:
        skipped: Counter[str] = Counter()
        write_part(job.part, files.read(job.source, job.held, job.limits, skipped))
        left_out.append(skipped)
    return left_out


def _bundles(jobs: Sequence[_Job]) -> list[list[_Job]]:
    """Small files together, so that a million of them are not a million items of work."""
    bundles: list[list[_Job]] = [[]]
    size = 0
    for job in jobs:
        bundles[-1].append(job)
        size += job.held.place.stat().st_size
        if size > BUNDLE:
            bundles.append([])
            size = 0
    return [bundle for bundle in bundles if bundle]


def _files(source: FileSource, held: tuple[Held, ...], at: Path, work: _Work) -> SourceRecord:
    bundles = _bundles([_Job(source, file, work.limits, at / f"{n:08d}.arrow") for n, file in enumerate(held)])
    shapes: dict[str, str] = {}
    done = 0
    for bundle, left_out in zip(bundles, work.spread(_read, bundles), strict=True):
        for job, skipped in zip(bundle, left_out, strict=True):
            work.progress(done, len(held), job.held.path)
            work.skipped.update(skipped)
            for batch in read_part(job.part):
                for shape in batch.column("shape").unique().to_pylist():
                    shapes.setdefault(shape, job.held.path)
                work.writer.add(batch)
            done += 1
        if len(shapes) > 1:
            (one, first), (other, second) = list(shapes.items())[:2]
            raise UserError(
                f"source {source.name}: {first} holds {one}, {second} holds {other}; the rows of a source must have "
                "one shape: make two sources of them, or set `shape`"
            )
    work.progress(len(held), len(held), source.name)
    record = SourceRecord(
        source=source.name,
        kind=source.kind,
        location=source.path,
        version=version_of(held),
        licence=files.licence(source),
        licence_evidence="the recipe",
        files=len(held),
        digest=combined({file.path: file.sha256 for file in held}),
        documents=0,
        characters=0,
    )
    return _counted(record, work.writer)
