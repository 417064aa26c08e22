"""The contract as a list of lines: what is asked, of which figure, and within which bounds.

A line never decides anything. It names a column of a table (`facts`, `checks` or `shards`) and the bounds that
the judge holds the column's values against. A line with a `condition`, an SQL expression that is true for a good
row, has its column in `checks`: the share of rows for which it is not true, so null counts as broken.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from slipway.data.contract.own import Own
from slipway.data.documents import Document
from slipway.errors import UserError
from slipway.settings import Validate

MOST = 56
"""Lines with a condition: a row's verdict is kept as the bits of one 64-bit number."""
_CONTROL = (*(code for code in range(1, 32) if code not in (9, 10, 12, 13)), 127)
_C1 = r"regexp_matches(text, '[\x{80}-\x{9f}]')"
_ROLES = {
    "chat": "len(roles) > 0 AND len(list_filter(roles, lambda r: r NOT IN ('system', 'user', 'assistant', 'tool'))) = 0",
    "completion": "roles = ['prompt', 'completion']",
    "preference": "len(roles) > 2 AND roles[-2:] = ['chosen', 'rejected']",
}


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


def _rows(
    name: str,
    column: str | None,
    condition: str | None,
    share: float,
    remedy: str = "",
    own: Own | None = None,
    marks: Literal["", "language", "conversation"] = "",
) -> Line:
    bound = f"for all but {percent(share)} of the documents" if share else "for every document"
    extra = {"remedy": remedy} if remedy else {}
    return Line(
        name=name, table="checks", figure=name, bound=bound, column=column, high=share, condition=condition, own=own,
        marks=marks, **extra,
    )  # fmt: skip


def _most(name: str, figure: str, high: float, bound: str, column: str | None = None, remedy: str = "") -> Line:
    extra = {"remedy": remedy} if remedy else {}
    return Line(name=name, table="facts", figure=figure, bound=bound, column=column, high=high, **extra)


def _least(name: str, figure: str, low: float, bound: str, column: str | None = None, remedy: str = "") -> Line:
    extra = {"remedy": remedy} if remedy else {}
    return Line(name=name, table="facts", figure=figure, bound=bound, column=column, low=low, **extra)


def columns_in_words() -> str:
    """Names and types that every shard must have, as the table `shards` holds them."""
    return ", ".join(f"{name} string" for name in Document._fields)


def _conversation() -> str:
    """SQL: the turns are a list of [role, content], the roles fit the shape, the text is the joined contents."""
    shapes = " ".join(f"WHEN '{shape}' THEN {roles}" for shape, roles in _ROLES.items())
    for found, path in (("roles", "$[*][0]"), ("contents", "$[*][1]")):
        shapes = shapes.replace(found, f"json_extract_string(turns, '{path}')")
    pairs = "len(list_filter(json_array_length(turns, '$[*]'), lambda n: n IS DISTINCT FROM 2)) = 0"
    strings = "len(list_filter(json_type(turns, '$[*][*]'), lambda t: t IS DISTINCT FROM 'VARCHAR')) = 0"
    joined = "array_to_string(json_extract_string(turns, '$[*][1]'), chr(10) || chr(10)) = text"
    return (
        "CASE WHEN turns IS NULL THEN shape = 'text' WHEN NOT json_valid(turns) THEN false "
        f"WHEN json_type(turns) <> 'ARRAY' THEN false WHEN NOT ({pairs} AND {strings}) THEN false "
        f"WHEN NOT coalesce(CASE shape {shapes} ELSE false END, false) THEN false ELSE {joined} END"
    )


def _beyond_ascii(found: str) -> str:
    """SQL: `found` is not true; pure ASCII is not looked at, and null is nothing found."""
    return f"CASE WHEN text IS NULL OR strlen(text) = characters THEN true ELSE NOT ({found}) END"


def _encoding(settings: Validate) -> list[Line]:
    allowed = settings.encoding
    control = " OR ".join(f"contains(text, chr({code}))" for code in _CONTROL)
    return [
        _rows("no NUL characters", "text", "coalesce(NOT contains(text, chr(0)), true)", allowed.nul),
        _rows(
            "no characters that turn the direction of text",
            "text",
            _beyond_ascii(r"regexp_matches(text, '[\x{202a}-\x{202e}\x{2066}-\x{2069}]')"),
            allowed.bidi,
            "remove U+202A to U+202E and U+2066 to U+2069, or raise validate.encoding.bidi for right-to-left text",
        ),
        _rows(
            "few control characters",
            "text",
            f"CASE WHEN {control} THEN false ELSE {_beyond_ascii(_C1)} END",
            allowed.control,
        ),
        _rows(
            "few replacement characters",
            "text",
            _beyond_ascii("contains(text, chr(65533))"),
            allowed.replacement,
            "read the source in the encoding that it was written in",
        ),
        _rows(
            "few private-use characters",
            "text",
            _beyond_ascii(r"regexp_matches(text, '[\x{e000}-\x{f8ff}\x{f0000}-\x{10ffff}]')"),
            allowed.private_use,
        ),
    ]


def _facts(settings: Validate) -> list[Line]:
    classes, drift = settings.classes, settings.drift
    lines = [
        _most(
            "no source dominates", "share_of_largest_source", settings.max_largest_source,
            f"at most {percent(settings.max_largest_source)} of the characters each", "source",
            "add text from elsewhere, or raise validate.max_largest_source",
        ),
        _least(
            "the text is diverse", "type_token_ratio", settings.min_type_token_ratio,
            f"at least {settings.min_type_token_ratio:g} different words per word, in runs of 1,000 words", "text",
            "look for templates and repeated text, or lower validate.min_type_token_ratio",
        ),
        _most(
            "no class dominates", "share_of_largest_class", classes.largest,
            f"at most {percent(classes.largest)} of the labelled documents", "label", "add documents of other classes",
        ),
        _least(
            "no class is rare", "share_of_smallest_class", classes.smallest,
            f"at least {percent(classes.smallest)} of the labelled documents", "label", "add documents of that class",
        ),
    ]  # fmt: skip
    for about, high in (("length", drift.length), ("source", drift.source), ("language", drift.language),
                        ("licence", drift.licence)):  # fmt: skip
        lines.append(
            _most(
                f"little drift in {about}", f"drift_{about}", high,
                f"a Jensen-Shannon distance of at most {high:g} to the baseline",
                remedy=f"look at the comparison in reports/validate.html; if the change is meant, raise "
                f"validate.drift.{about} or name a newer baseline",
            )  # fmt: skip
        )
    return lines


def _own(found: Sequence[Own]) -> list[Line]:
    lines = []
    for own in found:
        if own.rows is not None:
            lines.append(_rows(own.name, None, own.rows, own.at_most_share, own.remedy or "", own))
            continue
        bounds = [f"at least {own.at_least:g}"] * (own.at_least is not None)
        bounds += [f"at most {own.at_most:g}"] * (own.at_most is not None)
        extra = {"remedy": own.remedy} if own.remedy else {}
        lines.append(
            Line(
                name=own.name, table="facts", figure=f"own: {own.name}", bound=" and ".join(bounds),
                low=own.at_least, high=own.at_most, own=own, **extra,
            )  # fmt: skip
        )
    return lines


def suite(settings: Validate, own: Sequence[Own]) -> tuple[Line, ...]:
    """The whole contract: the recipe's lines and then the user's.

    Raises:
        UserError: for two lines with one name, or more lines about rows than a row's verdict can hold.
    """
    low, high = settings.min_characters, settings.max_characters
    length = f"characters IS NULL OR characters BETWEEN {low} AND {high}"
    other = ", ".join(settings.languages) or "any language"
    lines = [
        Line(
            name="every shard has the columns of a document", table="shards", figure="columns", bound="names and types",
            allowed=(columns_in_words(),), remedy="run acquire again; its shards are not to be edited",
        ),
        _least(
            "enough documents", "documents", settings.min_documents, f"at least {settings.min_documents:,}",
            remedy="add documents, or lower validate.min_documents",
        ),
        *(_rows(f"every document has {'an' if c == 'id' else 'a'} {c}" if c != "text" else "every document has text",
                c, f'"{c}" IS NOT NULL', 0) for c in ("id", "text", "source", "group")),
        _rows("ids are unique", "id", None, 0, "give every row its own id"),
        _rows(f"texts have {low:,} to {high:,} characters", "text", length, settings.max_outside_length),
        *_encoding(settings),
        _rows("a signature is the first line of its text", "signature",
              "signature IS NULL OR coalesce(starts_with(text, signature || chr(10)), false)", 0),
        _rows("conversations are well-formed", "turns", _conversation(), 0,
              "turns is a JSON list of [role, content]; text is the contents with an empty line between",
              marks="conversation"),
        _rows("sources state a licence", "licence", "licence IS NOT NULL", settings.max_without_licence,
              "find out the licence and state it in acquire.sources, or raise validate.max_without_licence"),
        _rows(f"documents are in {other}", "text", None, settings.max_other_language,
              "leave the documents out, or add the language to validate.languages", marks="language"),
        _rows("few exact copies", "text", None, settings.max_duplicate_share,
              "remove the copies at their source (prepare removes them too), or raise validate.max_duplicate_share"),
        *_facts(settings),
        *_own(own),
    ]  # fmt: skip
    return _checked(lines)


def _checked(lines: list[Line]) -> tuple[Line, ...]:
    names: set[str] = set()
    for line in lines:
        if line.name in names:
            where = f"{line.own.path}: " if line.own else ""
            raise UserError(f"{where}the contract has a line `{line.name}` already; give yours another name")
        names.add(line.name)
    if len(marking := [line for line in lines if line.marks_rows]) > MOST:
        raise UserError(
            f"the contract asks {len(marking)} things of every row, but can keep {MOST}; join some in expectations/"
        )
    return tuple(lines)
