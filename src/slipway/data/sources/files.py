"""Documents of one file of a source.

Rules:
- A row whose text is null is skipped and counted. Empty and very long text is passed on: `validate` and
  `prepare` judge length, so that nothing is cut in silence.
- Ids are `<source>/<value of id_column>`, or `<source>/<file>#<row>`. An id, a group or a label is a string or a
  whole number of any size; a fraction is none.
- Without `group_column` every row stands alone; with it, rows with the same value stay together.
- Files of one source have the same columns, of the same types, as far as they are used.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from slipway.data.documents import Document, dumped, text_of
from slipway.data.sources import formats, parquet, shapes
from slipway.data.sources.checks import kind_of, short
from slipway.data.sources.held import Held
from slipway.data.sources.licences import normalised
from slipway.errors import UserError
from slipway.settings import FileSource, Limits


def licence(source: FileSource) -> str:
    """The recipe's licence of the source in SPDX spelling; raises UserError if it is no SPDX expression."""
    if expression := normalised(source.licence):
        return expression
    raise UserError(
        f"source {source.name}: licence `{source.licence}` is not an SPDX expression; "
        "see spdx.org/licenses for the ids, e.g. CC-BY-4.0"
    )


def is_unicode(text: str) -> bool:
    """False for text with lone surrogates, which no UTF-8 file can hold."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def check_schemas(source: FileSource, files: Sequence[Held], limits: Limits) -> None:
    """That all files of a source hold the columns that are needed, each with one type, by footer or first row.

    Raises:
        UserError: naming both files where they differ.
    """
    first: dict[str, str] = {}
    named = ""
    for held in files if source.kind != "text" else ():
        where, found = (held.path, parquet.columns_of(held)) if source.kind == "parquet" else _first_row(held, limits)
        if not found:
            continue
        if not named:
            named = held.path
        wanted = _columns(source, _shape(source, found), found)
        if missing := [column for column in wanted if column not in found]:
            elsewhere = f" ({named} has it)" if missing[0] in first else ""
            raise UserError(_missing(missing[0], list(found), where) + elsewhere)
        needed = {column: found[column] for column in wanted if found[column] != "null"}
        first = first or needed
        for column in sorted(needed.keys() | first.keys()):
            one, other = first.get(column, found.get(column)), needed.get(column, found.get(column))
            if one != other and "null" not in (one, other):
                raise UserError(
                    f"source {source.name}: {held.path} has {_as(column, other)}, {named} has {_as(column, one)}; the "
                    "files of a source must agree: convert one, or make two sources"
                )


def _as(column: str, type_: str | None) -> str:
    return f"`{column}` as {type_}" if type_ else f"no `{column}`"


def _first_row(held: Held, limits: Limits) -> tuple[str, dict[str, str]]:
    """Place of the first row, and column -> type; empty for a file without rows."""
    rows = formats.rows(held, "jsonl", None, limits)
    try:
        number, row = next(rows, (0, {}))
    finally:
        rows.close()
    return f"{held.path}:{number}", {column: kind_of(value) for column, value in row.items()}


def read(source: FileSource, held: Held, limits: Limits, skipped: Counter[str]) -> Iterator[tuple[Document, str]]:
    """Documents of one file with the place of each (`file:line`); rules in the module's docstring."""
    expression = licence(source)
    if source.kind == "text":
        for _, row in formats.rows(held, "text", None, limits):
            name = f"{source.name}/{held.path}"
            yield Document(f"{name}#1", row["text"], source.name, name, expression, None), held.path
        return
    shape, columns = None, None
    if source.kind == "parquet":
        found = parquet.columns_of(held)
        shape = _shape(source, found)
        columns = _columns(source, shape, found)
    for number, row in formats.rows(held, source.kind, columns, limits):
        where = f"{held.path}:{number}" if source.kind == "jsonl" else f"{held.path}, row {number}"
        shape = shape or _shape(source, row)
        content = _content(source, shape, row, where)
        if reason := content.left_out:
            skipped[f"{source.name}: {reason}"] += 1
            continue
        name = f"{source.name}/{held.path}#{number}"
        if source.id_column:
            name = f"{source.name}/{_key(row, source.id_column, where)}"
        group = f"{source.name}/{_key(row, source.group_column, where)}" if source.group_column else name
        label = _key(row, source.label_column, where) if source.label_column else None
        yield (
            Document(name, content.text, source.name, group, expression, None, label, content.shape, content.turns),
            where,
        )


class _Content(NamedTuple):
    """What a row says."""

    text: str = ""
    shape: str = "text"
    turns: str | None = None
    left_out: str | None = None
    """Why the row becomes no document."""


def _content(source: FileSource, shape: str, row: dict[str, Any], where: str) -> _Content:
    columns = shapes.columns(shape, row, source.text_column)
    for column in columns:
        if column not in row:
            raise UserError(_missing(column, list(row), where))
    if shape == "text":
        text = row[source.text_column]
        content = _Content(text)
        if text is None:
            return _Content(left_out=f"`{source.text_column}` is null")
        if not isinstance(text, str):
            raise UserError(f"{where}: `{source.text_column}` is {kind_of(text)}, not a string; it holds {short(text)}")
    else:
        shape, spoken = shapes.turns(shape, row, where)
        content = _Content(text_of(spoken), shape, dumped(spoken))
    if not is_unicode(content.text):
        return _Content(left_out=f"`{columns[-1]}` is not valid Unicode")
    return content


def _shape(source: FileSource, columns: Any) -> str:
    if source.shape != "auto":
        return source.shape
    return "text" if source.text_column != "text" else shapes.recognised(columns)


def _columns(source: FileSource, shape: str, present: Any) -> list[str]:
    keys = [column for column in (source.id_column, source.group_column, source.label_column) if column]
    return list(dict.fromkeys([*shapes.columns(shape, present, source.text_column), *keys]))


def _key(row: dict[str, Any], column: str, where: str) -> str:
    if column not in row:
        raise UserError(_missing(column, list(row), where))
    value = row[column]
    if isinstance(value, Decimal) and value == value.to_integral_value():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, str | int) or not is_unicode(str(value)):
        raise UserError(
            f"{where}: `{column}` is {kind_of(value)} ({short(value)}); ids, groups and labels are "
            "strings or whole numbers"
        )
    return str(value)


def _missing(column: str, columns: list[str], where: str) -> str:
    known = ", ".join(columns[:20]) or "none"
    return (
        f"{where}: no column `{column}`; columns here: {known}. "
        "Set shape, text_column, id_column, group_column or label_column to fit"
    )
