"""What one file of Python source documents, read with `ast`; no code of it runs.

Modules, classes, and functions that stand in a module or class; functions inside functions are nobody's interface,
so the bodies of functions are not even parsed (`skim`), and an error inside one is not noticed.
"""

import ast
import functools
import re
import warnings
from collections.abc import Iterator

from slipway.data.sources.skim import skim

Described = tuple[str, str, str]
"""Qualified name, signature line, docstring."""
_Documented = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
_BLOCKS = ("body", "handlers", "orelse", "finalbody")
_INDENT = re.compile(r"\n([^\S\n]*+)(?=\S)")


def docstrings(data: bytes, module: str) -> list[Described]:
    """Everything documented in one file's source, in its order.

    Raises:
        SyntaxError, ValueError, RecursionError: if this version of Python cannot parse it.
    """
    tree = _parsed(data)
    found: list[Described] = []
    if text := _docstring(tree):
        found.append((module, f"module {module}", text))
    waiting: list[tuple[ast.AST, str]] = [(tree, module)]
    while waiting:
        node, prefix = waiting.pop()
        if isinstance(node, _Documented):
            prefix = f"{prefix}.{node.name}"
            if text := _docstring(node):
                found.append((prefix, _signature(node, prefix), text))
            if not isinstance(node, ast.ClassDef):
                continue
        children = [(child, prefix) for name in _BLOCKS for child in getattr(node, name, ())]
        waiting += reversed(children)
    return found


def _parsed(data: bytes) -> ast.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # invalid escapes in other people's strings
        if (short := skim(data)) is not None:
            try:
                return ast.parse(short)
            except SyntaxError:
                pass  # a cut in the wrong place, or an error of the file itself: the whole file tells
        return ast.parse(data)


def _docstring(node: ast.Module | _Documented) -> str | None:
    if node.body and isinstance(first := node.body[0], ast.Expr) and isinstance(first.value, ast.Constant):
        return cleaned(first.value.value) if isinstance(first.value.value, str) else None
    return None


def cleaned(text: str) -> str:
    """As `inspect.cleandoc` (Python 3.11), in two passes of regular expressions."""
    first, line_end, rest = text.expandtabs().partition("\n")
    first = first.lstrip()
    if not line_end:
        return first
    rest = line_end + rest
    if margin := min(map(len, _INDENT.findall(rest)), default=0):
        rest = _margin(margin).sub("\n", rest)
    return (first + rest).strip("\n")


@functools.cache
def _margin(width: int) -> re.Pattern[str]:
    return re.compile(rf"\n[^\n]{{0,{width}}}")


def _signature(node: _Documented, name: str) -> str:
    if isinstance(node, ast.ClassDef):
        bases = ", ".join(ast.unparse(base) for base in [*node.bases, *node.keywords])
        line = f"class {name}({bases})" if bases else f"class {name}"
    else:
        keyword = "async def" if isinstance(node, ast.AsyncFunctionDef) else "def"
        returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
        line = f"{keyword} {name}({', '.join(_arguments(node.args))}){returns}"
    return " ".join(line.split("\n"))


def _arguments(arguments: ast.arguments) -> Iterator[str]:
    """The parameters as `ast.unparse` spells them, without its machinery for the plain ones."""
    positional = [*arguments.posonlyargs, *arguments.args]
    defaults: list[ast.expr | None] = [None] * (len(positional) - len(arguments.defaults))
    for number, (parameter, default) in enumerate(zip(positional, [*defaults, *arguments.defaults], strict=True), 1):
        yield _argument(parameter) + (f"={_value(default)}" if default else "")
        if number == len(arguments.posonlyargs):
            yield "/"
    if arguments.vararg:
        yield f"*{_argument(arguments.vararg)}"
    elif arguments.kwonlyargs:
        yield "*"
    for parameter, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        yield _argument(parameter) + (f"={_value(default)}" if default else "")
    if arguments.kwarg:
        yield f"**{_argument(arguments.kwarg)}"


def _argument(parameter: ast.arg) -> str:
    return f"{parameter.arg}: {_value(parameter.annotation)}" if parameter.annotation else parameter.arg


def _value(node: ast.expr) -> str:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Constant) and not node.kind and isinstance(node.value, bool | int | str | None):
        return repr(node.value)
    return ast.unparse(node)
