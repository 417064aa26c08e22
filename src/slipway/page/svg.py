"""What plots are made of: numbers in words, round ticks, a scale, axes.

The drawing surface is narrow on purpose: it is scaled to a phone's width, and text must stay readable there.
"""

import math
from collections.abc import Sequence

from markupsafe import Markup

WIDTH, HEIGHT = 400, 250
LEFT, RIGHT, TOP, BOTTOM = 66, 14, 32, 44
AXIS, STRONG, PLAIN = Markup(' class="axis"'), Markup(' class="strong"'), Markup("")
CHARACTER = 7.2
"""Mean width of a character at the plots' font size; nothing measures text when a page is written."""


def number(value: float, digits: int = 4) -> str:
    """`value` with `digits` significant digits; whole numbers in full, in groups of three."""
    if isinstance(value, int):
        return f"{value:,}"
    if not math.isfinite(value):
        return str(value)
    if float(value).is_integer() and abs(value) < 1e15:
        return f"{int(value):,}"
    magnitude = math.floor(math.log10(abs(value)))
    if magnitude < -4:
        return f"{value:.{digits - 1}e}"
    return f"{value:,.{max(0, digits - 1 - magnitude)}f}"


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round numbers that cover [low, high] (Heckbert's nice numbers, Graphics Gems, 1990)."""
    span = (high - low) or abs(high) or 1.0
    raw = span / about
    base = 10.0 ** math.floor(math.log10(raw))
    step = min((m * base for m in (1, 2, 2.5, 5, 10)), key=lambda s: abs(s - raw))
    first, last = math.floor(low / step), math.ceil(high / step)
    return [round(i * step, 12) for i in range(first, max(last, first + 1) + 1)]


def short(value: float) -> str:
    """A tick's label."""
    for bound, suffix in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= bound:
            return f"{value / {'G': 1e9, 'M': 1e6, 'k': 1e3}[suffix]:.3g}{suffix}"
    return f"{value:g}"


def text(x: float, y: float, words: str, anchor: str = "middle", extra: Markup = PLAIN) -> Markup:
    """Words at a place."""
    return Markup('<text x="{}" y="{}" text-anchor="{}"{}>{}</text>').format(
        f"{x:.1f}", f"{y:.1f}", anchor, extra, words
    )


def vertical(kind: str, x: float, top: float, bottom: float) -> Markup:
    """An upright line of a class."""
    return Markup('<line class="{}" x1="{x}" x2="{x}" y1="{}" y2="{}"/>').format(
        kind, f"{top:g}", f"{bottom:g}", x=f"{x:.1f}"
    )


def figure(label: str, parts: Sequence[Markup], height: float = HEIGHT) -> Markup:
    """The whole plot; `label` is what a screen reader says of it."""
    return Markup('<figure><svg viewBox="0 0 {} {}" role="img" aria-label="{}">\n{}\n</svg></figure>').format(
        WIDTH, f"{height:g}", label, Markup("\n").join(parts)
    )


class Scale:
    """Maps [first tick, last tick] to pixels."""

    def __init__(self, ticks: Sequence[float], start: float, end: float) -> None:
        self.ticks, self.start, self.end = ticks, start, end

    def __call__(self, value: float) -> float:
        share = (value - self.ticks[0]) / (self.ticks[-1] - self.ticks[0])
        return self.start + share * (self.end - self.start)


def frame(x: Scale, y: Scale, xlabel: str, ylabel: str, height: float = HEIGHT) -> list[Markup]:
    """Horizontal grid, tick labels and the names of both axes."""
    parts = []
    for tick in y.ticks:
        parts.append(
            Markup('<line class="grid" x1="{}" x2="{}" y1="{y}" y2="{y}"/>').format(
                LEFT, WIDTH - RIGHT, y=f"{y(tick):.1f}"
            )
        )
        parts.append(text(LEFT - 6, y(tick) + 4, short(tick), "end"))
    for tick in x.ticks:
        half = CHARACTER * len(short(tick)) / 2
        parts.append(text(min(x(tick), WIDTH - half - 3), height - BOTTOM + 17, short(tick)))
    parts.append(text((LEFT + WIDTH - RIGHT) / 2, height - 6, xlabel, extra=AXIS))
    turned = Markup(' class="axis" transform="rotate(-90 13 {})"').format(f"{(y.start + y.end) / 2:.1f}")
    parts.append(text(13, (y.start + y.end) / 2, ylabel, extra=turned))
    return parts
