"""Which licences may enter the training data.

An SPDX expression passes if its terms can be met with allowed ids: `A AND B` needs both, `A OR B` needs one.
An id `WITH` an exception passes only if exactly that pair is on the list. No licence at all never passes.
"""

import functools
from collections.abc import Iterable
from typing import Any

from slipway.errors import UserError


@functools.cache
def _spdx() -> Any:
    from license_expression import get_spdx_licensing

    return get_spdx_licensing()


class AllowList:
    """The licences of the recipe.

    Raises:
        UserError: naming an entry that is not one SPDX id (or id WITH exception).
    """

    def __init__(self, allowed: Iterable[str]) -> None:
        self._ids = frozenset(_single(entry) for entry in allowed)

    def passes(self, expression: str | None) -> bool:
        """Whether the terms of `expression` can be met with allowed ids alone."""
        return expression is not None and self._met(_spdx().parse(expression))

    def _met(self, node: Any) -> bool:
        operator = getattr(node, "operator", "").strip().upper()
        if operator == "AND":
            return all(self._met(part) for part in node.args)
        if operator == "OR":
            return any(self._met(part) for part in node.args)
        return node.render() in self._ids


def _single(entry: str) -> str:
    faults = _spdx().validate(entry).errors
    node = None if faults else _spdx().parse(entry)
    if node is None or getattr(node, "operator", None):
        raise UserError(
            f"prepare.licences: `{entry}` is not one SPDX id; see spdx.org/licenses, e.g. BSD-3-Clause, "
            "and list the parts of an expression one by one"
        )
    return node.render()


def ids(expression: str) -> list[str]:
    """The SPDX ids that occur in `expression`, each once, in its order; `A WITH B` counts as one."""
    node = _spdx().parse(expression)
    return list(dict.fromkeys(symbol.render() for symbol in node.get_symbols()))
