"""How what is said in a conversation flows through a chat template: names, conditions, lookups.

Values are followed through the tree without regard to order, until nothing new is learnt. Conditions on roles, on
the kind of a value (`is string`, `is none`) and on emptiness are no questions for what is said: templates of known
models are made of them, and what they let through is seen in the rendering.
"""

from collections.abc import Iterator

from jinja2 import nodes

NOTHING, STRUCTURE, SAID = range(3)
"""How much of a conversation is in a value: nothing, how messages are built, what somebody said."""
STRUCTURAL = {"role", "type", "tool_calls", "function", "name", "id", "tool_call_id"}
"""Keys whose values say how a message is built."""
_OF_A_LIST = {"first", "last", "list", "reverse", "selectattr", "rejectattr"}
_KINDS = {
    "defined", "undefined", "none", "string", "number", "integer", "float", "boolean", "mapping", "iterable",
    "sequence", "true", "false",
}  # fmt: skip
SEARCHES = {"startswith", "endswith", "find", "index", "count"}


class Flow:
    """Follows what is said through one template."""

    def __init__(self, tree: nodes.Template) -> None:
        self.levels: dict[str, int] = {"messages": STRUCTURE}
        """Name -> how much of a conversation is in it; of a namespace's attribute, `name.attribute`."""
        self.chosen: set[str] = set()
        """Names whose value depends on what is said, even if nothing that was said is in it."""
        self.texts: dict[str, set[str]] = {}
        """Name -> texts that it may hold."""
        self.macros = {macro.name: macro for macro in tree.find_all(nodes.Macro)}
        known = None
        while known != (known := self._known()):
            self._learn(tree.body, inside=False)
            for call in tree.find_all(nodes.Call):
                self._pass(call)

    def _known(self) -> tuple[int, int, int]:
        return sum(self.levels.values()), len(self.chosen), sum(map(len, self.texts.values()))

    def level(self, node: nodes.Node) -> int:
        """How much of a conversation is in an expression."""
        if isinstance(node, nodes.Name | nodes.NSRef):
            return self.levels.get(node.name, NOTHING)
        if isinstance(node, nodes.Getattr | nodes.Getitem):
            return self._part(node)
        if isinstance(node, nodes.Compare):
            return self._compared(node)
        within = max((self.level(child) for child in node.iter_child_nodes()), default=NOTHING)
        if isinstance(node, nodes.Test) and node.name in _KINDS:
            within = NOTHING
        elif isinstance(node, nodes.Filter) and node.name in {"length", "count"}:
            within = SAID if within == SAID else NOTHING
        elif isinstance(node, nodes.Filter) and (node.name not in _OF_A_LIST or _selects(node)):
            within = SAID if within else NOTHING
        elif isinstance(node, nodes.Add | nodes.Sub | nodes.Mod | nodes.FloorDiv | nodes.Div):
            within = SAID if _far(node.left, node.right) else within
        elif isinstance(node, nodes.Call):
            named = node.node.name if isinstance(node.node, nodes.Name) else ""
            # The date is as good a trigger as a word; counting up to a length tells nothing.
            within = (
                SAID if named == "strftime_now" or (within and not (named == "range" and within < SAID)) else NOTHING
            )
        return within

    def _part(self, node: nodes.Getattr | nodes.Getitem) -> int:
        base, key = self.level(node.node), key_of(node)
        if isinstance(node.node, nodes.Name):
            base = max(base, self.levels.get(f"{node.node.name}.{key}", NOTHING))
        if isinstance(node, nodes.Getitem) and not isinstance(node.arg, nodes.Const | nodes.Slice):
            if self.level(node.arg) == SAID:
                return SAID
            return base if _counts(node.arg) or not base else SAID
        if not base or isinstance(key, int) or (isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Slice)):
            return base
        return STRUCTURE if key in STRUCTURAL else SAID

    def _compared(self, node: nodes.Compare) -> int:
        sides = [node.expr, *(operand.expr for operand in node.ops)]
        constants = [side.value for side in sides if isinstance(side, nodes.Const)]
        others = [side for side in sides if not isinstance(side, nodes.Const)]
        if any(value in ("", None) or isinstance(value, bool) for value in constants):
            if all(operand.op in {"eq", "ne"} for operand in node.ops):
                return NOTHING
        elif any(type(value) is int and value > 2 for value in constants):
            # The fifth turn, or the hundredth: nothing that a template has a reason to ask for.
            return SAID if any(_counts(side) or self.level(side) for side in others) else NOTHING
        return SAID if any(self.level(side) == SAID for side in sides) else NOTHING

    def asks(self, test: nodes.Node) -> bool:
        """Whether a condition depends on what is said, beyond whether something is."""
        if isinstance(test, nodes.And | nodes.Or):
            return self.asks(test.left) or self.asks(test.right)
        if isinstance(test, nodes.Not):
            return self.asks(test.node)
        if isinstance(test, nodes.Filter) and test.node and test.name in {"trim", "string", "first", "last", "list"}:
            return self.asks(test.node)
        if self.hinges(test):
            return True
        return not isinstance(test, nodes.Name | nodes.Getattr | nodes.Getitem) and self.level(test) == SAID

    def hinges(self, node: nodes.Node) -> bool:
        """Whether an expression has a name in it whose value was chosen by what is said."""
        names = [node] if isinstance(node, nodes.Name) else list(node.find_all(nodes.Name))
        parts = [node, *node.find_all(nodes.Getattr)]
        names_of_parts = {
            f"{part.node.name}.{part.attr}"
            for part in parts
            if isinstance(part, nodes.Getattr) and isinstance(part.node, nodes.Name)
        }
        return bool(self.chosen & ({name.name for name in names} | names_of_parts))

    def _learn(self, body: list[nodes.Node], *, inside: bool) -> None:
        """Take in the assignments of a body; `inside` is whether it is reached only if something is said."""
        for node in body:
            if isinstance(node, nodes.Assign):
                self._assign(node.target, node.node, inside=inside)
            elif isinstance(node, nodes.AssignBlock):
                for output in node.body:
                    self._assign(node.target, output, inside=inside)
            elif isinstance(node, nodes.For):
                self._assign(node.target, node.iter, inside=False)
                self._learn([*node.body, *node.else_], inside=inside or self.repeats(node))
            elif isinstance(node, nodes.If):
                self._learn([*node.body, *node.elif_, *node.else_], inside=inside or self.decides(node))
            if isinstance(node, nodes.Macro | nodes.Scope | nodes.AssignBlock):
                self._learn(node.body, inside=inside)

    def repeats(self, node: nodes.For) -> bool:
        """Whether what is said decides how often a loop runs."""
        return self.level(node.iter) == SAID or (node.test is not None and self.asks(node.test))

    def decides(self, node: nodes.If) -> bool:
        """Whether what is said decides which branch is taken."""
        return self.asks(node.test) or any(self.asks(one.test) for one in node.elif_)

    def _pass(self, call: nodes.Call) -> None:
        """What a macro is given is in its parameters; what a namespace is given, in its attributes."""
        if isinstance(call.node, nodes.Name) and call.node.name in self.macros:
            for target, value in zip(self.macros[call.node.name].args, call.args, strict=False):
                self._assign(target, value, inside=False)

    def _assign(self, target: nodes.Node, value: nodes.Node, *, inside: bool) -> None:
        for name in _targets(target):
            self._set(name, value, inside=inside)
            if isinstance(value, nodes.Call) and isinstance(value.node, nodes.Name) and value.node.name == "namespace":
                for keyword in value.kwargs:
                    self._set(f"{name}.{keyword.key}", keyword.value, inside=inside)

    def _set(self, name: str, value: nodes.Node, *, inside: bool) -> None:
        self.levels[name] = max(self.levels.get(name, NOTHING), self.level(value))
        if inside or self.tells(value):
            self.chosen.add(name)
        if held := self.held(value):
            self.texts.setdefault(name, set()).update(held)

    def tells(self, value: nodes.Node) -> bool:
        """Whether a value tells by itself that something was said: a comparison, a search, a count."""
        if isinstance(value, nodes.CondExpr):
            return self.asks(value.test)
        if isinstance(value, nodes.Compare | nodes.And | nodes.Or | nodes.Not | nodes.Test):
            return self.asks(value)
        if isinstance(value, nodes.Call) and isinstance(value.node, nodes.Getattr):
            return value.node.attr in SEARCHES and self.level(value) == SAID
        return False

    def held(self, node: nodes.Node) -> set[str]:
        """Texts that may come out of an expression."""
        if isinstance(node, nodes.Call) and isinstance(node.node, nodes.Name) and node.node.name == "raise_exception":
            return set()  # it ends the rendering; nobody is told it but the caller
        found: set[str] = set()
        if isinstance(node, nodes.Const) and isinstance(node.value, str):
            found.add(node.value)
        elif isinstance(node, nodes.TemplateData):
            found.add(node.data)
        elif isinstance(node, nodes.Getattr | nodes.Getitem) and isinstance(node.node, nodes.Name):
            found |= self.texts.get(f"{node.node.name}.{key_of(node)}", set())
        elif isinstance(node, nodes.Name):
            found |= self.texts.get(node.name, set())
            if macro := self.macros.get(node.name):
                found |= {data.data for data in macro.find_all(nodes.TemplateData)}
                found |= {const.value for const in macro.find_all(nodes.Const) if isinstance(const.value, str)}
        return found.union(*(self.held(child) for child in _shown(node)))


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


def key_of(node: nodes.Getattr | nodes.Getitem) -> object:
    """The name or number of a part; None if it is put together."""
    return node.attr if isinstance(node, nodes.Getattr) else getattr(node.arg, "value", None)


def _selects(node: nodes.Filter) -> bool:
    """Whether a filter picks messages by what they say."""
    named = getattr(node.args[0], "value", None) if node.args else None
    return node.name in {"selectattr", "rejectattr"} and named not in STRUCTURAL


def _far(*sides: nodes.Node) -> bool:
    """Whether something is counted against a number that no template has a reason for: the hundredth turn."""
    numbers = [side for side in sides if isinstance(side, nodes.Const)]
    others = [side for side in sides if not isinstance(side, nodes.Const)]
    return any(type(side.value) is int and side.value > 2 for side in numbers) and any(map(_counts, others))


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
