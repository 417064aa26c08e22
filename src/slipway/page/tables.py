"""Tables: one that scrolls or folds into cards, one in groups that is narrow enough for a phone."""

from collections.abc import Iterable, Sequence

from markupsafe import Markup, escape

from slipway.page.svg import number

Cell = str | int | float | None | Markup
_LONG = 22
"""Characters above which a cell of a card takes a line of its own."""
_RIGHT = Markup(' class="number"')


def _is_number(cell: Cell) -> bool:
    return isinstance(cell, int | float) and not isinstance(cell, bool)


def _cell(cell: Cell, name: str = "") -> Markup:
    """A table cell; `name` is what stands before it where the table folds into cards."""
    label = Markup(' data-name="{}"').format(name) if name else Markup("")
    if name and isinstance(cell, str) and len(escape(cell).striptags()) > _LONG:
        return Markup('<td class="long"{}>{}</td>').format(label, cell)
    if cell is None:
        return Markup('<td class="none"{}>–</td>').format(label)
    if isinstance(cell, bool):
        return Markup("<td{}>{}</td>").format(label, "yes" if cell else "no")
    if isinstance(cell, int | float):
        return Markup('<td class="number"{}>{}</td>').format(label, number(cell))
    return Markup("<td{}>{}</td>").format(label, cell)


def _head(headers: Sequence[str], rows: Sequence[Sequence[Cell]]) -> Markup:
    if wrong := [row for row in rows if len(row) != len(headers)]:
        raise ValueError(f"a row has {len(wrong[0])} cells under {len(headers)} headers: {wrong[0]!r}")
    numeric = [any(_is_number(row[i]) for row in rows) for i in range(len(headers))]
    return Markup("").join(
        Markup('<th scope="col"{}>{}</th>').format(_RIGHT if is_number else "", header)
        for header, is_number in zip(headers, numeric, strict=True)
    )


def table(headers: Sequence[str], rows: Iterable[Sequence[Cell]], *, cards: bool = False) -> Markup:
    """A table that scrolls sideways inside its box or, with `cards`, folds on a phone: one card a row.

    Numbers are grouped and right-aligned; None is a dash (say "not run" in words where that is meant).

    Raises:
        ValueError: if a row has another length than the headers.
    """
    rows = [list(row) for row in rows]
    head, names = _head(headers, rows), headers if cards else [""] * len(headers)
    body = Markup("\n").join(Markup("<tr>{}</tr>").format(Markup("").join(map(_cell, row, names))) for row in rows)
    if not rows:
        body = Markup('<tr><td class="none" colspan="{}">nothing to show</td></tr>').format(len(headers))
    kind = Markup(' class="{}"').format("cards" if cards else "few") if cards or len(headers) < 5 else Markup("")
    return Markup(
        '<div class="scroll" tabindex="0"><table{}>\n<thead><tr>{}</tr></thead>\n<tbody>\n{}\n</tbody>\n</table></div>'
    ).format(kind, head, body)


def grouped(headers: Sequence[str], groups: Iterable[tuple[Markup, Sequence[Sequence[Cell]], bool]]) -> Markup:
    """A narrow table in groups: (title, rows, whether to set it apart). Fits a phone with about four short columns.

    Raises:
        ValueError: if a row has another length than the headers.
    """
    groups = list(groups)
    head = _head(headers, [row for _, rows, _ in groups for row in rows])
    title = Markup('<tr class="title"><th colspan="{}" scope="rowgroup">{}</th></tr>')
    bodies = [
        Markup("<tbody{}>\n{}\n</tbody>").format(
            Markup(' class="apart"') if apart else "",
            Markup("\n").join(
                [
                    title.format(len(headers), words),
                    *(Markup("<tr>{}</tr>").format(Markup("").join(map(_cell, row))) for row in rows),
                ]
            ),
        )
        for words, rows, apart in groups
    ]
    return Markup(
        '<div class="scroll" tabindex="0"><table class="narrow">\n<thead><tr>{}</tr></thead>\n{}\n</table></div>'
    ).format(head, Markup("\n").join(bodies))
