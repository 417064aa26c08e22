"""The language that a chat template may use: an allowlist over Jinja's syntax tree.

A template is a program that runs wherever the model is used, not always in a sandbox. Allowed is what templates of
known models are made of; everything that reaches behind values (attributes of Python, other files, filters that
take names of attributes) or that grows without bound is refused.
"""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from jinja2 import nodes

SIZE = 256 << 10
"""Longest template, in characters; those of known models have up to 20,000."""
NODES = 20_000
LOOPS = 6
"""Deepest nesting of loops."""
RANGE = 1000
FUNCTIONS = {"range", "namespace", "raise_exception", "strftime_now", "dict"}
METHODS = {
    "strip", "lstrip", "rstrip", "split", "rsplit", "splitlines", "startswith", "endswith", "replace", "upper", "lower",
    "title", "capitalize", "items", "keys", "values", "get", "find", "index", "count", "isdigit", "isspace", "join",
    "removeprefix", "removesuffix", "partition", "rpartition",
}  # fmt: skip
FILTERS = {
    "trim", "tojson", "length", "count", "upper", "lower", "title", "capitalize", "string", "int", "float", "list",
    "first", "last", "join", "replace", "default", "d", "selectattr", "rejectattr", "select", "reject", "map", "items",
    "dictsort", "reverse", "unique", "safe", "indent", "sort", "min", "max", "round", "abs", "escape", "e",
}  # fmt: skip
TESTS = {
    "defined", "undefined", "none", "string", "number", "integer", "float", "boolean", "mapping", "iterable",
    "sequence", "true", "false", "odd", "even", "divisibleby", "equalto", "eq", "==", "ne", "!=", "in", "lt", "gt",
    "le", "ge", "lower", "upper", "sameas",
}  # fmt: skip
NAMES_OF_THE_ENGINE = {
    "self", "super", "caller", "varargs", "kwargs", "lipsum", "cycler", "joiner", "request", "config", "environment",
    "context", "gettext", "ngettext", "url_for", "get_flashed_messages", "session", "g",
}  # fmt: skip
PLAIN = (
    nodes.Template, nodes.Output, nodes.TemplateData, nodes.Name, nodes.NSRef, nodes.Const, nodes.For, nodes.If,
    nodes.CondExpr, nodes.Compare, nodes.Operand, nodes.And, nodes.Or, nodes.Not, nodes.Add, nodes.Sub, nodes.Mul,
    nodes.Mod, nodes.FloorDiv, nodes.Div, nodes.Neg, nodes.Pos, nodes.Concat, nodes.Getattr, nodes.Getitem,
    nodes.Slice, nodes.Filter, nodes.Test, nodes.Call, nodes.Keyword, nodes.List, nodes.Dict, nodes.Pair, nodes.Tuple,
    nodes.Assign, nodes.AssignBlock, nodes.Macro, nodes.Break, nodes.Continue, nodes.Scope,
)  # fmt: skip
_NAME = re.compile(r"_?[A-Za-z][A-Za-z0-9_]*")
_BRACKETS = re.compile(r"<[^<>]{0,60}>|\[[^\[\]]{0,60}\]|\{[^{}]{0,60}\}|(?<!\w)/\w{1,20}")
_DUNDER = re.compile(r"__\w*|\w*__")
_CONSTANTS = {"True", "False", "None", "true", "false", "null"}


class Fault(NamedTuple):
    """What is wrong with a template: rule id, reason, line."""

    rule: str
    reason: str
    line: int


def parse(source: str) -> tuple[nodes.Template | None, list[Fault]]:
    """The tree of a template, or why there is none."""
    from jinja2 import TemplateSyntaxError

    from slipway.chat import environment

    if len(source) > SIZE:
        return None, [Fault("template.size", f"has {len(source)} characters; at most {SIZE} are read", 1)]
    try:
        tree = environment().parse(source)
        count = sum(1 for _ in tree.find_all(nodes.Node))
    except TemplateSyntaxError as error:
        return None, [Fault("template.syntax", f"is not a template: {str(error.message)[:120]}", error.lineno)]
    except (RecursionError, ValueError, OverflowError) as error:
        return None, [Fault("template.syntax", f"is not a template that can be read: {type(error).__name__}", 1)]
    if count > NODES:
        return None, [Fault("template.size", f"has {count} parts; at most {NODES} are read", 1)]
    return tree, []


def check(tree: nodes.Template) -> Iterator[Fault]:
    """Faults `template.syntax`, `.name`, `.call`, `.filter`, `.bomb`, `.rewrite`: what lies outside of the language."""
    macros = {macro.name for macro in tree.find_all(nodes.Macro)}
    for node in tree.find_all(nodes.Node):
        if type(node) not in PLAIN:
            yield Fault("template.syntax", f"uses `{type(node).__name__.lower()}`", node.lineno)
        elif isinstance(node, nodes.Name | nodes.NSRef):
            yield from _name(node.name, node.lineno)
        elif isinstance(node, nodes.Getattr | nodes.Getitem):
            yield from _attribute(node)
        elif isinstance(node, nodes.Call):
            yield from _call(node, macros)
        elif isinstance(node, nodes.Filter | nodes.Test):
            yield from _filter(node)
        elif isinstance(node, nodes.Macro):
            yield from _name(node.name, node.lineno)
        elif isinstance(node, nodes.Const) and isinstance(node.value, str) and _DUNDER.fullmatch(node.value):
            # Half of such a name in a variable, and the other half in another: together they reach for an attribute.
            yield Fault("template.name", f"holds {node.value[:60]!r}, a part of the name of an attribute", node.lineno)
        elif isinstance(node, nodes.Mul | nodes.Mod):
            yield from _arithmetic(node)
    if (deepest := _loops(tree)) > LOOPS:
        yield Fault("template.bomb", f"nests {deepest} loops; at most {LOOPS}", 1)


def _name(name: str, line: int) -> Iterator[Fault]:
    if not _NAME.fullmatch(name) or name.endswith("__") or name in NAMES_OF_THE_ENGINE:
        yield Fault("template.name", f"uses the name {name[:60]!r}", line)


def _attribute(node: nodes.Getattr | nodes.Getitem) -> Iterator[Fault]:
    name = node.attr if isinstance(node, nodes.Getattr) else getattr(node.arg, "value", None)
    if isinstance(name, str) and (name.startswith("_") or "__" in name or name in {"func_globals", "gi_frame", "mro"}):
        yield Fault("template.name", f"reaches for the attribute {name[:60]!r}", node.lineno)
    if isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Add | nodes.Concat) and _text(node.arg):
        yield Fault("template.name", "puts the name of an attribute together from parts", node.lineno)


def _text(node: nodes.Node) -> bool:
    return any(isinstance(child.value, str) for child in node.find_all(nodes.Const))


def _call(node: nodes.Call, macros: set[str]) -> Iterator[Fault]:
    if node.dyn_args is not None or node.dyn_kwargs is not None:
        yield Fault("template.call", "calls with arguments that are put together when it runs", node.lineno)
    if isinstance(node.node, nodes.Name):
        name = node.node.name
        if name not in FUNCTIONS | macros:
            yield Fault("template.call", f"calls {name[:60]!r}", node.lineno)
        large = [arg for arg in node.args if isinstance(arg, nodes.Const) and _large(arg.value)]
        if name == "range" and (large or any(arg.find(nodes.Mul) or isinstance(arg, nodes.Mul) for arg in node.args)):
            yield Fault("template.bomb", f"counts further than {RANGE}", node.lineno)
    elif isinstance(node.node, nodes.Getattr):
        if node.node.attr not in METHODS:
            yield Fault("template.call", f"calls the method {node.node.attr[:60]!r}", node.lineno)
        yield from _rewrites(node.node.attr, node.args, node.lineno)
    else:
        yield Fault("template.call", "calls what it has put together", node.lineno)


def _large(value: Any) -> bool:
    return not isinstance(value, int) or abs(value) > RANGE


def _filter(node: nodes.Filter | nodes.Test) -> Iterator[Fault]:
    known = FILTERS if isinstance(node, nodes.Filter) else TESTS
    kind = "filter" if isinstance(node, nodes.Filter) else "test"
    if node.name not in known or node.dyn_args is not None or node.dyn_kwargs is not None:
        yield Fault("template.filter", f"uses the {kind} {node.name[:60]!r}", node.lineno)
    arguments = [*node.args, *(keyword.value for keyword in node.kwargs)]
    if node.name == "replace" and node.kwargs:
        yield Fault("template.rewrite", "changes what is said by arguments with names", node.lineno)
    if node.name in {
        "join",
        "max",
        "min",
        "selectattr",
        "rejectattr",
        "select",
        "reject",
        "map",
        "sort",
        "dictsort",
        "unique",
    }:
        for value in (getattr(argument, "value", None) for argument in arguments):
            if isinstance(value, str) and ("_" in (value[:1], value[-1:]) or "." in value or value == "attr"):
                yield Fault("template.name", f"reaches for the attribute {value[:60]!r}", node.lineno)
        if node.name == "map" and node.args and getattr(node.args[0], "value", None) not in FILTERS:
            yield Fault("template.filter", "maps a filter that is not known", node.lineno)
        if node.name in {"select", "reject"} and node.args and getattr(node.args[0], "value", None) not in TESTS:
            yield Fault("template.filter", "selects by a test that is not known", node.lineno)
    if node.name == "indent" and any(
        _large(getattr(one, "value", 0)) or getattr(one, "value", 0) > 32 for one in arguments
    ):
        yield Fault("template.bomb", "indents further than 32", node.lineno)
    yield from _rewrites(node.name, node.args, node.lineno)


def _rewrites(method: str, arguments: list[nodes.Expr], line: int) -> Iterator[Fault]:
    """Whether contents are cut or changed at words: that puts words into somebody's mouth, or takes them out."""
    if method in {"replace", "split", "rsplit", "partition", "rpartition", "removeprefix", "removesuffix"}:
        parts = arguments[: 2 if method == "replace" else 1]
        for value in (argument.value if isinstance(argument, nodes.Const) else None for argument in parts):
            if not isinstance(value, str) or not is_mark(value):
                shown = "what it has put together" if value is None else repr(value)[:60]
                yield Fault("template.rewrite", f"changes or cuts what is said at {shown}", line)


def is_mark(value: str) -> bool:
    """Whether a text is punctuation, white space or in brackets, as control tokens are: nothing that people say."""
    if value.startswith("<") and value.endswith(">"):
        return True
    return value in _CONSTANTS or not any(character.isalnum() for character in _BRACKETS.sub("", value))


def _arithmetic(node: nodes.Mul | nodes.Mod) -> Iterator[Fault]:
    sides = (node.left, node.right)
    words = any(isinstance(side, nodes.Concat | nodes.List | nodes.Tuple) for side in sides)
    words = words or any(isinstance(side, nodes.Const) and isinstance(side.value, str) for side in sides)
    if isinstance(node, nodes.Mod):
        if isinstance(node.left, nodes.Const) and isinstance(node.left.value, str):
            yield Fault("template.bomb", "fills a form by `%`", node.lineno)
    elif words or not any(isinstance(side, nodes.Const) and not _large(side.value) for side in sides):
        yield Fault("template.bomb", "repeats text or multiplies without bound", node.lineno)


def _loops(node: nodes.Node, level: int = 0) -> int:
    level += isinstance(node, nodes.For)
    return max([level, *(_loops(child, level) for child in node.iter_child_nodes())])
