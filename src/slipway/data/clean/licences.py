"""Licences: which may enter the training data, what those that did ask for, and whether a release may keep to it.

An SPDX expression is met if its terms can be: `A AND B` needs both, `A OR B` needs one. The allow-list takes an id
`WITH` an exception only as exactly that pair, and no licence at all never passes. An id of one's own (`LicenseRef-…`)
passes if the recipe names it, and who names it answers for its terms.

What a licence asks is read from its category in the index of license-expression (ScanCode LicenseDB) and, for Creative
Commons, Open Data Commons and the like, from the parts of its id. This is a table and no legal advice: whether weights
are an adaptation of their training data is not settled, so they are taken for one. Where the table does not know, it
refuses; what it takes for compatible beyond the same licence is listed below with its source.
"""

import functools
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from slipway.errors import Refusal, UserError
from slipway.records.data import Obligation

NO_COMMERCE, NO_DERIVATIVES, SHARE_ALIKE = "no commercial use", "no derivatives", "share alike"
ATTRIBUTION, NOTICE, CHANGES, SOURCE = "attribution", "notice", "state changes", "source disclosure"
PERSON = "terms of its own, for a person to read"
UNKNOWN, NAMED = "Unknown", "Named by the recipe"

_NOTHING = frozenset({"0BSD", "MIT-0", "PDDL-1.0", "BSD-Source-beginning-file", "FSFULLR", "blessing"})
"""Classed as permissive, and yet without conditions."""
_GPL2, _GPL3 = ("GPL-2.0-only", "GPL-2.0-or-later"), ("GPL-3.0-only", "GPL-3.0-or-later")
_COMPATIBLE: dict[str, tuple[str, ...]] = {
    # creativecommons.org/compatiblelicenses (of the GPL it names version 3, no later one); a later version by section
    # 4b of versions 2.0, 2.5 and 3.0.
    "CC-BY-SA-4.0": ("GPL-3.0-only", "LAL-1.3"),
    "CC-BY-SA-3.0": ("CC-BY-SA-4.0", "LAL-1.3"),
    "CC-BY-SA-2.5": ("CC-BY-SA-3.0", "CC-BY-SA-4.0"),
    "CC-BY-SA-2.0": ("CC-BY-SA-2.5", "CC-BY-SA-3.0", "CC-BY-SA-4.0"),
    "CC-BY-NC-SA-3.0": ("CC-BY-NC-SA-4.0",),
    # gnu.org/licenses/gpl-faq.html#AllCompatibility, for conveying under the other licence.
    "GPL-2.0-or-later": ("GPL-2.0-only", *_GPL3),
    "GPL-3.0-or-later": ("GPL-3.0-only",),
    "LGPL-2.1-only": (*_GPL2, *_GPL3),
    "LGPL-2.1-or-later": ("LGPL-2.1-only", "LGPL-3.0-only", "LGPL-3.0-or-later", *_GPL2, *_GPL3),
    "LGPL-3.0-only": _GPL3,
    "LGPL-3.0-or-later": ("LGPL-3.0-only", *_GPL3),
    "AGPL-3.0-or-later": ("AGPL-3.0-only",),
    # MPL-2.0, sections 1.12 and 3.3.
    "MPL-2.0": (*_GPL2, *_GPL3, "LGPL-2.1-or-later", "LGPL-3.0-or-later", "AGPL-3.0-or-later"),
}


class Terms(NamedTuple):
    """What one licence asks."""

    licence: str
    """SPDX id, with its exception if it has one."""
    category: str
    asks: tuple[str, ...]


class AllowList:
    """The licences of the recipe.

    Raises:
        UserError: naming an entry that is not one SPDX id (or id WITH exception).
    """

    def __init__(self, allowed: Iterable[str]) -> None:
        self._ids = frozenset(_single(entry) for entry in allowed)

    def passes(self, expression: str | None) -> bool:
        """Whether the terms of `expression` can be met with allowed ids alone."""
        return expression is not None and _choice(_parsed(expression), self.__contains__) is not None

    def __contains__(self, licence: str) -> bool:
        return licence in self._ids


@functools.cache
def _spdx() -> Any:
    from license_expression import get_spdx_licensing

    return get_spdx_licensing()


def _parsed(expression: str) -> Any:
    """The expression as a tree; None if it is none, or ends too early."""
    from boolean.boolean import ParseError
    from license_expression import ExpressionError

    try:
        return _spdx().parse(expression, strict=True)
    except (ExpressionError, ParseError, IndexError):  # the last of empty parentheses
        return None


@functools.cache
def _categories() -> dict[str, str]:
    """SPDX id, older spellings included, to category."""
    from license_expression import get_license_index

    return {
        name: entry["category"]
        for entry in get_license_index()
        for name in (entry.get("spdx_license_key"), *entry.get("other_spdx_license_keys", ()))
        if name and not entry["is_exception"]
    }


def _single(entry: str) -> str:
    node = _parsed(entry)
    if node is None or getattr(node, "operator", None) or terms(node.render()).category == UNKNOWN:
        raise UserError(
            f"prepare.licences: `{entry}` is not one SPDX id; see spdx.org/licenses, e.g. BSD-3-Clause, "
            "and list the parts of an expression one by one; an id of your own begins with LicenseRef-"
        )
    return node.render()


def ids(expression: str) -> list[str]:
    """The SPDX ids that occur in `expression`, each once, in its order; `A WITH B` counts as one."""
    node = _parsed(expression)
    return [] if node is None else list(dict.fromkeys(symbol.render() for symbol in node.get_symbols()))


@functools.cache
def terms(licence: str) -> Terms:
    """What one SPDX id, with or without an exception, asks of whoever passes on an adaptation.

    An exception only adds permissions, and is left out of account.
    """
    plain = licence.partition(" WITH ")[0]
    category = _categories().get(plain, NAMED if plain.startswith("LicenseRef-") else UNKNOWN)
    if parts := re.fullmatch(r"CC-BY(-NC)?(-ND)?(-SA)?-\d\.\d(?:-[A-Z]+)?", plain):
        limits = zip(parts.groups(), (NO_COMMERCE, NO_DERIVATIVES, SHARE_ALIKE), strict=True)
        return Terms(licence, category, (ATTRIBUTION, NOTICE, CHANGES, *(ask for part, ask in limits if part)))
    if re.search(r"(?i)-NC-|noncommercial", plain):
        return Terms(licence, category, (ATTRIBUTION, NOTICE, NO_COMMERCE))
    if category == "Public Domain" or plain in _NOTHING:
        return Terms(licence, category, ())
    if category == "Permissive":
        return Terms(licence, category, (ATTRIBUTION, NOTICE, *((CHANGES,) if plain == "Apache-2.0" else ())))
    if category in {"Copyleft", "Copyleft Limited"}:
        data = re.match(r"ODbL|CDLA|GFDL|CC-|LAL|OFL", plain)
        return Terms(licence, category, (ATTRIBUTION, NOTICE, CHANGES, SHARE_ALIKE, *(() if data else (SOURCE,))))
    return Terms(licence, category, (PERSON,))


def obligations(
    kept: Mapping[tuple[str, str], int], release: str, allow: AllowList | None = None
) -> tuple[Obligation, ...]:
    """What the licences of the kept documents ask, where there is a choice (`OR`) by the alternative that asks least.

    Args:
        kept: documents by source and SPDX expression.
        release: SPDX expression of the release.
        allow: if given, alternatives that it does not name are not chosen.

    Raises:
        Refusal: if the release does not keep to what a source asks, naming the sources and what to do.
        UserError: if `release` is not an SPDX expression.
    """
    fits = _fits(release)
    usable = functools.partial(_usable, allow, fits)
    sources: dict[str, set[str]] = {}
    documents: dict[str, int] = {}
    refused = []
    for (source, expression), count in sorted(kept.items()):
        chosen = _choice(_parsed(expression), usable)
        if chosen is None:
            reasons = {f"{one}: {reason}" for one in ids(expression) if (reason := fits(one))}
            refused.append(f"{source} ({count} documents under {expression}; {'; '.join(sorted(reasons))})")
        for one in dict.fromkeys(chosen or ()):
            sources.setdefault(one, set()).add(source)
            documents[one] = documents.get(one, 0) + count
    if refused:
        more = f" and {len(refused) - 10} more" if len(refused) > 10 else ""
        raise Refusal(
            f"bundle.licence is {release}, which the licences of the training data do not permit: "
            f"{', '.join(refused[:10])}{more}. Leave these sources out (`sources`, or their licence in "
            "`prepare.licences`), or release under a licence that keeps to their terms (`bundle.licence`)"
        )
    return tuple(
        Obligation(
            licence=one,
            category=terms(one).category,
            asks=terms(one).asks,
            sources=tuple(sorted(sources[one])),
            documents=documents[one],
        )
        for one in sorted(sources)
    )


def _usable(allow: AllowList | None, fits: Callable[[str], str | None], licence: str) -> bool:
    return (allow is None or licence in allow) and fits(licence) is None


def _choice(node: Any, takes: Callable[[str], bool]) -> list[str] | None:
    """The ids that meet an expression and ask least, among those that `takes` accepts; None if none do."""
    if node is None:
        return None
    operator = getattr(node, "operator", "").strip().upper()
    if not operator:
        return [node.render()] if takes(node.render()) else None
    parts = [_choice(part, takes) for part in node.args]
    if operator == "AND":
        return None if None in parts else [one for part in parts if part for one in part]
    able = [part for part in parts if part is not None]
    return min(able, key=lambda part: len({ask for one in part for ask in terms(one).asks}), default=None)


def _fits(release: str) -> Callable[[str], str | None]:
    """A function that tells why a release under `release` does not keep to what a licence asks; None if it does."""
    node = _parsed(release)
    if node is None or (unknown := [one for one in ids(release) if terms(one).category == UNKNOWN]):
        what = "" if node is None else f": no licence {', '.join(unknown)} is known"
        raise UserError(f"bundle.licence: `{release}` is not an SPDX expression{what}; see spdx.org/licenses")

    @functools.cache
    def reason(licence: str) -> str | None:
        category, asks = terms(licence)[1:]
        plain = licence.partition(" WITH ")[0]
        # Whoever passes on an adaptation may leave the permissions of an exception out.
        same = {licence, plain, *_COMPATIBLE.get(plain, ())}
        if NO_DERIVATIVES in asks:
            return "no derivatives may be shared"
        if NO_COMMERCE in asks and not _covered(node, lambda one: NO_COMMERCE in terms(one).asks):
            return "no commercial use, which this release permits"
        if category == "Copyleft" and not all(one in same for one in ids(release)):
            return "share alike, the whole under the same licence"
        if SHARE_ALIKE in asks and not _covered(node, same.__contains__):
            return "share alike, under the same or a compatible licence"
        if PERSON in asks and category != NAMED and not _covered(node, same.__contains__):
            return f"category {category}, of which only a person can tell"
        return None

    return reason


def _covered(node: Any, has: Callable[[str], bool]) -> bool:
    """Whether whoever takes the release is bound by an id that `has` accepts, whichever alternative they take."""
    operator = getattr(node, "operator", "").strip().upper()
    if not operator:
        return has(node.render())
    parts = [_covered(part, has) for part in node.args]
    return any(parts) if operator == "AND" else all(parts)
