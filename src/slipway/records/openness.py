"""How open a release is, by two yardsticks, as `openness.json`, card, report and bill of materials show it."""

from typing import Literal

from slipway.records.base import Record

Class = Literal["I", "II", "III", "none"]


class OpennessComponent(Record):
    """One component of the Model Openness Framework."""

    name: str
    """As the framework calls it."""
    kind: Literal["code", "data", "document"]
    asked_by: Literal["I", "II", "III"]
    """Least open class that asks for it; the classes above ask for it too."""
    optional: bool
    """Counted for no class."""
    status: Literal["included", "not open", "missing"]
    """`included`: its bytes are in the bundle, or pinned by digest in it, under an open licence."""
    where: tuple[str, ...]
    """Files of the bundle that are it or pin it."""
    licence: str | None
    """SPDX expression; None if there is none, or no single one."""
    note: str
    """Of an included one, what counts as it and any reserve; otherwise what is there, and what would be needed."""


class OpennessLine(Record):
    """One line of the Open Source AI Definition."""

    element: Literal["data information", "code", "parameters"]
    asks: str
    met: bool
    found: str
    """What the bundle shows; if it is not met, what would be needed."""


class OpennessReport(Record):
    """Computed from the bundle's files, records and licences; it claims nothing of what lies elsewhere."""

    framework: str
    """Name and version."""
    mof_class: Class
    components: tuple[OpennessComponent, ...]
    definition: str
    """Name and version."""
    osaid_met: bool
    """Every line is met."""
    osaid: tuple[OpennessLine, ...]
