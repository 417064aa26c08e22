"""Docstrings and signatures of installed packages, read with `ast`; no package code runs.

A document is the docstring of a module, a class, or a function that stands in a module or class (functions
inside functions are nobody's interface). Its text is a signature line, a newline and the docstring without
its indentation. The name is where the object is defined: `numpy._core.fromnumeric.argsort`. When a name is
defined again in the same module (a property's setter, an `if`/`else`), the later ids end in `~2`, `~3`, ….

    def numpy._core.fromnumeric.argsort(a, axis=-1, kind=None)
    Returns the indices that would sort an array.
"""

import ast
import gc
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from slipway.data.documents import Document
from slipway.data.sources.documents import BATCH, write_part
from slipway.data.sources.files import is_unicode
from slipway.data.sources.licences import licence_of
from slipway.data.sources.packages import Package, find
from slipway.records import SourceRecord
from slipway.settings import PydocsSource
from slipway.spread import Spread

if TYPE_CHECKING:
    import pyarrow as pa

_Documented = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
Described = tuple[str, str, str]
"""Qualified name, signature line, docstring."""


def packages(source: PydocsSource) -> list[Package]:
    """The packages of a source as installed; raises UserError for one that is not there."""
    return [find(name, source.exclude, source.name) for name in source.packages]


def module_name(path: str) -> str:
    """`numpy/linalg/__init__.py` -> `numpy.linalg`."""
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


class _Chunk(NamedTuple):
    """One item of work: files to parse, each once even if several packages ship it."""

    files: tuple[tuple[Package, str], ...]
    part: Path


class _Placed(NamedTuple):
    """Where the documents of a file stand: rows of a part."""

    part: int
    first: int
    count: int


CHUNK = 1_500_000
"""Bytes of source text in an item of work."""
_Key = tuple[str, str]
"""Path below site-packages and sha256."""


def read(
    source: PydocsSource, packages: Sequence[Package], at: Path, skipped: Counter[str], spread: Spread
) -> Iterator[tuple[Package, Iterator["pa.RecordBatch"]]]:
    """Each package with its documents; every file is checked against RECORD before it is parsed.

    Args:
        source: the recipe's source.
        packages: as `packages` found them.
        at: directory for the parts that workers write.
        skipped: takes reason and number of files and docstrings that are left out.
        spread: where files are parsed.

    Raises:
        Refusal: naming the first file that is not what RECORD says.
    """
    chunks = _chunks(packages, at)
    placed: dict[_Key, _Placed | str] = {}
    for number, (chunk, counts) in enumerate(zip(chunks, spread(_parse, chunks), strict=True)):
        first = 0
        for (package, path), count in zip(chunk.files, counts, strict=True):
            placed[path, package.files[path]] = count if isinstance(count, str) else _Placed(number, first, count)
            first += 0 if isinstance(count, str) else count
    parts = _Parts([chunk.part for chunk in chunks])
    for package in packages:
        found = [placed[item] for item in sorted(package.files.items())]
        skipped.update(reason for reason in found if isinstance(reason, str))
        yield package, _documents(source, package, [one for one in found if isinstance(one, _Placed)], parts, skipped)


def _chunks(packages: Sequence[Package], at: Path) -> list[_Chunk]:
    """The files of all packages, each once, in parts of about equal size."""
    known: set[_Key] = set()
    chunks: list[_Chunk] = []
    files: list[tuple[Package, str]] = []
    size = 0
    for package in packages:
        for item in sorted(package.files.items()):
            if item in known:
                continue
            known.add(item)
            files.append((package, item[0]))
            size += package.sizes.get(item[0], 0)
            if size > CHUNK:
                chunks.append(_Chunk(tuple(files), at / f"{len(chunks):06d}.arrow"))
                files, size = [], 0
    return [*chunks, _Chunk(tuple(files), at / f"{len(chunks):06d}.arrow")] if files else chunks


def _parse(chunk: _Chunk) -> list[int | str]:
    """Write what is documented in the files of a chunk; returns for each file the number, or why there is none."""
    counts: list[int | str] = []

    def described() -> Iterator[tuple[Document, str]]:
        for package, path in chunk.files:
            module = module_name(path)
            data = package.read(path)
            try:
                found = docstrings(data, module)
            except (SyntaxError, ValueError, RecursionError):
                counts.append("file is not Python of this version")
                continue
            seen: Counter[str] = Counter()
            for name, signature, docstring in found:
                seen[name] += 1
                again = f"~{seen[name]}" if seen[name] > 1 else ""
                text = f"{signature}\n{docstring}"
                if not text.isascii() and not is_unicode(text):
                    seen[name] -= 1
                    text = ""  # told apart by `_documents`: no documented object has an empty text
                yield Document(f"#{name}{again}", text, "", module, None, signature if text else None), path
            counts.append(len(found))

    # A tree of a large file is a hundred thousand objects that all die together: looking for cycles is wasted.
    collecting = gc.isenabled()
    gc.disable()
    try:
        write_part(chunk.part, described())
    finally:
        if collecting:
            gc.enable()
    return counts


class _Parts:
    """Parts as tables, opened when they are needed; their bytes stay on the disk."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = paths
        self._tables: dict[int, pa.Table] = {}

    def rows(self, placed: _Placed) -> "pa.Table":
        import pyarrow as pa

        if placed.part not in self._tables:
            self._tables[placed.part] = pa.ipc.open_file(pa.memory_map(str(self._paths[placed.part]))).read_all()
        return self._tables[placed.part].slice(placed.first, placed.count)


def _documents(
    source: PydocsSource, package: Package, placed: list[_Placed], parts: _Parts, skipped: Counter[str]
) -> Iterator["pa.RecordBatch"]:
    """The rows of a package's files, with its name, its licence and its ids."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not placed:
        return
    table = pa.concat_tables([parts.rows(one) for one in placed]).combine_chunks()
    valid = pc.greater(pc.binary_length(table.column("text")), 0)
    if left_out := len(table) - pc.sum(valid).as_py() if len(table) else 0:
        skipped["docstring is not valid Unicode"] += left_out
        table = table.filter(valid).combine_chunks()
    origin = f"{source.name}/{package.name}"
    for batch in table.to_batches(max_chunksize=BATCH):
        same = {
            "id": pc.binary_join_element_wise(origin, batch.column("id"), ""),
            "source": pa.array([origin] * len(batch)),
            "licence": pa.array([licence_of(package).expression] * len(batch), pa.string()),
        }
        yield pa.RecordBatch.from_arrays(
            [same.get(name, batch.column(name)) for name in batch.schema.names], schema=batch.schema
        )


def docstrings(data: bytes, module: str) -> list[Described]:
    """Everything documented in one file's source, in its order.

    Raises:
        SyntaxError, ValueError, RecursionError: if this version of Python cannot parse it.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # invalid escapes in other people's strings
        tree = ast.parse(data)
    found: list[Described] = []
    if text := ast.get_docstring(tree):
        found.append((module, f"module {module}", text))
    waiting: list[tuple[ast.AST, str]] = [(tree, module)]
    while waiting:
        node, prefix = waiting.pop()
        if isinstance(node, _Documented):
            prefix = f"{prefix}.{node.name}"
            if text := ast.get_docstring(node):
                found.append((prefix, _signature(node, prefix), text))
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            children = [
                child for child in ast.iter_child_nodes(node) if isinstance(child, ast.stmt | ast.ExceptHandler)
            ]
            waiting += [(child, prefix) for child in reversed(children)]
    return found


def _signature(node: _Documented, name: str) -> str:
    if isinstance(node, ast.ClassDef):
        bases = ", ".join(ast.unparse(base) for base in [*node.bases, *node.keywords])
        line = f"class {name}({bases})" if bases else f"class {name}"
    else:
        keyword = "async def" if isinstance(node, ast.AsyncFunctionDef) else "def"
        returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
        line = f"{keyword} {name}({ast.unparse(node.args)}){returns}"
    return " ".join(line.split("\n"))


def record(source: PydocsSource, package: Package, documents: int, characters: int) -> SourceRecord:
    """The source record of one package."""
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
        documents=documents,
        characters=characters,
    )
