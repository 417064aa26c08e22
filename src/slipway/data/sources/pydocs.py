"""Docstrings and signatures of installed packages, read with `ast`; no package code runs.

A document is the docstring of a module, a class, or a function that stands in a module or class (functions
inside functions are nobody's interface). Its text is a signature line, a newline and the docstring without
its indentation. The name is where the object is defined: `numpy._core.fromnumeric.argsort`. When a name is
defined again in the same module (a property's setter, an `if`/`else`), the later ids end in `~2`, `~3`, ….

    def numpy._core.fromnumeric.argsort(a, axis=-1, kind=None)
    Returns the indices that would sort an array.
"""

import ast
import warnings
from collections import Counter
from collections.abc import Callable, Iterator

from slipway.data.sources.documents import Document, is_unicode
from slipway.data.sources.licences import licence_of
from slipway.data.sources.packages import Package, find
from slipway.records import SourceRecord
from slipway.settings import PydocsSource

_Documented = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
Note = Callable[[str], None]


def packages(source: PydocsSource) -> list[Package]:
    """The packages of a source as installed; raises UserError for one that is not there."""
    return [find(name, source.exclude, source.name) for name in source.packages]


def read(source: PydocsSource, package: Package, skipped: Counter[str]) -> Iterator[tuple[Document, str]]:
    """Documents of one package with the place each comes from; every file is checked against RECORD first.

    Raises:
        Refusal: naming the first file that is not what RECORD says.
    """
    licence = licence_of(package).expression
    origin = f"{source.name}/{package.name}"
    for path in sorted(package.files):
        data = package.read(path)
        module = path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        seen: Counter[str] = Counter()
        for name, signature, docstring in docstrings(data, module, skipped):
            text = f"{signature}\n{docstring}"
            if not is_unicode(text):
                skipped["docstring is not valid Unicode"] += 1
                continue
            seen[name] += 1
            again = f"~{seen[name]}" if seen[name] > 1 else ""
            yield Document(f"{origin}#{name}{again}", text, origin, module, licence, signature), path


def docstrings(data: bytes, module: str, skipped: Counter[str]) -> Iterator[tuple[str, str, str]]:
    """Qualified name, signature line and docstring of everything documented in one file's source."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # invalid escapes in other people's strings
            tree = ast.parse(data)
    except (SyntaxError, ValueError, RecursionError):
        skipped["file is not Python of this version"] += 1
        return
    if text := ast.get_docstring(tree):
        yield module, f"module {module}", text
    yield from _inside(tree, module)


def _inside(parent: ast.AST, prefix: str) -> Iterator[tuple[str, str, str]]:
    for node in ast.iter_child_nodes(parent):
        if isinstance(node, _Documented):
            name = f"{prefix}.{node.name}"
            if text := ast.get_docstring(node):
                yield name, _signature(node, name), text
            if isinstance(node, ast.ClassDef):
                yield from _inside(node, name)
        elif isinstance(node, ast.stmt | ast.ExceptHandler):
            yield from _inside(node, prefix)


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
        version=package.version,
        licence=licence.expression,
        licence_evidence=licence.evidence,
        files=len(package.files),
        digest=package.digest,
        documents=documents,
        characters=characters,
    )
