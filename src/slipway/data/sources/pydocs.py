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
from collections.abc import Iterable, Iterator

from slipway.data.sources.documents import Document, is_unicode
from slipway.data.sources.licences import licence_of
from slipway.data.sources.packages import Package, find
from slipway.records import SourceRecord
from slipway.settings import PydocsSource

_Documented = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
Described = tuple[str, str, str]
"""Qualified name, signature line, docstring."""


def packages(source: PydocsSource) -> list[Package]:
    """The packages of a source as installed; raises UserError for one that is not there."""
    return [find(name, source.exclude, source.name) for name in source.packages]


def module_name(path: str) -> str:
    """`numpy/linalg/__init__.py` -> `numpy.linalg`."""
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


class Parsed:
    """Docstrings by file, remembered for files that several packages ship (mlflow and mlflow-skinny do)."""

    def __init__(self, used: Iterable[Package]) -> None:
        times = Counter(item for package in used for item in package.files.items())
        self._shared = {item for item, count in times.items() if count > 1}
        self._known: dict[tuple[str, str], list[Described]] = {}

    def docstrings(self, path: str, sha256: str, data: bytes) -> list[Described]:
        """As the function `docstrings`, for the file at `path` below site-packages."""
        key = (path, sha256)
        if key not in self._known:
            found = docstrings(data, module_name(path))
            if key not in self._shared:
                return found
            self._known[key] = found
        return self._known[key]


def read(
    source: PydocsSource, package: Package, parsed: Parsed, skipped: Counter[str]
) -> Iterator[tuple[Document, str]]:
    """Documents of one package with the place each comes from; every file is checked against RECORD first.

    Raises:
        Refusal: naming the first file that is not what RECORD says.
    """
    licence = licence_of(package).expression
    origin = f"{source.name}/{package.name}"
    for path, sha256 in sorted(package.files.items()):
        data = package.read(path)
        module = module_name(path)
        try:
            found = parsed.docstrings(path, sha256, data)
        except (SyntaxError, ValueError, RecursionError):
            skipped["file is not Python of this version"] += 1
            continue
        seen: Counter[str] = Counter()
        for name, signature, docstring in found:
            text = f"{signature}\n{docstring}"
            if not is_unicode(text):
                skipped["docstring is not valid Unicode"] += 1
                continue
            seen[name] += 1
            again = f"~{seen[name]}" if seen[name] > 1 else ""
            yield Document(f"{origin}#{name}{again}", text, origin, module, licence, signature), path


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
        version=package.version,
        licence=licence.expression,
        licence_evidence=licence.evidence,
        files=len(package.files),
        digest=package.digest,
        documents=documents,
        characters=characters,
    )
