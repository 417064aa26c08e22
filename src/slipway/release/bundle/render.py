"""Markdown documents from Jinja templates: strict about names, careful about characters that mean something."""

from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from slipway.page import number, visible
from slipway.records import Measure


def cell(value: Any) -> str:
    """`value` as one Markdown table cell: numbers grouped, None a dash, markup and line ends made harmless."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return number(value)
    text = visible(" ".join(str(value).split()))
    for character, harmless in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("|", "\\|"), ("*", "\\*"), ("[", "\\[")):
        text = text.replace(character, harmless)
    return text


def interval(measure: Measure) -> str:
    """The 95 % interval in words; a dash where the method gives none."""
    if measure.low is None or measure.high is None:
        return "–"
    return f"{number(measure.low)} to {number(measure.high)}"


def unbroken(measure: Measure) -> str:
    """`interval` for a cell of a page: it does not break over two lines."""
    return interval(measure).replace(" ", "\u00a0")


def share(value: float | None) -> str:
    """A share as a percentage, a dash where it is not known; less than can be shown is said to be so, never 0."""
    if value is None:
        return "–"
    if 0 < value < 0.0005:
        return "below 0.1 %"
    return f"{100 * value:.1f} %".replace(".0 %", " %")


def many(count: int, word: str) -> str:
    """A number of things: `1 source`, `2 sources`."""
    return f"{number(count)} {word}{'' if count == 1 else 's'}"


@cache
def _environment() -> Environment:
    environment = Environment(  # noqa: S701  Markdown, not HTML: `cell` does the escaping
        loader=PackageLoader("slipway.release.bundle", "templates"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"cell": cell, "interval": interval, "share": share}
    return environment


def markdown(template: str, **values: Any) -> str:
    """The template's text with `values`; a name that is not given is an error of ours, not an empty string."""
    return _environment().get_template(template).render(**values)
