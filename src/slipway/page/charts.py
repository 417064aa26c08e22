"""Three plots as inline SVG: lines, bars with intervals, a histogram.

Hand-made rather than drawn by a plotting library, because the page's colours then follow light and dark,
text stays text, a plot costs a few kilobytes, and equal numbers give equal bytes on every machine. Every
mark has a `<title>`, so its number can be read by pointing at it and by a screen reader.
"""

import math
from collections.abc import Mapping, Sequence

from markupsafe import Markup

WIDTH, HEIGHT = 480, 270
LEFT, RIGHT, TOP, BOTTOM = 70, 26, 16, 44
_BARS, _ROW = 160, 34
_AXIS, _STRONG, _PLAIN = Markup(' class="axis"'), Markup(' class="strong"'), Markup("")


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


def _ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round numbers that cover [low, high] (Heckbert's nice numbers, Graphics Gems, 1990)."""
    span = (high - low) or abs(high) or 1.0
    raw = span / about
    base = 10.0 ** math.floor(math.log10(raw))
    step = min((m * base for m in (1, 2, 2.5, 5, 10)), key=lambda s: abs(s - raw))
    first, last = math.floor(low / step), math.ceil(high / step)
    return [round(i * step, 12) for i in range(first, max(last, first + 1) + 1)]


def _label(value: float) -> str:
    for bound, suffix in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= bound:
            return f"{value / {'G': 1e9, 'M': 1e6, 'k': 1e3}[suffix]:.3g}{suffix}"
    return f"{value:g}"


def _text(x: float, y: float, text: str, anchor: str = "middle", extra: Markup = _PLAIN) -> Markup:
    return Markup('<text x="{}" y="{}" text-anchor="{}"{}>{}</text>').format(
        f"{x:.1f}", f"{y:.1f}", anchor, extra, text
    )


def _svg(label: str, parts: Sequence[Markup], height: float = HEIGHT) -> Markup:
    return Markup('<figure><svg viewBox="0 0 {} {}" role="img" aria-label="{}">\n{}\n</svg></figure>').format(
        WIDTH, f"{height:g}", label, Markup("\n").join(parts)
    )


class _Scale:
    """Maps [first tick, last tick] to pixels."""

    def __init__(self, ticks: Sequence[float], start: float, end: float) -> None:
        self.ticks, self.start, self.end = ticks, start, end

    def __call__(self, value: float) -> float:
        share = (value - self.ticks[0]) / (self.ticks[-1] - self.ticks[0])
        return self.start + share * (self.end - self.start)


def _frame(x: _Scale, y: _Scale, xlabel: str, ylabel: str) -> list[Markup]:
    """Horizontal grid, tick labels and the names of both axes."""
    parts = []
    for tick in y.ticks:
        parts.append(
            Markup('<line class="grid" x1="{}" x2="{}" y1="{y}" y2="{y}"/>').format(
                LEFT, WIDTH - RIGHT, y=f"{y(tick):.1f}"
            )
        )
        parts.append(_text(LEFT - 7, y(tick) + 4, _label(tick), "end"))
    parts += [_text(x(tick), HEIGHT - BOTTOM + 17, _label(tick)) for tick in x.ticks]
    parts.append(_text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 6, xlabel, extra=_AXIS))
    middle = (TOP + HEIGHT - BOTTOM) / 2
    turned = Markup(' class="axis" transform="rotate(-90 13 {})"').format(f"{middle:.1f}")
    parts.append(_text(13, middle, ylabel, extra=turned))
    return parts


def lines(series: Mapping[str, Sequence[tuple[float, float]]], xlabel: str, ylabel: str) -> Markup:
    """One line per name over (x, y) points, at most six names.

    Points that are not finite are left out and counted in the legend.

    Raises:
        ValueError: if there is no finite point at all.
    """
    kept = {
        name: [(x, y) for x, y in points if math.isfinite(x) and math.isfinite(y)] for name, points in series.items()
    }
    points = [point for line in kept.values() for point in line]
    if not points:
        raise ValueError("no finite point to draw")
    xs, ys = [p[0] for p in points], [p[1] for p in points]
    x = _Scale(_ticks(min(xs), max(xs)), LEFT, WIDTH - RIGHT)
    y = _Scale(_ticks(min(ys), max(ys)), HEIGHT - BOTTOM, TOP)
    parts = _frame(x, y, xlabel, ylabel)
    for index, (name, line) in enumerate(kept.items()):
        path = " ".join(f"{x(px):.1f},{y(py):.1f}" for px, py in line)
        missing = len(series[name]) - len(line)
        shown = f"{name} ({missing} not finite)" if missing else name
        parts.append(
            Markup('<polyline class="line c{}" points="{}"><title>{}</title></polyline>').format(index, path, shown)
        )
        if len(line) <= 40:
            parts += [
                Markup('<circle class="dot c{}" cx="{}" cy="{}" r="3"><title>{}: {} at {}</title></circle>').format(
                    index, f"{x(px):.1f}", f"{y(py):.1f}", name, number(py), number(px)
                )
                for px, py in line
            ]
        top = TOP + 8 + 18 * index
        parts.append(
            Markup('<line class="line c{}" x1="{}" x2="{}" y1="{y}" y2="{y}"/>').format(index, 330, 350, y=top)
        )
        parts.append(_text(357, top + 4, shown, "start"))
    return _svg(f"{ylabel} by {xlabel}: {', '.join(kept)}", parts)


def _vertical(kind: str, x: float, top: float, bottom: float) -> Markup:
    return Markup('<line class="{}" x1="{x}" x2="{x}" y1="{}" y2="{}"/>').format(kind, top, bottom, x=f"{x:.1f}")


def _bar(
    x: _Scale, top: int, label: str, value: float, whisker: tuple[float | None, float | None], *, strong: bool
) -> list[Markup]:
    """Name, bar, interval and number of one row that begins at `top`."""
    low, high = whisker
    short = label if len(label) <= 21 else label[:20] + "…"
    shape = '<rect class="bar {}" x="{}" y="{}" width="{}" height="18" rx="3"><title>{}: {}{}</title></rect>'
    kind, width = "c0" if strong else "quiet", f"{x(value) - _BARS:.1f}"
    parts = [_text(_BARS - 8, top + 20, short, "end", _STRONG if strong else _PLAIN)]
    if low is None or high is None:
        end, span = value, ""
        marks = []
    else:
        end, span = max(high, value), f", 95 % interval {number(low)} to {number(high)}"
        path = Markup('<path class="whisker" d="M{a} {y}H{b}M{a} {t}V{u}M{b} {t}V{u}"/>')
        marks = [path.format(a=f"{x(low):.1f}", b=f"{x(high):.1f}", y=top + 16, t=top + 11, u=top + 21)]
    parts.append(Markup(shape).format(kind, _BARS, top + 7, width, label, number(value), span))  # noqa: S704  constant
    return [*parts, *marks, _text(x(end) + 7, top + 20, number(value), "start")]


def bars(
    labels: Sequence[str],
    values: Sequence[float],
    intervals: Sequence[tuple[float | None, float | None] | None] | None = None,
    *,
    unit: str = "",
    emphasis: Sequence[str] = (),
    reference: tuple[str, float] | None = None,
) -> Markup:
    """Horizontal bars from 0, each with its number, its interval if it has one, and a dashed reference line.

    Args:
        labels: names, top to bottom; long ones are cut and kept whole in the tooltip.
        values: finite, ≥ 0.
        intervals: (low, high) per bar; None where there is none.
        unit: what the numbers are, named below the plot.
        emphasis: labels drawn in the strong colour (the model among its baselines).
        reference: name and value of a vertical line (chance, a bound).
    """
    whiskers = [w or (None, None) for w in (intervals or [None] * len(labels))]
    highs = [high for _, high in whiskers if high is not None]
    above = TOP + 12 * bool(reference)
    x = _Scale(_ticks(0, max([*values, *highs, reference[1] if reference else 0, 1e-9])), _BARS, WIDTH - 64)
    bottom = above + _ROW * len(labels)
    parts = []
    for tick in x.ticks:
        parts.append(_vertical("grid", x(tick), above, bottom))
        parts.append(_text(x(tick), bottom + 16, _label(tick)))
    for index, (label, value, whisker) in enumerate(zip(labels, values, whiskers, strict=True)):
        parts += _bar(x, above + _ROW * index, label, value, whisker, strong=label in emphasis)
    if reference:
        parts.append(_vertical("reference", x(reference[1]), above - 4, bottom))
        parts.append(_text(x(reference[1]), above - 8, f"{reference[0]} {reference[1]:.4g}", extra=_AXIS))
    parts.append(_text((_BARS + WIDTH - 64) / 2, bottom + 36, unit, extra=_AXIS))
    return _svg(f"{unit or 'values'} of {', '.join(labels)}", parts, bottom + 42)


def histogram(edges_counts: Sequence[tuple[float, int]], xlabel: str, ylabel: str = "documents") -> Markup:
    """Columns of equal width, one per bin, labelled with the bin's lower edge.

    Equal widths on purpose: bins of lengths usually grow geometrically, and the labels say where they start.

    Raises:
        ValueError: if there is no bin.
    """
    if not edges_counts:
        raise ValueError("no bin to draw")
    count = len(edges_counts)
    y = _Scale(_ticks(0, max(1, *(c for _, c in edges_counts), 1)), HEIGHT - BOTTOM, TOP)
    width = (WIDTH - LEFT - RIGHT) / count
    every = math.ceil(count / 9)
    parts = _frame(_Scale([0, 1], LEFT, WIDTH - RIGHT), y, xlabel, ylabel)
    parts = [part for part in parts if f'y="{HEIGHT - BOTTOM + 17:.1f}"' not in part]
    for index, (edge, amount) in enumerate(edges_counts):
        left = LEFT + width * index
        until = f" to {number(edges_counts[index + 1][0])}" if index + 1 < count else " and more"
        parts.append(
            Markup('<rect class="bar c0" x="{}" y="{}" width="{}" height="{}"><title>{}{}: {}</title></rect>').format(
                f"{left + 1:.1f}", f"{y(amount):.1f}", f"{max(width - 2, 1):.1f}", f"{y(0) - y(amount):.1f}",
                number(edge), until, number(amount),
            )
        )  # fmt: skip
        if index % every == 0:
            parts.append(_text(left, HEIGHT - BOTTOM + 17, _label(edge)))
    return _svg(f"{ylabel} by {xlabel}", parts)
