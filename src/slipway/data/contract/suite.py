"""The contract as a list of lines: the recipe's section `validate` and the files in `expectations/`, in one order."""

from collections.abc import Sequence
from typing import Any

from slipway.data.contract.line import Line, about_figure, about_rows, percent
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
    # One look instead of 28: JSON spells all but two as a backslash and u00; only such text is looked at closely.
    likely = r"contains(to_json(text)::VARCHAR, '\u00') OR contains(text, chr(8)) OR contains(text, chr(127))"
    bidi, private = r"[\x{202a}-\x{202e}\x{2066}-\x{2069}]", r"[\x{e000}-\x{f8ff}\x{f0000}-\x{10ffff}]"
    return [
        about_rows("no NUL characters", "text", "coalesce(NOT contains(text, chr(0)), true)", allowed.nul),
        about_rows(
            "no characters that turn the direction of text",
            "text",
            _beyond_ascii(f"regexp_matches(text, '{bidi}')"),
            allowed.bidi,
            remedy="remove U+202A to U+202E and U+2066 to U+2069, or raise validate.encoding.bidi for such scripts",
        ),
        about_rows(
            "few control characters",
            "text",
            f"CASE WHEN ({likely}) AND ({control}) THEN false ELSE {_beyond_ascii(_C1)} END",
            allowed.control,
        ),
        about_rows(
            "few replacement characters",
            "text",
            _beyond_ascii("contains(text, chr(65533))"),
            allowed.replacement,
            remedy="read the source in the encoding that it was written in",
        ),
        about_rows(
            "few private-use characters",
            "text",
            _beyond_ascii(f"regexp_matches(text, '{private}')"),
            allowed.private_use,
        ),
    ]


def _diversity(settings: Validate) -> list[Line]:
    classes = settings.classes
    return [
        about_figure(
            "no source dominates",
            "share_of_largest_source",
            f"at most {percent(settings.max_largest_source)} of the characters each",
            "source",
            high=settings.max_largest_source,
            remedy="add text from elsewhere, or raise validate.max_largest_source",
        ),
        about_figure(
            "the text is diverse",
            "type_token_ratio",
            f"at least {settings.min_type_token_ratio:g} different words per word, in runs of 1,000 words",
            "text",
            low=settings.min_type_token_ratio,
            remedy="look for templates and repeated text, or lower validate.min_type_token_ratio",
        ),
        about_figure(
            "no class dominates",
            "share_of_largest_class",
            f"at most {percent(classes.largest)} of the labelled documents",
            "label",
            high=classes.largest,
            remedy="add documents of other classes, or raise validate.classes.largest",
        ),
        about_figure(
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
        about_figure(
            f"{DRIFT}{about}",
            f"drift_{about}",
            f"a Jensen-Shannon distance of at most {high:g} to the baseline",
            high=high,
            remedy="compare both in reports/validate.html; if the change is meant, raise "
            f"validate.drift.{about} or name a newer validate.baseline",
        )
        for about, high in settings.drift.model_dump().items()
    ]


def _own(found: Sequence[Own]) -> list[Line]:
    lines = []
    for own in found:
        more: dict[str, Any] = {"own": own} | ({"remedy": own.remedy} if own.remedy else {})
        if own.rows is not None:
            lines.append(about_rows(own.name, None, own.rows, own.at_most_share, **more))
            continue
        stated = {"at least": own.at_least, "at most": own.at_most}
        bound = " and ".join(f"{word} {value:g}" for word, value in stated.items() if value is not None)
        figure = f"own: {own.name}"
        lines.append(about_figure(own.name, figure, bound, low=own.at_least, high=own.at_most, **more))
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
        about_figure(
            "enough documents",
            "documents",
            f"at least {settings.min_documents:,}",
            low=settings.min_documents,
            remedy="add documents, or lower validate.min_documents",
        ),
        *(about_rows(f"every document has {what}", name, f'"{name}" IS NOT NULL', 0) for name, what in present.items()),
        about_rows("ids are unique", "id", None, 0, remedy="give every row its own id"),
        about_rows(
            f"texts have {low:,} to {high:,} characters",
            "text",
            f"characters IS NULL OR characters BETWEEN {low} AND {high}",
            settings.max_outside_length,
            remedy="correct the source, or change validate.min_characters, max_characters or max_outside_length",
        ),
        about_rows(
            "a signature is the first line of its text",
            "signature",
            "signature IS NULL OR coalesce(starts_with(text, signature || chr(10)), false)",
            0,
        ),
        about_rows(
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
        about_rows(
            "sources state a licence",
            "licence",
            "licence IS NOT NULL",
            settings.max_without_licence,
            remedy="find out the licence and state it in acquire.sources, or raise validate.max_without_licence",
        ),
        about_rows(
            f"documents are in {languages}",
            "text",
            None,
            settings.max_other_language,
            marks="language",
            remedy="leave the documents out, or add the language to validate.languages",
        ),
        about_rows(
            "few exact copies",
            "text",
            None,
            settings.max_duplicate_share,
            remedy="remove the copies at their source, or raise validate.max_duplicate_share (prepare drops copies)",
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
