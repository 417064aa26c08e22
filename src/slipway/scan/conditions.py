"""What a chat template says only when a conversation holds something: the way to hide a prompt from a reader.

A condition on something said, a lookup by it, or a loop over it makes everything inside depend on the conversation
(`slipway.scan.flow`). Words found there are returned; whoever renders the template then knows whether an ordinary
conversation shows them.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from jinja2 import nodes

from slipway.scan.flow import SAID, SEARCHES, Flow
from slipway.scan.parts import STRUCTURAL, key_of
from slipway.scan.prose import telling
from slipway.scan.syntax import is_mark

PARTS = {
    "text", "image", "image_url", "video", "video_url", "audio", "input_audio", "audio_url", "document", "json",
    "content", "tool_calls", "reasoning_content", "thinking", "name", "arguments", "function", "url",
}  # fmt: skip
"""Keys and kinds of the parts of a content."""

LATE = 4
"""Messages up to which a conversation may be cut, as a system message is taken from its beginning."""
FAR = 64
"""Characters up to which a content may be cut: a mark at its beginning or end."""


class Hidden(NamedTuple):
    """Texts that depend on what a conversation says; none if a turn is left out."""

    texts: tuple[str, ...]
    line: int


def hidden(tree: nodes.Template) -> Iterator[Hidden]:
    """Every place where words depend on what is said."""
    yield from _statements(Flow(tree), tree.body)


def triggers(tree: nodes.Template) -> Iterator[tuple[str, int]]:
    """(words, line) of every question whether certain words are said: nothing that a template has to know."""
    flow = Flow(tree)
    for node in tree.find_all((nodes.Compare, nodes.Call, nodes.Filter)):
        sought: Sequence[nodes.Node] = ()
        if isinstance(node, nodes.Compare):
            sides = [node.expr, *(operand.expr for operand in node.ops)]
            if any(flow.level(side) == SAID for side in sides):
                sought = [side for side in sides if flow.level(side) != SAID]
        elif isinstance(node, nodes.Call) and isinstance(node.node, nodes.Getattr):
            if node.node.attr in SEARCHES and flow.level(node.node.node) == SAID:
                sought = node.args
        elif isinstance(node, nodes.Filter) and node.name in {"selectattr", "rejectattr", "select", "reject"}:
            by_key = node.name.endswith("attr")
            if flow.level(node) == SAID and not (by_key and getattr(node.args[0], "value", None) in STRUCTURAL):
                sought = node.args[2:] if by_key else node.args[1:]
        for text in set().union(*map(flow.held, sought)):
            if text not in PARTS and not is_mark(text):
                yield text, node.lineno


def cuts(tree: nodes.Template) -> Iterator[int]:
    """Lines where what is said, or a conversation, is cut far from its beginning: no ordinary one shows it."""
    flow = Flow(tree)
    for node in tree.find_all(nodes.Getitem):
        if isinstance(node.arg, nodes.Slice) and (level := flow.level(node.node)):
            bounds = [_bound(one) for one in (node.arg.start, node.arg.stop) if one is not None]
            if any(abs(bound) > (FAR if level == SAID else LATE) for bound in bounds):
                yield node.lineno


def _bound(node: nodes.Node) -> int:
    """A place that is given as a number; 0 if it is computed."""
    if isinstance(node, nodes.Neg):
        node = node.node
    value = getattr(node, "value", 0)
    return value if type(value) is int else 0


def roles(tree: nodes.Template) -> set[str]:
    """Roles that a template asks for, beside those of every conversation."""
    found: set[str] = set()
    for node in tree.find_all(nodes.Compare):
        sides = [node.expr, *(operand.expr for operand in node.ops)]
        keys = [key_of(side) for side in sides if isinstance(side, nodes.Getattr | nodes.Getitem)]
        if any(key in {"role", "name", "from"} for key in keys):
            constants = [one for side in sides for one in (side, *side.find_all(nodes.Const))]
            found |= {one.value for one in constants if isinstance(one, nodes.Const) and isinstance(one.value, str)}
    return found - {"user", "assistant", "system", "tool", "role", "name", "from"}


def _statements(flow: Flow, body: list[nodes.Node]) -> Iterator[Hidden]:
    for node in body:
        if isinstance(node, nodes.If):
            branches = [node.body, *(one.body for one in node.elif_), node.else_]
            judge = _told if flow.decides(node) else _statements
            for branch in branches:
                yield from judge(flow, branch)
        elif isinstance(node, nodes.For):
            judge = _told if flow.repeats(node) else _statements
            yield from judge(flow, [*node.body, *node.else_])
        elif isinstance(node, nodes.Macro | nodes.Scope | nodes.AssignBlock):
            yield from _statements(flow, node.body)
        elif isinstance(node, nodes.Output | nodes.Assign):
            for part in _parts(node):
                yield from _expression(flow, part)


def _parts(node: nodes.Node) -> Sequence[nodes.Node]:
    """Expressions whose values a statement shows or keeps."""
    return node.nodes if isinstance(node, nodes.Output) else [node.node] if isinstance(node, nodes.Assign) else []


def _told(flow: Flow, body: list[nodes.Node]) -> Iterator[Hidden]:
    """All words of a branch together, as they may be spread over several outputs; and turns that it leaves out."""
    texts: set[str] = set()
    for statement in body:
        for node in [statement, *statement.find_all((nodes.Output, nodes.Assign, nodes.Break, nodes.Continue))]:
            if isinstance(node, nodes.Break | nodes.Continue):
                yield Hidden((), node.lineno)
            for part in _parts(node):
                texts |= flow.held(part)
    yield from _report(texts, body[0].lineno if body else 1)


def _expression(flow: Flow, node: nodes.Node) -> Iterator[Hidden]:
    """Words inside of one expression that depend on what is said: choices, lookups, repetitions."""
    within: list[nodes.Node] = []
    if isinstance(node, nodes.Add | nodes.Concat):
        within = list(node.iter_child_nodes())
    elif isinstance(node, nodes.Filter) and node.node is not None and not node.args and not node.kwargs:
        within = [node.node]
    elif isinstance(node, nodes.CondExpr) and not flow.asks(node.test):
        within = [node.expr1, *([node.expr2] if node.expr2 else [])]
    elif _is_variable(node):
        # It may hold a text here and what is said there; who decides between the two is asked where it is set.
        if flow.hinges(node):
            yield from _report(flow.held(node), node.lineno)
    elif flow.level(node) == SAID or flow.tells(node) or flow.hinges(node):
        yield from _report(flow.held(node), node.lineno)
    for child in within:
        yield from _expression(flow, child)


def _is_variable(node: nodes.Node) -> bool:
    return isinstance(node, nodes.Name) or (isinstance(node, nodes.Getattr) and isinstance(node.node, nodes.Name))


def _report(texts: set[str], line: int) -> Iterator[Hidden]:
    if telling(texts):
        yield Hidden(tuple(sorted(text for text in texts if text.strip())), line)
