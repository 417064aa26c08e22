"""Four plots as inline SVG: lines, bars with intervals, a histogram, a reliability diagram.

Hand-made rather than drawn by a plotting library, because the page's colours then follow light and dark,
text stays text, a plot costs a few kilobytes, and equal numbers give equal bytes on every machine. Every
mark has a `<title>`, so its number can be read by pointing at it and by a screen reader.
"""

import math
from collections.abc import Mapping, Sequence

from markupsafe import Markup

from slipway.page import svg
from slipway.page.svg import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Scale, number

Interval = tuple[float | None, float | None]
_ROW, _EDGE = 42, 4
_DOT = Markup('<circle class="{}" cx="{}" cy="{}" r="{}"><title>{}</title></circle>')


def _legend(names: Sequence[str]) -> list[Markup]:
    """A dash of each line's colour and its name, in rows above the plot."""
    parts, left, top = [], float(LEFT), 12
    for index, name in enumerate(names):
        width = 30 + svg.CHARACTER * len(name)
        if left > LEFT and left + width > WIDTH:
            left, top = float(LEFT), top + 16
        parts.append(
            Markup('<line class="line c{}" x1="{}" x2="{}" y1="{y}" y2="{y}"/>').format(
                index, f"{left:.1f}", f"{left + 16:.1f}", y=top - 4
            )
        )
        parts.append(svg.text(left + 21, top, name, "start"))
        left += width
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
    x = Scale(svg.ticks(min(xs), max(xs)), LEFT, WIDTH - RIGHT)
    y = Scale(svg.ticks(min(ys), max(ys)), HEIGHT - BOTTOM, TOP)
    missing = {name: len(series[name]) - len(line) for name, line in kept.items()}
    shown = [f"{name} ({count} not finite)" if count else name for name, count in missing.items()]
    parts = svg.frame(x, y, xlabel, ylabel) + _legend(shown)
    for index, (name, line) in enumerate(kept.items()):
        path = " ".join(f"{x(px):.1f},{y(py):.1f}" for px, py in line)
        parts.append(
            Markup('<polyline class="line c{}" points="{}"><title>{}</title></polyline>').format(
                index, path, shown[index]
            )
        )
        if len(line) <= 40:
            parts += [
                _DOT.format(f"dot c{index}", f"{x(px):.1f}", f"{y(py):.1f}", 3, f"{name}: {number(py)} at {number(px)}")
                for px, py in line
            ]
    return svg.figure(f"{ylabel} by {xlabel}: {', '.join(kept)}", parts)


def _whole(interval: Interval) -> tuple[float, float] | None:
    low, high = interval
    return None if low is None or high is None else (low, high)


def _bar(x: Scale, top: float, label: str, value: float, interval: Interval, *, strong: bool) -> list[Markup]:
    """One row that begins at `top`: name and number above, bar with interval below."""
    kind, span = ("c0", svg.STRONG) if strong else ("quiet", svg.PLAIN), _whole(interval)
    told = f"{number(value)}  [{number(span[0])}, {number(span[1])}]" if span else number(value)
    room = int((WIDTH - 2 * _EDGE) / svg.CHARACTER - len(told) - 2)
    cut = label if len(label) <= room else label[: room - 1] + "…"
    between = f", 95 % interval {number(span[0])} to {number(span[1])}" if span else ""
    parts = [
        svg.text(_EDGE, top + 13, cut, "start", kind[1]),
        svg.text(WIDTH - _EDGE, top + 13, told, "end", kind[1]),
        Markup(
            '<rect class="bar {}" x="{}" y="{}" width="{}" height="11" rx="2"><title>{}: {}{}</title></rect>'
        ).format(kind[0], _EDGE, f"{top + 20:g}", f"{max(0.0, x(value) - _EDGE):.1f}", label, number(value), between),
    ]
    if span:
        path = Markup('<path class="whisker" d="M{a} {y}H{b}M{a} {t}V{u}M{b} {t}V{u}"/>')
        y = top + 25.5
        parts.append(
            path.format(a=f"{x(span[0]):.1f}", b=f"{x(span[1]):.1f}", y=f"{y:g}", t=f"{y - 4.5:g}", u=f"{y + 4.5:g}")
        )
    return parts


def bars(
    labels: Sequence[str],
    values: Sequence[float],
    intervals: Sequence[Interval | None] | None = None,
    *,
    unit: str = "",
    emphasis: Sequence[str] = (),
    reference: tuple[str, float] | None = None,
) -> Markup:
    """Horizontal bars from 0, each with its name, its number with its interval if it has one, and a dashed reference.

    Args:
        labels: names, top to bottom; long ones are cut and kept whole in the tooltip.
        values: finite, ≥ 0.
        intervals: (low, high) per bar; None where there is none.
        unit: what the numbers are, named below the plot.
        emphasis: labels drawn in the strong colour (the model among its baselines).
        reference: name and value of a vertical line (chance, a bound).
    """
    given: list[Interval] = [one or (None, None) for one in (intervals or [None] * len(labels))]
    highs = [high for _, high in given if high is not None]
    above = 20 * bool(reference)
    x = Scale(svg.ticks(0, max([*values, *highs, reference[1] if reference else 0, 1e-9])), _EDGE, WIDTH - 3 * _EDGE)
    bottom = above + _ROW * len(labels)
    parts = []
    for tick in x.ticks:
        parts.append(svg.vertical("grid", x(tick), above, bottom))
        anchor = "start" if tick == x.ticks[0] else "end" if tick == x.ticks[-1] else "middle"
        parts.append(svg.text(x(tick), bottom + 16, svg.short(tick), anchor))
    if reference:
        parts.append(svg.vertical("reference", x(reference[1]), above - 4, bottom))
        words = f"{reference[0]} {reference[1]:.4g}"
        half = svg.CHARACTER * len(words) / 2
        place = min(max(x(reference[1]), half), WIDTH - half)
        parts.append(svg.text(place, above - 8, words, extra=svg.AXIS))
    for index, (label, value, interval) in enumerate(zip(labels, values, given, strict=True)):
        parts += _bar(x, above + _ROW * index, label, value, interval, strong=label in emphasis)
    parts.append(svg.text(WIDTH / 2, bottom + 35, unit, extra=svg.AXIS))
    return svg.figure(f"{unit or 'values'} of {', '.join(labels)}", parts, bottom + 42)


def histogram(edges_counts: Sequence[tuple[float, int]], xlabel: str, ylabel: str = "documents") -> Markup:
    """Columns of equal width, one per bin, labelled with the bin's lower edge.

    Equal widths on purpose: bins of lengths usually grow geometrically, and the labels say where they start.

    Raises:
        ValueError: if there is no bin.
    """
    if not edges_counts:
        raise ValueError("no bin to draw")
    count = len(edges_counts)
    y = Scale(svg.ticks(0, max(1, *(c for _, c in edges_counts), 1)), HEIGHT - BOTTOM, TOP)
    width = (WIDTH - LEFT - RIGHT) / count
    every = math.ceil(count / 8)
    parts = svg.frame(Scale([], LEFT, WIDTH - RIGHT), y, xlabel, ylabel)
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
            parts.append(svg.text(left, HEIGHT - BOTTOM + 17, svg.short(edge)))
    return svg.figure(f"{ylabel} by {xlabel}", parts)


def reliability(bins: Sequence[tuple[float, float, int]]) -> Markup:
    """Confidence (mean probability of the picked answer) against accuracy, a dot per bin; its area grows with n.

    A model that is as often right as it is sure lies on the dashed diagonal; below it, it is too sure.

    Args:
        bins: (confidence, accuracy, n), both shares from 0 to 1.

    Raises:
        ValueError: if there is no bin.
    """
    if not bins:
        raise ValueError("no bin to draw")
    height, most = HEIGHT + 50, max(n for _, _, n in bins)
    steps = [0.0, 0.25, 0.5, 0.75, 1.0]
    x, y = Scale(steps, LEFT, WIDTH - RIGHT), Scale(steps, height - BOTTOM, 14)
    parts = svg.frame(x, y, "confidence", "share right", height)
    parts.append(
        Markup('<line class="diagonal" x1="{}" y1="{}" x2="{}" y2="{}"><title>as often right as sure</title></line>')
        .format(f"{x(0):.1f}", f"{y(0):.1f}", f"{x(1):.1f}", f"{y(1):.1f}")
    )  # fmt: skip
    ordered = sorted(bins)
    path = " ".join(f"{x(sure):.1f},{y(right):.1f}" for sure, right, _ in ordered)
    parts.append(Markup('<polyline class="line c0" points="{}"/>').format(path))
    for sure, right, n in ordered:
        told = f"confidence {number(sure)}, right {number(right)}, n = {n:,}"
        radius = f"{3 + 8 * math.sqrt(n / most):.1f}"
        parts.append(_DOT.format("dot c0 bin", f"{x(sure):.1f}", f"{y(right):.1f}", radius, told))
    return svg.figure("share of right answers by confidence", parts, height)
