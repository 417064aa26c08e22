"""The contract as a list of lines: what is asked, of which figure, and within which bounds.

A line never decides anything. It names a column of a table (`facts`, `checks` or `shards`) and the bounds that
the judge holds the column's values against. A line with a `condition`, an SQL expression that is true for a good
row, has its column in `checks`: the share of rows for which it is not true, so null counts as broken.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from slipway.data.contract.own import Own
from slipway.data.documents import Document
from slipway.errors import UserError
from slipway.settings import Validate

DRIFT = "little drift in "
MOST = 56
"""Lines with a condition: a row's verdict is kept as the bits of one 64-bit number."""
_CONTROL = (*(code for code in range(1, 32) if code not in (9, 10, 12, 13)), 127)
_C1 = r"regexp_matches(text, '[\x{80}-\x{9f}]')"
_KNOWN = "('system', 'user', 'assistant', 'tool')"
_ROLES = {
    "chat": f"len(roles) > 0 AND len(list_filter(roles, lambda r: r NOT IN {_KNOWN})) = 0",
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


def _rows(name: str, column: str | None, condition: str | None, share: float, **more: Any) -> Line:
    """A line about rows, of which `share` may break it."""
    bound = f"for all but {percent(share)} of the documents" if share else "for every document"
    return Line(
        name=name, table="checks", figure=name, bound=bound, column=column, high=share, condition=condition, **more
    )


def _fact(name: str, figure: str, bound: str, column: str | None = None, **more: Any) -> Line:
    """A line about one figure."""
    return Line(name=name, table="facts", figure=figure, bound=bound, column=column, **more)


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
    bidi, private = r"[\x{202a}-\x{202e}\x{2066}-\x{2069}]", r"[\x{e000}-\x{f8ff}\x{f0000}-\x{10ffff}]"
    return [
        _rows("no NUL characters", "text", "coalesce(NOT contains(text, chr(0)), true)", allowed.nul),
        _rows(
            "no characters that turn the direction of text",
            "text",
            _beyond_ascii(f"regexp_matches(text, '{bidi}')"),
            allowed.bidi,
            remedy="remove U+202A to U+202E and U+2066 to U+2069, or raise validate.encoding.bidi for such scripts",
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
            remedy="read the source in the encoding that it was written in",
        ),
        _rows(
            "few private-use characters",
            "text",
            _beyond_ascii(f"regexp_matches(text, '{private}')"),
            allowed.private_use,
        ),
    ]


def _diversity(settings: Validate) -> list[Line]:
    classes = settings.classes
    return [
        _fact(
            "no source dominates",
            "share_of_largest_source",
            f"at most {percent(settings.max_largest_source)} of the characters each",
            "source",
            high=settings.max_largest_source,
            remedy="add text from elsewhere, or raise validate.max_largest_source",
        ),
        _fact(
            "the text is diverse",
            "type_token_ratio",
            f"at least {settings.min_type_token_ratio:g} different words per word, in runs of 1,000 words",
            "text",
            low=settings.min_type_token_ratio,
            remedy="look for templates and repeated text, or lower validate.min_type_token_ratio",
        ),
        _fact(
            "no class dominates",
            "share_of_largest_class",
            f"at most {percent(classes.largest)} of the labelled documents",
            "label",
            high=classes.largest,
            remedy="add documents of other classes, or raise validate.classes.largest",
        ),
        _fact(
            "no class is rare",
            "share_of_smallest_class",
            f"at least {percent(classes.smallest)} of the labelled documents",
            "label",
            low=classes.smallest,
            remedy="add documents of that class, or lower validate.classes.smallest",
        ),
    ]


def _drift(settings: Validate) -> list[Line]:
    return [
        _fact(
            f"{DRIFT}{about}",
            f"drift_{about}",
            f"a Jensen-Shannon distance of at most {high:g} to the baseline",
            high=high,
            remedy=f"compare both in reports/validate.html; if the change is meant, raise validate.drift.{about} or name "
            "a newer validate.baseline",
        )
        for about, high in settings.drift.model_dump().items()
    ]


def _own(found: Sequence[Own]) -> list[Line]:
    lines = []
    for own in found:
        more = {"own": own} | ({"remedy": own.remedy} if own.remedy else {})
        if own.rows is not None:
            lines.append(_rows(own.name, None, own.rows, own.at_most_share, **more))
            continue
        bounds = [f"at least {own.at_least:g}"] * (own.at_least is not None)
        bounds += [f"at most {own.at_most:g}"] * (own.at_most is not None)
        figure = f"own: {own.name}"
        lines.append(_fact(own.name, figure, " and ".join(bounds), low=own.at_least, high=own.at_most, **more))
    return lines


def _documents(settings: Validate) -> list[Line]:
    """Columns, ids, lengths and what belongs to each document."""
    low, high = settings.min_characters, settings.max_characters
    present = {"id": "an id", "text": "text", "source": "a source", "group": "a group"}
    return [
        Line(
            name="every shard has the columns of a document",
            table="shards",
            figure="columns",
            bound="names and types",
            allowed=(columns_in_words(),),
            remedy="run acquire again; its shards are not to be edited",
        ),
        _fact(
            "enough documents",
            "documents",
            f"at least {settings.min_documents:,}",
            low=settings.min_documents,
            remedy="add documents, or lower validate.min_documents",
        ),
        *(_rows(f"every document has {what}", name, f'"{name}" IS NOT NULL', 0) for name, what in present.items()),
        _rows("ids are unique", "id", None, 0, remedy="give every row its own id"),
        _rows(
            f"texts have {low:,} to {high:,} characters",
            "text",
            f"characters IS NULL OR characters BETWEEN {low} AND {high}",
            settings.max_outside_length,
            remedy="correct the source, or change validate.min_characters, max_characters or max_outside_length",
        ),
        _rows(
            "a signature is the first line of its text",
            "signature",
            "signature IS NULL OR coalesce(starts_with(text, signature || chr(10)), false)",
            0,
        ),
        _rows(
            "conversations are well-formed",
            "turns",
            _conversation(),
            0,
            marks="conversation",
            remedy="turns is a JSON list of [role, content]; text is the contents with an empty line between",
        ),
    ]


def suite(settings: Validate, own: Sequence[Own]) -> tuple[Line, ...]:
    """The whole contract: the recipe's lines and then the user's.

    Raises:
        UserError: for two lines with one name, or more lines about rows than a row's verdict can hold.
    """
    languages = ", ".join(settings.languages) or "the recipe's languages"
    lines = [
        *_documents(settings),
        *_encoding(settings),
        _rows(
            "sources state a licence",
            "licence",
            "licence IS NOT NULL",
            settings.max_without_licence,
            remedy="find out the licence and state it in acquire.sources, or raise validate.max_without_licence",
        ),
        _rows(
            f"documents are in {languages}",
            "text",
            None,
            settings.max_other_language,
            marks="language",
            remedy="leave the documents out, or add the language to validate.languages",
        ),
        _rows(
            "few exact copies",
            "text",
            None,
            settings.max_duplicate_share,
            remedy="remove the copies at their source (prepare removes them too), or raise validate.max_duplicate_share",
        ),
        *_diversity(settings),
        *_drift(settings),
        *_own(own),
    ]
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
