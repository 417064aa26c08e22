"""The stage's work: every input read, and `data/raw`, `data/tasks` and `data/baseline` made of it.

What was fetched and checked before (`lock.fetch`) is read by workers, a file or a part of a package's files each.
All is built aside and moved into place when it is complete, so a failure leaves nothing half-written.
"""

import contextlib
import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from slipway.data.sources import files, pydocs, tasks
from slipway.data.sources.documents import ShardWriter, read_part, write_part
from slipway.data.sources.held import Held, Inputs
from slipway.errors import UserError
from slipway.files import combined, write_atomic
from slipway.recipe import Recipe
from slipway.records import AcquireReport, SourceRecord
from slipway.settings import FileSource, Limits, PydocsSource
from slipway.spread import Spread, here

Progress = Callable[[int, int, str], None]
PLACES = ("raw", "tasks", "baseline")


class _Job(NamedTuple):
    """One file to read."""

    source: FileSource
    held: Held
    limits: Limits
    part: Path


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
    with _aside(root / "data") as aside:
        scratch = aside / "scratch"
        scratch.mkdir()
        writer = ShardWriter(aside / "raw", recipe.acquire.shard_characters)
        skipped: Counter[str] = Counter()
        records: list[SourceRecord] = []
        parts: list[Path] = []
        for number, source in enumerate(recipe.acquire.sources):
            at = scratch / str(number)
            at.mkdir()
            if isinstance(source, PydocsSource):
                records += _packages(source, at, writer, skipped, progress, spread)
            else:
                read = _files(source, inputs.sources[source.name], recipe.acquire.limits, at, spread)
                records.append(_merged(source, inputs.sources[source.name], read, writer, skipped, progress))
            parts += sorted(at.glob("*.arrow"))
        _something(writer, recipe, skipped)
        writer.close(parts)
        held = {task.name: inputs.tasks[task.name] for task in recipe.evaluate.files}
        done = tuple(
            tasks.read_task(task, held[task.name], recipe.acquire.limits, aside / "tasks")
            for task in recipe.evaluate.files
        )
        if inputs.baseline:
            shutil.copyfile(inputs.baseline.place, aside / "baseline" / "validate.json")
        listed = [record.model_dump(mode="json") for record in records]
        text = json.dumps(listed, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
        write_atomic(aside / "raw" / "sources.json", text)
        shutil.rmtree(scratch)
    return AcquireReport(
        sources=tuple(records),
        documents=writer.documents.total(),
        characters=writer.characters.total(),
        shards=writer.shards,
        shapes=dict(sorted(writer.shapes.items())),
        skipped=dict(sorted((+skipped).items())),
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
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _packages(
    source: PydocsSource, at: Path, writer: ShardWriter, skipped: Counter[str], progress: Progress, spread: Spread
) -> list[SourceRecord]:
    records = []
    packages = pydocs.packages(source)
    for number, (record, batches) in enumerate(pydocs.read(source, packages, at, skipped, spread)):
        progress(number, len(packages), record.location)
        for batch in batches:
            writer.add(batch)
        name = record.source
        counts = {"documents": writer.documents[name], "characters": writer.characters[name]}
        records.append(record.model_copy(update=counts))
    progress(len(packages), len(packages), source.name)
    return records


def _files(
    source: FileSource, held: tuple[Held, ...], limits: Limits, at: Path, spread: Spread
) -> Iterator[tuple[Path, Counter[str]]]:
    files.check_schemas(source, held, limits)
    return spread(_read, [_Job(source, file, limits, at / f"{n:06d}.arrow") for n, file in enumerate(held)])


def _read(job: _Job) -> tuple[Path, Counter[str]]:
    skipped: Counter[str] = Counter()
    write_part(job.part, files.read(job.source, job.held, job.limits, skipped))
    return job.part, skipped


def _merged(
    source: FileSource,
    held: tuple[Held, ...],
    read: Iterator[tuple[Path, Counter[str]]],
    writer: ShardWriter,
    skipped: Counter[str],
    progress: Progress,
) -> SourceRecord:
    shapes: dict[str, str] = {}
    for number, (file, (part, more)) in enumerate(zip(held, read, strict=True)):
        progress(number, len(held), file.path)
        skipped += more
        for batch in read_part(part):
            shapes.setdefault(batch.column("shape")[0].as_py(), file.path)
            writer.add(batch)
        if len(shapes) > 1:
            (one, first), (other, second) = list(shapes.items())[:2]
            raise UserError(
                f"source {source.name}: {first} holds {one}, {second} holds {other}; the files of a source must have one "
                "shape: make two sources of them, or set `shape`"
            )
    progress(len(held), len(held), source.name)
    digests = {file.path: file.sha256 for file in held}
    return SourceRecord(
        source=source.name,
        kind=source.kind,
        location=source.path,
        version=held[0].version,
        licence=files.licence(source),
        licence_evidence="the recipe",
        files=len(held),
        digest=combined(digests),
        documents=writer.documents[source.name],
        characters=writer.characters[source.name],
    )


def _something(writer: ShardWriter, recipe: Recipe, skipped: Counter[str]) -> None:
    if writer.documents:
        return
    names = ", ".join(source.name for source in recipe.acquire.sources)
    reasons = "; ".join(f"{reason}: {count}" for reason, count in sorted((+skipped).items())) or "the files are empty"
    raise UserError(f"no document in any source ({names}); skipped: {reasons}. Check acquire.sources in params.yaml")
