"""The stage's work: lock checked, every source read, `documents.parquet` and `sources.json` written."""

import json
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from slipway.data.sources import files, pydocs
from slipway.data.sources.documents import DocumentWriter
from slipway.data.sources.lock import check_lock
from slipway.errors import UserError
from slipway.files import write_atomic
from slipway.recipe import Recipe
from slipway.records import AcquireReport, SourceRecord
from slipway.settings import FileSource, PydocsSource

Progress = Callable[[int, int, str], None]


def acquire(recipe: Recipe, root: Path, progress: Progress) -> AcquireReport:
    """Read the recipe's sources into `data/raw/`; `progress` gets files done, files in all and a name.

    Raises:
        Refusal: if a source is not what `inputs.lock` says, or a package file not what its RECORD says.
        UserError: for bad input, naming file and row, and for sources without a single document.
    """
    check_lock(recipe, root)
    target = root / "data" / "raw"
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    skipped: Counter[str] = Counter()
    records: list[SourceRecord] = []
    with DocumentWriter(target / "documents.parquet") as writer:
        for source in recipe.acquire.sources:
            if isinstance(source, PydocsSource):
                records += _packages(source, writer, skipped, progress)
            else:
                records.append(_files(source, root, writer, skipped, progress))
    if not writer.documents:
        names = ", ".join(source.name for source in recipe.acquire.sources)
        reasons = "; ".join(f"{reason}: {count}" for reason, count in sorted(skipped.items())) or "the files are empty"
        raise UserError(
            f"no document in any source ({names}); skipped: {reasons}. Check acquire.sources in params.yaml"
        )
    listed = [record.model_dump(mode="json") for record in records]
    write_atomic(target / "sources.json", json.dumps(listed, indent=2, sort_keys=True, ensure_ascii=False) + "\n")
    return AcquireReport(
        sources=tuple(records),
        documents=writer.documents.total(),
        characters=writer.characters.total(),
        skipped=dict(sorted(skipped.items())),
    )


def _packages(
    source: PydocsSource, writer: DocumentWriter, skipped: Counter[str], progress: Progress
) -> list[SourceRecord]:
    records = []
    packages = pydocs.packages(source)
    parsed = pydocs.Parsed(packages)
    for number, package in enumerate(packages):
        progress(number, len(packages), f"{package.name} {package.version}")
        for document, place in pydocs.read(source, package, parsed, skipped):
            writer.add(document, place)
        name = f"{source.name}/{package.name}"
        records.append(pydocs.record(source, package, writer.documents[name], writer.characters[name]))
    progress(len(packages), len(packages), source.name)
    return records


def _files(
    source: FileSource, root: Path, writer: DocumentWriter, skipped: Counter[str], progress: Progress
) -> SourceRecord:
    digests = files.lock_entry(source, root)
    for number, path in enumerate(digests):
        progress(number, len(digests), path)
        for document, place in files.read(source, path, root, skipped):
            writer.add(document, place)
    progress(len(digests), len(digests), source.name)
    return files.record(source, digests, writer.documents[source.name], writer.characters[source.name])
