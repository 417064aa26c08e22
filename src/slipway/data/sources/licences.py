"""The licence that a package states, as an SPDX expression, with the evidence; never a guess.

Order: the `License-Expression` field (PEP 639); the `License` field if it is an SPDX expression; a
classifier. Some classifiers name a family only ("BSD License"); then the package's own licence text must
show which member it is, else the licence is unknown (None).
"""

import functools
import re
from dataclasses import dataclass
from typing import Any

from slipway.data.sources.packages import Package

# Classifiers that mean exactly one SPDX licence.
_EXACT = {
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "MIT No Attribution License (MIT-0)": "MIT-0",
    "Mozilla Public License 1.1 (MPL 1.1)": "MPL-1.1",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "The Unlicense (Unlicense)": "Unlicense",
    "zlib/libpng License": "Zlib",
}
# Classifiers that name a family; the phrases, all of them, that tell the member. First match wins.
_FAMILIES: dict[str, tuple[tuple[str, tuple[str, ...]], ...]] = {
    "Apache Software License": (("Apache-2.0", ("apache license", "version 2.0")),),
    "BSD License": (
        ("BSD-3-Clause", ("redistributions of source code", "redistributions in binary form", "neither the name")),
        ("BSD-2-Clause", ("redistributions of source code", "redistributions in binary form")),
    ),
    "Python Software Foundation License": (("PSF-2.0", ("python software foundation license version 2",)),),
}


@dataclass(frozen=True)
class Licence:
    """What a package says about its licence."""

    expression: str | None
    evidence: str


@functools.cache
def _spdx() -> Any:
    from license_expression import get_spdx_licensing

    return get_spdx_licensing()


def normalised(expression: str) -> str | None:
    """`expression` with SPDX's own spelling of ids, or None if it is not a valid SPDX expression."""
    try:
        info = _spdx().validate(expression)
    except IndexError:  # empty parentheses
        return None
    return str(_spdx().parse(expression)) if not info.errors and expression.strip() else None


def licence_of(package: Package) -> Licence:
    """The licence of `package` as its metadata and licence files state it."""
    stated = package.metadata.get("License-Expression")
    if stated:
        if expression := normalised(stated):
            return Licence(expression, f"License-Expression: {stated}")
        return Licence(None, f"License-Expression is not SPDX: {_short(stated)}")
    field = (package.metadata.get("License") or "").strip()
    if len(field) < 100 and (expression := normalised(field)):
        return Licence(expression, f"License: {field}")
    prefix = "License :: OSI Approved :: "
    classifiers = [c.removeprefix(prefix) for c in package.metadata.get_all("Classifier") or [] if c.startswith(prefix)]
    if len(classifiers) == 1:
        return _from_classifier(classifiers[0], field, package)
    if classifiers:
        return Licence(None, f"several licence classifiers: {', '.join(classifiers)}")
    return Licence(None, f"License: {_short(field)}" if field else "no licence in the metadata")


def _from_classifier(classifier: str, field: str, package: Package) -> Licence:
    if expression := _EXACT.get(classifier):
        return Licence(expression, f"classifier: {classifier}")
    texts = {"License field": field, **package.licence_files()}
    for expression, phrases in _FAMILIES.get(classifier, ()):
        for name, text in texts.items():
            if all(phrase in re.sub(r"[\s,]+", " ", text.lower()) for phrase in phrases):
                return Licence(expression, f"classifier: {classifier}; which one: the text of {name}")
    return Licence(None, f"classifier: {classifier}, which names no single SPDX licence, and no text that tells which")


def _short(text: str) -> str:
    first = text.strip().split("\n", 1)[0]
    return first if len(first) <= 80 else f"{first[:79]}…"
