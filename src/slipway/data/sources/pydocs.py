"""Docstrings and signatures of installed packages as documents; no package code runs.

A document is the docstring of a module, a class, or a function that stands in a module or class. Its text is a
signature line, a newline and the docstring without its indentation. The name is where the object is defined:
`numpy._core.fromnumeric.argsort`. When a name is defined again in the same module (a property's setter, an
`if`/`else`), the later ids end in `~2`, `~3`, …. A file that several packages ship is parsed once. With
`questions: true` the documents are conversations about the same objects instead (see `questions`), in the same groups:
of a module that is held out, nothing is asked in training.

    def numpy._core.fromnumeric.argsort(a, axis=-1, kind=None)
    Returns the indices that would sort an array.
"""

import gc
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from slipway.data.documents import Document, dumped, text_of
from slipway.data.sources.docstrings import docstrings
from slipway.data.sources.documents import BATCH, write_part
from slipway.data.sources.files import is_unicode
from slipway.data.sources.licences import licence_of
from slipway.data.sources.packages import Package, PackageFile, find
from slipway.data.sources.questions import questions
from slipway.errors import UserError
from slipway.records import SourceRecord
from slipway.settings import PydocsSource
from slipway.spread import Spread

if TYPE_CHECKING:
    import pyarrow as pa

CHUNK = 1_500_000
"""Bytes of source text in an item of work."""


class _Chunk(NamedTuple):
    """One item of work."""

    files: tuple[PackageFile, ...]
    part: Path
    questions: bool


class _Found(NamedTuple):
    """What a file gave."""

    documents: int
    not_unicode: int = 0
    """Docstrings left out."""
    unreadable: bool = False
    silent: int = 0
    """Docstrings that answer no question."""


class _Placed(NamedTuple):
    """Where the documents of a file stand: rows of a part."""

    part: int
    first: int
    found: _Found


_Key = tuple[str, str]
"""Path below site-packages and sha256."""


def packages(source: PydocsSource) -> list[Package]:
    """The packages of a source as installed; raises UserError for one that is not there, or named twice."""
    names = Counter(re.sub(r"[-_.]+", "-", name).lower() for name in source.packages)
    if twice := [name for name, count in names.items() if count > 1]:
        raise UserError(f"source {source.name}: the package `{twice[0]}` is named twice; leave one out")
    return [find(name, source.exclude, source.name) for name in source.packages]


def module_name(path: str) -> str:
    """`numpy/linalg/__init__.py` -> `numpy.linalg`."""
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def read(
    source: PydocsSource, packages: Sequence[Package], at: Path, skipped: Counter[str], spread: Spread
) -> Iterator[tuple[SourceRecord, Iterator["pa.RecordBatch"]]]:
    """Each package's record, its counts still 0, with its documents; every file is checked before it is parsed.

    Args:
        source: the recipe's source.
        packages: as `packages` found them.
        at: directory for the parts that workers write.
        skipped: takes reason and number of files and docstrings that are left out.
        spread: where files are parsed.

    Raises:
        Refusal: naming the first file that is not what RECORD says.
    """
    chunks = _chunks(packages, at, source.questions)
    placed: dict[_Key, _Placed] = {}
    for number, (chunk, counts) in enumerate(zip(chunks, spread(_parse, chunks), strict=True)):
        first = 0
        for file, found in zip(chunk.files, counts, strict=True):
            placed[file.path, file.sha256] = _Placed(number, first, found)
            first += found.documents
    parts = _Parts([chunk.part for chunk in chunks])
    for package in packages:
        files = [placed[item] for item in sorted(package.files.items())]
        skipped["file is not Python of this version"] += sum(file.found.unreadable for file in files)
        skipped["docstring is not valid Unicode"] += sum(file.found.not_unicode for file in files)
        skipped["docstring answers no question"] += sum(file.found.silent for file in files)
        record = _record(source, package)
        yield record, _documents(record, files, parts)


def _chunks(packages: Sequence[Package], at: Path, asked: bool) -> list[_Chunk]:
    """The files of all packages, each once, in parts of about equal size."""
    known: set[_Key] = set()
    chunks: list[_Chunk] = []
    files: list[PackageFile] = []
    size = 0
    for package in packages:
        for item in sorted(package.files.items()):
            if item in known:
                continue
            known.add(item)
            files.append(package.file(item[0]))
            size += package.sizes.get(item[0], 0)
            if size > CHUNK:
                chunks.append(_Chunk(tuple(files), at / f"{len(chunks):06d}.arrow", asked))
                files, size = [], 0
    return [*chunks, _Chunk(tuple(files), at / f"{len(chunks):06d}.arrow", asked)] if files else chunks


def _parse(chunk: _Chunk) -> list[_Found]:
    """Write what is documented in the files of a chunk; what it returns is in their order."""
    counts: list[_Found] = []
    # A tree of a large file is a hundred thousand objects that all die together: looking for cycles is wasted.
    collecting = gc.isenabled()
    gc.disable()
    try:
        write_part(chunk.part, (item for file in chunk.files for item in _described(file, counts, chunk.questions)))
    finally:
        if collecting:
            gc.enable()
    return counts


def _described(file: PackageFile, counts: list[_Found], asked: bool) -> Iterator[tuple[Document, str]]:
    """Documents of one file, still without the name of their package; appends what it found to `counts`."""
    module = module_name(file.path)
    data = file.read()
    try:
        described = docstrings(data, module)
    except (SyntaxError, ValueError, RecursionError):
        counts.append(_Found(0, unreadable=True))
        return
    seen: Counter[str] = Counter()
    made = silent = 0
    for name, signature, docstring in described:
        text = f"{signature}\n{docstring}"
        if not text.isascii() and not is_unicode(text):
            continue
        seen[name] += 1
        again = f"~{seen[name]}" if seen[name] > 1 else ""
        documents = [Document(f"#{name}{again}", text, "", module, None, signature)]
        if asked:
            documents = [
                Document(f"#{name}{again}{mark}", text_of(turns), "", module, None, None, None, "chat", dumped(turns))
                for mark, turns in questions(name, signature, docstring)
            ]
        made += len(documents)
        silent += not documents
        yield from ((document, file.path) for document in documents)
    counts.append(_Found(made, len(described) - seen.total(), silent=silent))


class _Parts:
    """Parts as tables, opened when they are needed; their bytes stay on the disk."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = paths
        self._tables: dict[int, pa.Table] = {}

    def rows(self, placed: _Placed) -> "pa.Table":
        import pyarrow as pa

        if placed.part not in self._tables:
            self._tables[placed.part] = pa.ipc.open_file(pa.memory_map(str(self._paths[placed.part]))).read_all()
        return self._tables[placed.part].slice(placed.first, placed.found.documents)


def _documents(record: SourceRecord, files: list[_Placed], parts: _Parts) -> Iterator["pa.RecordBatch"]:
    """The rows of a package's files, with its name, its licence and its ids."""
    import pyarrow as pa
    import pyarrow.compute as pc

    table = pa.concat_tables([parts.rows(file) for file in files]).combine_chunks()
    for batch in table.to_batches(max_chunksize=BATCH):
        same = {
            "id": pc.binary_join_element_wise(record.source, batch.column("id"), ""),
            "source": pa.array([record.source] * len(batch)),
            "licence": pa.array([record.licence] * len(batch), pa.string()),
        }
        columns = [same.get(name, batch.column(name)) for name in batch.schema.names]
        yield pa.RecordBatch.from_arrays(columns, schema=batch.schema)


def _record(source: PydocsSource, package: Package) -> SourceRecord:
    licence = licence_of(package)
    return SourceRecord(
        source=f"{source.name}/{package.name}",
        kind="pydocs",
        location=f"pypi:{package.name}=={package.version}",
        version=package.version,
        licence=licence.expression,
        licence_evidence=licence.evidence,
        files=len(package.files),
        digest=package.digest,
        documents=0,
        characters=0,
    )
