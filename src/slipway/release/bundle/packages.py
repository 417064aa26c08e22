"""The Python packages behind a release: the closure of Slipway's own requirements, as installed."""

import re
from dataclasses import dataclass
from functools import cache
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from license_expression import ExpressionError
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from slipway.errors import UserError
from slipway.release.bundle.licence import licensing

_CLASSIFIER = "License :: OSI Approved :: "


@dataclass(frozen=True)
class Package:
    """An installed distribution."""

    name: str
    version: str
    licence: str | None
    """SPDX expression where the package states one that parses."""
    licence_words: str | None
    """What it states otherwise; None if it states nothing."""
    pinned: bool
    """Whether constraints.txt names exactly this version."""


def _licence(found: Distribution) -> tuple[str | None, str | None]:
    def first(name: str) -> str | None:
        return next(iter(found.metadata.get_all(name) or []), None)

    words = first("License-Expression") or next(
        (
            c.removeprefix(_CLASSIFIER)
            for c in (found.metadata.get_all("Classifier") or [])
            if c.startswith(_CLASSIFIER)
        ),
        None,
    )
    field = (first("License") or "").strip()
    if words is None and field and "\n" not in field and len(field) <= 64 and field != "UNKNOWN":
        words = field
    if words is None:
        return None, None
    try:
        parsed = licensing().parse(words, validate=True)
    except ExpressionError:
        return None, words
    return str(parsed), None


def _required(found: Distribution, extras: frozenset[str]) -> list[tuple[str, frozenset[str]]]:
    """Names and extras of what `found` needs on this platform."""
    wanted: list[tuple[str, frozenset[str]]] = []
    for line in found.requires or []:
        requirement = Requirement(line)
        if requirement.marker is None or any(requirement.marker.evaluate({"extra": e}) for e in extras | {""}):
            wanted.append((canonicalize_name(requirement.name), frozenset(requirement.extras)))
    return wanted


@cache
def _closure(root: str) -> tuple[tuple[str, str, str | None, str | None], ...]:
    seen: set[tuple[str, frozenset[str]]] = set()
    waiting, found = [(root, frozenset[str]())], {}
    while waiting:
        name, extras = waiting.pop()
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        try:
            here = distribution(name)
        except PackageNotFoundError:
            raise UserError(
                f"the bill of materials needs the package {name}, which is required but not installed; "
                f"run `pip install -c constraints.txt {name}`"
            ) from None
        if name != root:
            found[name] = (name, here.version, *_licence(here))
        waiting += _required(here, extras)
    return tuple(found[name] for name in sorted(found))


def runtime(constraints: Path) -> list[Package]:
    """Slipway's direct and indirect requirements without extras, by name.

    Raises:
        UserError: if constraints.txt is missing, or a required package is not installed.
    """
    try:
        text = constraints.read_text("utf-8")
    except FileNotFoundError:
        raise UserError(f"{constraints}: not found; it pins the packages that the bill of materials lists") from None
    pins = {canonicalize_name(m[1]): m[2] for m in re.finditer(r"(?m)^\s*([A-Za-z0-9._-]+)==([^\s;#]+)", text)}
    return [
        Package(name, version, licence, words, pins.get(canonicalize_name(name)) == version)
        for name, version, licence, words in _closure("slipway")
    ]
