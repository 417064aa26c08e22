"""One calm look for every page Slipway writes: the release report, the data contract's verdict.

A page is one self-contained HTML file: no script, no network, a content security policy that forbids
both, light and dark by the reader's system, tables that scroll inside their own box on a phone. Equal
arguments give equal bytes. This is not a web framework: it knows sections, tables, verdicts and three plots.

    >>> page = render("Report", "what was measured", [Section("Loss", table(["step", "loss"], [[1, 2.5]]))])
"""

import base64
import hashlib
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from jinja2 import Environment
from markupsafe import Markup, escape

from slipway.page.charts import bars, histogram, lines, number

__all__ = [
    "Cell",
    "Section",
    "bars",
    "digest",
    "facts",
    "fold",
    "histogram",
    "lines",
    "number",
    "paragraph",
    "preformatted",
    "render",
    "table",
    "verdict",
    "visible",
]

Cell = str | int | float | None | Markup

_TEMPLATE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src '{{ style_hash }}'; base-uri 'none'; \
form-action 'none'">
<meta name="referrer" content="no-referrer">
<meta name="color-scheme" content="light dark">
<title>{{ title }}</title>
<style>{{ style | safe }}</style>
</head>
<body>
<header>
<h1>{{ title }}</h1>
<p class="subtitle">{{ subtitle }}</p>
{% if sections | length > 3 %}<nav aria-label="Sections">
{% for section in sections %}<a href="#s{{ loop.index }}">{{ section.title }}</a>
{% endfor %}</nav>
{% endif %}</header>
<main>
{% for section in sections %}<section id="s{{ loop.index }}">
<h2>{{ section.title }}</h2>
{% if section.intro %}<p class="intro">{{ section.intro }}</p>
{% endif %}{{ section.body }}
</section>
{% endfor %}</main>
</body>
</html>
"""


_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_RIGHT = Markup(' class="number"')


@dataclass(frozen=True)
class Section:
    """A heading, a sentence or two that say how to read it, and a body made by the helpers below."""

    title: str
    body: Markup
    intro: str = ""


@cache
def _style() -> str:
    return files(__package__).joinpath("page.css").read_text("utf-8")


def visible(text: str) -> str:
    r"""`text` with control and direction characters written out (`\u202e`): what is shown is what is there."""
    return "".join(c if c in "\n\t" or unicodedata.category(c) not in _INVISIBLE else f"\\u{ord(c):04x}" for c in text)


def render(title: str, subtitle: str, sections: Sequence[Section]) -> str:
    """A complete HTML document, ending with a newline. Text is escaped; only `Markup` is taken as it is.

    Control and direction characters are written out, wherever they come from.
    """
    style = _style()
    hashed = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    template = Environment(autoescape=True, trim_blocks=False, keep_trailing_newline=True).from_string(_TEMPLATE)
    return visible(
        template.render(title=title, subtitle=subtitle, sections=sections, style=style, style_hash=f"sha256-{hashed}")
    )


def _is_number(cell: Cell) -> bool:
    return isinstance(cell, int | float) and not isinstance(cell, bool)


def _cell(cell: Cell) -> Markup:
    if cell is None:
        return Markup('<td class="none">–</td>')
    if isinstance(cell, bool):
        return Markup("<td>{}</td>").format("yes" if cell else "no")
    if isinstance(cell, int | float):
        return Markup('<td class="number">{}</td>').format(number(cell))
    return Markup("<td>{}</td>").format(cell)


def table(headers: Sequence[str], rows: Iterable[Sequence[Cell]]) -> Markup:
    """A table that scrolls sideways inside its box.

    Numbers are grouped and right-aligned; None is a dash (say "not run" in words where that is meant).

    Raises:
        ValueError: if a row has another length than the headers.
    """
    rows = [list(row) for row in rows]
    if wrong := [row for row in rows if len(row) != len(headers)]:
        raise ValueError(f"a row has {len(wrong[0])} cells under {len(headers)} headers: {wrong[0]!r}")
    numeric = [any(_is_number(row[i]) for row in rows) for i in range(len(headers))]
    head = Markup("").join(
        Markup('<th scope="col"{}>{}</th>').format(_RIGHT if is_number else "", header)
        for header, is_number in zip(headers, numeric, strict=True)
    )
    body = Markup("\n").join(Markup("<tr>{}</tr>").format(Markup("").join(map(_cell, row))) for row in rows)
    if not rows:
        body = Markup('<tr><td class="none" colspan="{}">nothing to show</td></tr>').format(len(headers))
    return Markup(
        '<div class="scroll" tabindex="0"><table>\n<thead><tr>{}</tr></thead>\n<tbody>\n{}\n</tbody>\n</table></div>'
    ).format(head, body)


def verdict(ok: bool | None, text: str) -> Markup:
    """A coloured label: True green with ✓, False red with ✗, None grey with ○ (not run, not known)."""
    kind, sign = {True: ("good", "✓"), False: ("bad", "✗"), None: ("unknown", "○")}[ok]
    return Markup('<span class="verdict {}"><span aria-hidden="true">{}</span> {}</span>').format(kind, sign, text)


def facts(pairs: Iterable[tuple[str, Cell]]) -> Markup:
    """Large figures side by side, each with its name; wraps on a narrow screen."""
    items = Markup("\n").join(
        Markup("<div><dt>{}</dt><dd>{}</dd></div>").format(
            name, number(value) if isinstance(value, int | float) else "–" if value is None else value
        )
        for name, value in pairs
    )
    return Markup('<dl class="facts">\n{}\n</dl>').format(items)


def paragraph(text: str | Markup) -> Markup:
    """A paragraph of running text."""
    return Markup("<p>{}</p>").format(text)


def preformatted(text: str) -> Markup:
    """Code or generated text, as it is; long lines wrap."""
    return Markup("<pre>{}</pre>").format(text)


def digest(value: str) -> Markup:
    """The first 12 hex digits in a fixed-width face, the whole digest as a tooltip."""
    return Markup('<code title="{}">{}</code>').format(value, value[:12])


def fold(summary: str, body: Markup) -> Markup:
    """A part that is closed until the reader opens it; needs no script."""
    return Markup("<details><summary>{}</summary>\n{}\n</details>").format(escape(summary), body)
