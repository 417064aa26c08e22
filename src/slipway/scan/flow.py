"""How what is said in a conversation flows through a chat template: names, conditions, lookups.

Values are followed through the tree without regard to order, until nothing new is learnt. Conditions on roles, on
the kind of a value (`is string`, `is none`) and on emptiness are no questions for what is said: templates of known
models are made of them, and what they let through is seen in the rendering.
"""

from jinja2 import nodes

from slipway.scan import parts

NOTHING, STRUCTURE, SAID = range(3)
"""How much of a conversation is in a value: nothing, how messages are built, what somebody said."""
_OF_A_LIST = {"first", "last", "list", "reverse", "selectattr", "rejectattr"}
_KINDS = {
    "defined", "undefined", "none", "string", "number", "integer", "float", "boolean", "mapping", "iterable",
    "sequence", "true", "false",
}  # fmt: skip
SEARCHES = {"startswith", "endswith", "find", "index", "count"}
CUTTING = {
    "split", "rsplit", "partition", "rpartition", "removeprefix", "removesuffix", "strip", "lstrip", "rstrip",
    "replace",
}  # fmt: skip


class Flow:
    """Follows what is said through one template."""

    def __init__(self, tree: nodes.Template) -> None:
        self.levels: dict[str, int] = {"messages": STRUCTURE}
        """Name -> how much of a conversation is in it; of a namespace's attribute, `name.attribute`."""
        self.chosen: set[str] = set()
        """Names whose value depends on what is said, even if nothing that was said is in it."""
        self.texts: dict[str, set[str]] = {}
        """Name -> texts that it may hold."""
        self.parts: set[str] = set()
        """Names that hold a part cut out of what is said."""
        self._within: list[str] = []
        self.macros = {macro.name: macro for macro in tree.find_all(nodes.Macro)}
        known = None
        while known != (known := self._known()):
            self._learn(tree.body, inside=False)
            for call in tree.find_all(nodes.Call):
                self._pass(call)

    def _known(self) -> tuple[int, int, int]:
        return sum(self.levels.values()), len(self.chosen) + len(self.parts), sum(map(len, self.texts.values()))

    def level(self, node: nodes.Node) -> int:
        """How much of a conversation is in an expression."""
        if isinstance(node, nodes.Name | nodes.NSRef):
            return self.levels.get(node.name, NOTHING)
        if isinstance(node, nodes.Getattr | nodes.Getitem):
            return self._part(node)
        if isinstance(node, nodes.Compare):
            return self._compared(node)
        if isinstance(node, nodes.Filter) and node.name in {"lower", "upper", "trim"} and parts.is_role(node.node):
            return self.level(node.node)  # type: ignore[arg-type]
        within = max((self.level(child) for child in node.iter_child_nodes()), default=NOTHING)
        if isinstance(node, nodes.Test) and node.name in _KINDS:
            within = NOTHING
        elif isinstance(node, nodes.Filter) and node.name in {"length", "count"}:
            within = SAID if within == SAID else NOTHING
        elif isinstance(node, nodes.Filter) and (node.name not in _OF_A_LIST or parts.selects(node)):
            within = SAID if within else NOTHING
        elif isinstance(node, nodes.FloorDiv | nodes.Div):
            within = SAID  # the hundredth turn, in steps; no template has a reason to divide
        elif isinstance(node, nodes.Add | nodes.Sub | nodes.Mod):
            within = SAID if parts.far(node.left, node.right) else within
        elif isinstance(node, nodes.Call):
            named = node.node.name if isinstance(node.node, nodes.Name) else ""
            # The date is as good a trigger as a word; counting up to a length tells nothing.
            within = (
                SAID if named == "strftime_now" or (within and not (named == "range" and within < SAID)) else NOTHING
            )
        return within

    def _part(self, node: nodes.Getattr | nodes.Getitem) -> int:
        base, key = self.level(node.node), parts.key_of(node)
        if isinstance(node.node, nodes.Name):
            base = max(base, self.levels.get(f"{node.node.name}.{key}", NOTHING))
        if isinstance(node, nodes.Getitem) and not isinstance(node.arg, nodes.Const | nodes.Slice):
            if self.level(node.arg) == SAID:
                return SAID
            return base if parts.counts(node.arg) or not base else SAID
        if not base or isinstance(key, int) or (isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Slice)):
            return base
        return STRUCTURE if key in parts.STRUCTURAL else SAID

    def _compared(self, node: nodes.Compare) -> int:
        sides = [node.expr, *(operand.expr for operand in node.ops)]
        if any(map(self._measures, sides)) and not any(map(self.level, sides)):
            return NOTHING  # the length of what is no part of a conversation
        constants = [side.value for side in sides if isinstance(side, nodes.Const)]
        others = [side for side in sides if not isinstance(side, nodes.Const)]
        if any(value in ("", None) or isinstance(value, bool) for value in constants):
            if all(operand.op in {"eq", "ne"} for operand in node.ops):
                return NOTHING
        elif any(type(value) is int and value > 2 for value in constants):
            # The fifth turn, or the hundredth: nothing that a template has a reason to ask for.
            return SAID if any(parts.counts(side) or self.level(side) for side in others) else NOTHING
        return SAID if any(self.level(side) == SAID for side in sides) else NOTHING

    def _measures(self, node: nodes.Node) -> bool:
        """Whether an expression is the length of what nobody said."""
        counts = isinstance(node, nodes.Filter) and node.name in {"length", "count"} and node.node is not None
        return counts and self.level(node.node) == NOTHING  # type: ignore[attr-defined]

    def asks(self, test: nodes.Node) -> bool:
        """Whether a condition depends on what is said, beyond whether something is."""
        if self._cuts(test):
            return True
        if isinstance(test, nodes.And | nodes.Or):
            return self.asks(test.left) or self.asks(test.right)
        if isinstance(test, nodes.Not):
            return self.asks(test.node)
        if isinstance(test, nodes.Filter) and test.node and test.name in {"trim", "string", "first", "last", "list"}:
            return self.asks(test.node)
        if self.hinges(test):
            return True
        return not isinstance(test, nodes.Name | nodes.Getattr | nodes.Getitem) and self.level(test) == SAID

    def _cuts(self, node: nodes.Node) -> bool:
        """Whether a part of what is said is asked for: whether it is empty tells that a word is there, or is not."""
        for call in parts.every(node, nodes.Call):
            if isinstance(call.node, nodes.Getattr) and call.node.attr in CUTTING and call.args:
                blank = all(isinstance(one, nodes.Const) and not str(one.value).strip() for one in call.args)
                if not blank and self.level(call.node.node) == SAID:
                    return True
        if any(
            isinstance(one.arg, nodes.Slice) and self.level(one.node) == SAID
            for one in parts.every(node, nodes.Getitem)
        ):
            return True
        if any(
            one.name == "replace" and one.node is not None and self.level(one.node) == SAID
            for one in parts.every(node, nodes.Filter)
        ):
            return True
        return any(one.name in self.parts for one in parts.every(node, nodes.Name))

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
        for name in parts.targets(target):
            self._set(name, value, inside=inside)
            if isinstance(value, nodes.Call) and isinstance(value.node, nodes.Name) and value.node.name == "namespace":
                for keyword in value.kwargs:
                    self._set(f"{name}.{keyword.key}", keyword.value, inside=inside)

    def _set(self, name: str, value: nodes.Node, *, inside: bool) -> None:
        self.levels[name] = max(self.levels.get(name, NOTHING), self.level(value))
        if self.level(value) == SAID and self._cuts(value):
            self.parts.add(name)
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
            found |= self.texts.get(f"{node.node.name}.{parts.key_of(node)}", set())
        elif isinstance(node, nodes.Name):
            found |= self.texts.get(node.name, set())
            if (macro := self.macros.get(node.name)) and node.name not in self._within:
                self._within.append(node.name)
                written: list[nodes.Node] = [one for output in macro.find_all(nodes.Output) for one in output.nodes]
                written += [one.node for one in macro.find_all(nodes.Assign)]
                found = found.union(*map(self.held, written))
                self._within.pop()
        return found.union(*(self.held(child) for child in parts.shown(node)))
