"""One calm look for every page Slipway writes: the release report, the data contract's verdict.

A page is one self-contained HTML file: no script, no network, a content security policy that forbids
both, light and dark by the reader's system, tables that scroll inside their own box on a phone or fold into
cards. Equal arguments give equal bytes. This is not a web framework: it knows sections, tables, verdicts and plots.

    >>> page = render("Report", "what was measured", [Section("Loss", table(["step", "loss"], [[1, 2.5]]))])
"""

import base64
import hashlib
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Literal

from jinja2 import Environment
from markupsafe import Markup, escape

from slipway.page.charts import bars, histogram, lines, reliability
from slipway.page.svg import number
from slipway.page.tables import Cell, grouped, table

__all__ = [
    "Cell",
    "Section",
    "Sign",
    "banner",
    "bars",
    "digest",
    "facts",
    "fold",
    "grouped",
    "heading",
    "histogram",
    "lines",
    "mark",
    "number",
    "pair",
    "paragraph",
    "preformatted",
    "prose",
    "reliability",
    "render",
    "table",
    "verdict",
    "visible",
]

Sign = Literal["good", "bad", "look", "done", "unknown", "void"]
"""What a label says besides its words: in order, not in order, a person must look, measured (which is no verdict),
not run, not applicable."""

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
_SIGNS: dict[Sign, str] = {"good": "✓", "bad": "✗", "look": "!", "done": "•", "unknown": "○", "void": "–"}


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


def mark(sign: Sign, text: str) -> Markup:
    """A coloured label with a sign of its own, so that colour is not all that tells."""
    return Markup('<span class="verdict {}"><span aria-hidden="true">{}</span> {}</span>').format(
        sign, _SIGNS[sign], text
    )


def verdict(ok: bool | None, text: str) -> Markup:
    """A coloured label: True green with ✓, False red with ✗, None grey with ○ (not run, not known)."""
    kinds: dict[bool | None, Sign] = {True: "good", False: "bad", None: "unknown"}
    return mark(kinds[ok], text)


def banner(sign: Sign, words: str, *lines: str | Markup) -> Markup:
    """The one thing that a page says, large, with lines that explain it."""
    told = Markup("").join(Markup("<p>{}</p>").format(line) for line in lines if line)
    return Markup('<div class="banner {}"><strong><span aria-hidden="true">{}</span> {}</strong>{}</div>').format(
        sign, _SIGNS[sign], words, told
    )


def heading(text: str) -> Markup:
    """A heading inside a section."""
    return Markup("<h3>{}</h3>").format(text)


def pair(*parts: Markup) -> Markup:
    """Parts side by side where there is room, one below the other where there is not."""
    return Markup('<div class="pair">{}</div>').format(
        Markup("").join(Markup("<div>{}</div>").format(part) for part in parts if part)
    )


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


def prose(text: str) -> Markup:
    """Text in which what stands between backticks is shown as code, as in a terminal's messages."""
    parts = text.split("`")
    if len(parts) % 2 == 0:
        return escape(text)
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if index % 2 else escape(part) for index, part in enumerate(parts)
    )


def preformatted(text: str) -> Markup:
    """Code or generated text, as it is; long lines wrap."""
    return Markup("<pre>{}</pre>").format(text)


def digest(value: str) -> Markup:
    """The first 12 hex digits in a fixed-width face, the whole digest as a tooltip."""
    return Markup('<code title="{}">{}</code>').format(value, value[:12])


def fold(summary: str, body: Markup) -> Markup:
    """A part that is closed until the reader opens it; needs no script."""
    return Markup("<details><summary>{}</summary>\n{}\n</details>").format(escape(summary), body)
