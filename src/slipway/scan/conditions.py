"""What a chat template says only when a conversation holds something: the way to hide a prompt from a reader.

Values are followed through the tree without regard to order. What comes from the contents of messages is *said*;
a condition on something said, a lookup by it, or a loop over it makes everything inside depend on the conversation.
Words found there are returned; whoever renders the template then knows whether an ordinary conversation shows them.

Conditions on roles, on the kind of a value (`is string`, `is none`) and on emptiness are no triggers: templates of
known models are made of them, and what they let through is seen in the rendering.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from jinja2 import nodes

ADDRESS = re.compile(r"(?i)\b[a-z][a-z0-9+.-]{1,20}://|\bwww\.|\bmailto:")
ROLE = re.compile(r"(?i)\b(system|assistant|user|developer|human|ipython)\b")
_TAGS = re.compile(r"<[^<>]{0,80}>|\[/?[A-Z_ ]{1,40}\]")
_WORD = re.compile(r"[^\W\d_]{2,}")
_WITHOUT_SPACES = re.compile("[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\u0e00-\u0e7f]")
_STRUCTURE = {"role", "type", "tool_calls", "function"}
"""Keys whose values say how a message is built, not what somebody said."""
_OF_A_LIST = {"first", "last", "list", "reverse", "selectattr", "rejectattr"}
_KINDS = {"defined", "undefined", "none", "string", "number", "integer", "float", "boolean", "mapping", "iterable",
    "sequence", "true", "false"}  # fmt: skip
FEW = 3
"""So many words are prose."""


class Hidden(NamedTuple):
    """Texts that depend on what a conversation says."""

    texts: tuple[str, ...]
    line: int


def words(text: str) -> int:
    """How many words a text has beside control tokens; of a script without spaces, two characters count as one."""
    plain = _TAGS.sub(" ", text)
    return len(_WORD.findall(_WITHOUT_SPACES.sub("", plain))) + len(_WITHOUT_SPACES.findall(plain)) // 2


def address(tree: nodes.Template) -> tuple[str, int] | None:
    """An address that stands anywhere in a template, and its line."""
    for node in tree.find_all((nodes.Const, nodes.TemplateData)):
        text = node.data if isinstance(node, nodes.TemplateData) else node.value
        if isinstance(text, str) and (found := ADDRESS.search(text)):
            return text[found.start() :], node.lineno
    return None


class Conditions:
    """Follows what is said through one template."""

    def __init__(self, tree: nodes.Template) -> None:
        self.tree = tree
        self.built = {"messages"}
        """Names of what is made of messages, not of what they say."""
        self.said: set[str] = set()
        self.texts: dict[str, set[str]] = {}
        """Name -> words that it may hold."""
        self.macros = {macro.name: macro for macro in tree.find_all(nodes.Macro)}
        while self._spread():
            pass

    def hidden(self) -> Iterator[Hidden]:
        """Every place where words depend on what is said."""
        yield from self._statements(self.tree.body)

    # How much of a conversation is in a value: 0 nothing, 1 its structure, 2 what is said.
    def _level(self, node: nodes.Node) -> int:
        if isinstance(node, nodes.Name | nodes.NSRef):
            return 2 if node.name in self.said else int(node.name in self.built)
        if isinstance(node, nodes.Getattr | nodes.Getitem):
            return self._part(node)
        if isinstance(node, nodes.Test) and node.name in _KINDS:
            return 0
        if isinstance(node, nodes.Compare):
            return self._compared(node)
        levels = max((self._level(child) for child in node.iter_child_nodes()), default=0)
        if isinstance(node, nodes.Filter):
            if node.name in {"length", "count"}:
                return 2 if levels == 2 else 0
            return levels if node.name in _OF_A_LIST else 2 * bool(levels)
        if isinstance(node, nodes.Call):
            named = node.node.name if isinstance(node.node, nodes.Name) else ""
            return 2 if named == "strftime_now" else 0 if named == "range" and levels < 2 else 2 * bool(levels)
        return levels

    def _part(self, node: nodes.Getattr | nodes.Getitem) -> int:
        base = self._level(node.node)
        if isinstance(node.node, nodes.Name | nodes.NSRef) and f"{node.node.name}.{_key(node)}" in self.said:
            return 2
        if isinstance(node, nodes.Getitem) and not isinstance(node.arg, nodes.Const):
            if isinstance(node.arg, nodes.Slice):
                return base
            index = self._level(node.arg)
            return 2 if index == 2 else base if _counts(node.arg) else 2 * bool(base)
        key = _key(node)
        if base == 0 or isinstance(key, int):
            return base
        return 1 if key in _STRUCTURE else 2

    def _compared(self, node: nodes.Compare) -> int:
        sides = [node.expr, *(operand.expr for operand in node.ops)]
        empty = [side for side in sides if isinstance(side, nodes.Const) and side.value in (None, "", True, False)]
        if empty and all(operand.op in {"eq", "ne"} for operand in node.ops):
            return 0
        if any(isinstance(side, nodes.Const) and type(side.value) is int and side.value > 2 for side in sides):
            # The fifth turn, or the hundredth: nothing that a template has a reason to ask for.
            return (
                2
                if any(_counts(side) or self._level(side) for side in sides if not isinstance(side, nodes.Const))
                else 0
            )
        levels = [self._level(side) for side in sides]
        return 2 if 2 in levels else 0

    def _asks(self, test: nodes.Node) -> bool:
        """Whether a condition depends on what is said, beyond whether something is."""
        if isinstance(test, nodes.And | nodes.Or):
            return self._asks(test.left) or self._asks(test.right)
        if isinstance(test, nodes.Not):
            return self._asks(test.node)
        if isinstance(test, nodes.Name | nodes.NSRef):
            return f"?{test.name}" in self.said
        if isinstance(test, nodes.Getattr | nodes.Getitem) and isinstance(test.node, nodes.Name):
            return f"?{test.node.name}" in self.said or f"?{test.node.name}.{_key(test)}" in self.said
        if isinstance(test, nodes.Getattr | nodes.Getitem | nodes.Const):
            return False
        if isinstance(test, nodes.Filter) and test.name in {"trim", "string", "first", "last", "list"}:
            return self._asks(test.node) if test.node else False
        chosen = any(f"?{name.name}" in self.said for name in test.find_all(nodes.Name))
        return chosen or (isinstance(test, nodes.Name) and f"?{test.name}" in self.said) or self._level(test) == 2

    def _spread(self) -> bool:
        """One pass over all assignments; whether anything was learnt."""
        before = (len(self.built), len(self.said), sum(map(len, self.texts.values())))
        self._learn(self.tree.body, inside=False)
        return before != (len(self.built), len(self.said), sum(map(len, self.texts.values())))

    def _learn(self, body: list[nodes.Node], *, inside: bool) -> None:
        for node in body:
            if isinstance(node, nodes.Assign):
                self._assign(node.target, node.node, inside=inside)
            elif isinstance(node, nodes.AssignBlock):
                for child in node.body:
                    self._assign(node.target, child, inside=inside)
                self._learn(node.body, inside=inside)
            elif isinstance(node, nodes.For):
                self._assign(node.target, node.iter, inside=False)
                over = inside or self._level(node.iter) == 2 or (node.test is not None and self._asks(node.test))
                self._learn([*node.body, *node.else_], inside=over)
            elif isinstance(node, nodes.If):
                asks = inside or self._asks(node.test)
                self._learn(node.body, inside=asks)
                self._learn([*node.elif_, *node.else_], inside=asks)
            elif isinstance(node, nodes.Macro | nodes.Scope):
                self._learn(node.body, inside=inside)
            for call in [node, *node.find_all(nodes.Call)] if not isinstance(node, nodes.If | nodes.For) else []:
                if isinstance(call, nodes.Call) and isinstance(call.node, nodes.Name) and call.node.name in self.macros:
                    for target, value in zip(self.macros[call.node.name].args, call.args, strict=False):
                        self._assign(target, value, inside=False)

    def _assign(self, target: nodes.Node, value: nodes.Node, *, inside: bool) -> None:
        """`inside` is whether it is done only if something is said."""
        level = self._level(value)
        for name in _targets(target):
            if level:
                (self.said if level == 2 else self.built).add(name)
            if inside or self._chosen(value):
                self.said.add(f"?{name}")
            if held := self._held(value):
                self.texts.setdefault(name, set()).update(held)
        if isinstance(value, nodes.Call) and isinstance(value.node, nodes.Name) and value.node.name == "namespace":
            for keyword in value.kwargs:
                for name in _targets(target):
                    self.texts.setdefault(f"{name}.{keyword.key}", set()).update(self._held(keyword.value))
                    if self._level(keyword.value) == 2:
                        self.said.add(f"{name}.{keyword.key}")

    def _chosen(self, value: nodes.Node) -> bool:
        """Whether a value tells by itself that something was said: a comparison, a search, a count."""
        if isinstance(value, nodes.Compare | nodes.And | nodes.Or | nodes.Not | nodes.CondExpr | nodes.Test):
            tests = [value.test] if isinstance(value, nodes.CondExpr) else [value]
            return any(self._asks(test) for test in tests)
        if isinstance(value, nodes.Call) and isinstance(value.node, nodes.Getattr):
            return self._level(value) == 2 and value.node.attr in {"startswith", "endswith", "find", "index", "count"}
        return False

    def _held(self, node: nodes.Node) -> set[str]:
        """Words that an expression may hold, its names included."""
        if isinstance(node, nodes.Call) and isinstance(node.node, nodes.Name) and node.node.name == "raise_exception":
            return set()  # it ends the rendering; nobody is told it but the caller
        found: set[str] = set()
        if isinstance(node, nodes.Const) and isinstance(node.value, str):
            found.add(node.value)
        elif isinstance(node, nodes.TemplateData):
            found.add(node.data)
        elif isinstance(node, nodes.Getattr | nodes.Getitem) and isinstance(node.node, nodes.Name):
            found |= self.texts.get(f"{node.node.name}.{_key(node)}", set())
        elif isinstance(node, nodes.Name):
            found |= self.texts.get(node.name, set())
            if macro := self.macros.get(node.name):
                found |= {data.data for data in macro.find_all(nodes.TemplateData)}
                found |= {const.value for const in macro.find_all(nodes.Const) if isinstance(const.value, str)}
        for child in _shown(node):
            found |= self._held(child)
        return found

    def _statements(self, body: list[nodes.Node]) -> Iterator[Hidden]:
        for node in body:
            if isinstance(node, nodes.If):
                branches = [node.body, *(one.body for one in node.elif_), node.else_]
                if self._asks(node.test) or any(self._asks(one.test) for one in node.elif_):
                    for branch in branches:
                        yield from self._told(branch, node.lineno)
                else:
                    for branch in branches:
                        yield from self._statements(branch)
            elif isinstance(node, nodes.For):
                if self._level(node.iter) == 2 or (node.test is not None and self._asks(node.test)):
                    yield from self._told([*node.body, *node.else_], node.lineno)
                else:
                    yield from self._statements([*node.body, *node.else_])
            elif isinstance(node, nodes.Macro | nodes.Scope | nodes.AssignBlock):
                yield from self._statements(node.body)
            elif isinstance(node, nodes.Output):
                for child in node.nodes:
                    yield from self._expression(child)
            elif isinstance(node, nodes.Assign):
                yield from self._expression(node.node)

    def _told(self, body: list[nodes.Node], line: int) -> Iterator[Hidden]:
        """All words of a branch together: they may be spread over several outputs."""
        texts: set[str] = set()
        for statement in body:
            for node in [statement, *statement.find_all((nodes.Output, nodes.Assign))]:
                parts = (
                    node.nodes
                    if isinstance(node, nodes.Output)
                    else [node.node]
                    if isinstance(node, nodes.Assign)
                    else []
                )
                for part in parts:
                    texts |= self._held(part)
        yield from _report(texts, line)

    def _expression(self, node: nodes.Node) -> Iterator[Hidden]:
        """Words inside of one expression that depend on what is said: choices, lookups, repetitions."""
        if isinstance(node, nodes.Add | nodes.Concat):
            for child in node.iter_child_nodes():
                yield from self._expression(child)
        elif isinstance(node, nodes.Filter) and node.node is not None and not node.args and not node.kwargs:
            yield from self._expression(node.node)
        elif isinstance(node, nodes.CondExpr):
            if self._asks(node.test):
                yield from _report(
                    self._held(node.expr1) | (self._held(node.expr2) if node.expr2 else set()), node.lineno
                )
            else:
                yield from self._expression(node.expr1)
                if node.expr2:
                    yield from self._expression(node.expr2)
        elif self._level(node) == 2 or self._chosen(node):
            yield from _report(self._held(node), node.lineno)


def _shown(node: nodes.Node) -> Iterator[nodes.Node]:
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


def _key(node: nodes.Getattr | nodes.Getitem) -> object:
    return node.attr if isinstance(node, nodes.Getattr) else getattr(node.arg, "value", None)


def _counts(node: nodes.Node) -> bool:
    """Whether an expression is made of numbers: positions in a loop and lengths."""
    if isinstance(node, nodes.Const):
        return isinstance(node.value, int)
    if isinstance(node, nodes.Getattr):
        return isinstance(node.node, nodes.Name) and node.node.name == "loop"
    if isinstance(node, nodes.Filter):
        return node.name in {"length", "count"}
    if isinstance(node, nodes.Add | nodes.Sub | nodes.Mod | nodes.FloorDiv | nodes.Neg):
        return all(_counts(child) for child in node.iter_child_nodes())
    return False


def _targets(target: nodes.Node) -> Iterator[str]:
    if isinstance(target, nodes.Name):
        yield target.name
    elif isinstance(target, nodes.NSRef):
        yield f"{target.name}.{target.attr}"
    elif isinstance(target, nodes.Tuple):
        for item in target.items:
            yield from _targets(item)


def _report(texts: set[str], line: int) -> Iterator[Hidden]:
    if sum(map(words, texts)) >= FEW or any(ROLE.search(text) or ADDRESS.search(text) for text in texts):
        yield Hidden(tuple(sorted(text for text in texts if text.strip())), line)
