"""One line of the contract: what is asked, of which figure, and within which bounds.

A line never decides anything. It names a column of a table (`facts`, `checks` or `shards`) and the bounds that
the judge holds the column's values against. A line with a `condition`, an SQL expression that is true for a good
row, has its column in `checks`: the share of rows for which it is not true, so null counts as broken.
"""

from dataclasses import dataclass
from typing import Any, Literal

from slipway.data.contract.own import Own


@dataclass(frozen=True, kw_only=True)
class Line:
    """One expectation of the contract."""

    name: str
    table: Literal["facts", "checks", "shards"]
    figure: str
    """Column of the table whose values are judged."""
    bound: str
    """The bounds in words."""
    column: str | None = None
    """Column of the documents that it is about."""
    low: float | None = None
    high: float | None = None
    allowed: tuple[str, ...] | None = None
    """All values that the figure may have, for a figure that is a string."""
    condition: str | None = None
    """SQL, true for a good row; None where rows are marked in another way, or not at all."""
    remedy: str = "correct the source, then run `slipway lock`"
    own: Own | None = None
    """The user's file that it comes from."""

    marks: Literal["", "language", "conversation"] = ""
    """Lines that are not always run."""

    @property
    def marks_rows(self) -> bool:
        """Whether it tells good rows from bad ones."""
        return self.table == "checks"


def percent(share: float) -> str:
    """A share in words."""
    return f"{100 * share:.4g} %"


def about_rows(name: str, column: str | None, condition: str | None, share: float, **more: Any) -> Line:
    """A line about rows, of which `share` may break it."""
    bound = f"for all but {percent(share)} of the documents" if share else "for every document"
    return Line(
        name=name, table="checks", figure=name, bound=bound, column=column, high=share, condition=condition, **more
    )


def about_figure(name: str, figure: str, bound: str, column: str | None = None, **more: Any) -> Line:
    """A line about one figure."""
    return Line(name=name, table="facts", figure=figure, bound=bound, column=column, **more)
