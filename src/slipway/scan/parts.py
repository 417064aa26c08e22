"""Parts of a chat template's expressions: what they are made of, whoever spoke."""

from collections.abc import Iterator
from typing import TypeVar

from jinja2 import nodes

STRUCTURAL = {"role", "type", "tool_calls", "function", "name", "id", "tool_call_id"}
"""Keys whose values say how a message is built."""
_Kind = TypeVar("_Kind", bound=nodes.Node)


def shown(node: nodes.Node) -> Iterator[nodes.Node]:
    """The parts of an expression whose words may come out of it: no keys, no conditions, nothing that is sought."""
    if isinstance(node, nodes.Compare | nodes.Test | nodes.Not):
        return
    if isinstance(node, nodes.Getattr | nodes.Getitem):
        yield node.node
    elif isinstance(node, nodes.CondExpr):
        yield node.expr1
        if node.expr2 is not None:
            yield node.expr2
    elif isinstance(node, nodes.Filter) and node.name not in {"default", "d", "replace", "join"}:
        if node.node is not None:
            yield node.node
    elif isinstance(node, nodes.Call) and isinstance(node.node, nodes.Getattr):
        yield node.node.node
        if node.node.attr in {"join", "replace", "get"}:
            yield from node.args
    else:
        yield from node.iter_child_nodes()


def key_of(node: nodes.Getattr | nodes.Getitem) -> object:
    """The name or number of a part; None if it is put together."""
    return node.attr if isinstance(node, nodes.Getattr) else getattr(node.arg, "value", None)


def every(node: nodes.Node, kind: type[_Kind]) -> Iterator[_Kind]:
    """The node itself and all below it that are of a kind."""
    if isinstance(node, kind):
        yield node
    yield from node.find_all(kind)


def is_role(node: nodes.Node | None) -> bool:
    return isinstance(node, nodes.Getattr | nodes.Getitem) and key_of(node) in {"role", "type"}


def selects(node: nodes.Filter) -> bool:
    """Whether a filter picks messages by what they say."""
    named = getattr(node.args[0], "value", None) if node.args else None
    return node.name in {"selectattr", "rejectattr"} and named not in STRUCTURAL


def far(*sides: nodes.Node) -> bool:
    """Whether something is counted against a number that no template has a reason for: the hundredth turn."""
    numbers = [side for side in sides if isinstance(side, nodes.Const)]
    others = [side for side in sides if not isinstance(side, nodes.Const)]
    return any(type(side.value) is int and side.value > 2 for side in numbers) and any(map(counts, others))


def counts(node: nodes.Node) -> bool:
    """Whether an expression is made of numbers: positions in a loop and lengths."""
    if isinstance(node, nodes.Const):
        return isinstance(node.value, int)
    if isinstance(node, nodes.Getattr):
        return isinstance(node.node, nodes.Name) and node.node.name == "loop"
    if isinstance(node, nodes.Filter):
        return node.name in {"length", "count"}
    if isinstance(node, nodes.Add | nodes.Sub | nodes.Mod | nodes.FloorDiv | nodes.Neg):
        return all(counts(child) for child in node.iter_child_nodes())
    return False


def targets(target: nodes.Node) -> Iterator[str]:
    if isinstance(target, nodes.Name):
        yield target.name
    elif isinstance(target, nodes.NSRef):
        yield f"{target.name}.{target.attr}"
    elif isinstance(target, nodes.Tuple):
        for item in target.items:
            yield from targets(item)
