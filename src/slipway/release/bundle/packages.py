"""The Python packages behind a release: the closure of Slipway's own requirements, as installed.

An installation does not keep the archive that it was made from, so its digest is known only where pip wrote it down.
What can be told of every package is a digest of its RECORD, the list of the files that its wheel brought.
"""

import base64
import csv
import json
import re
from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from license_expression import ExpressionError
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from slipway.errors import UserError
from slipway.files import sha256_bytes
from slipway.release.bundle.licence import licensing

_CLASSIFIER = "License :: OSI Approved :: "
_SPELLED = {
    "apache 2.0 license": "Apache-2.0",
    "apache license 2.0": "Apache-2.0",
    "apache license, version 2.0": "Apache-2.0",
    "3-clause bsd license": "BSD-3-Clause",
    "isc license (iscl)": "ISC",
    "mit license": "MIT",
    "mozilla public license 2.0 (mpl 2.0)": "MPL-2.0",
    "the unlicense (unlicense)": "Unlicense",
    "zlib/libpng license": "Zlib",
}
"""Words that mean exactly one licence, in lower case."""
_INSTALLED = {"INSTALLER", "REQUESTED", "RECORD", "direct_url.json"}
"""Files that the installer writes beside those of the wheel."""


@dataclass(frozen=True)
class Package:
    """An installed distribution."""

    name: str
    version: str
    licence: str | None
    """SPDX expression where the package states one that parses."""
    licence_words: str | None
    """What it states otherwise; None if it states nothing."""
    approved: bool
    """It states in words, not in SPDX, that its licence is one that the Open Source Initiative approved."""
    archive_sha256: str | None
    """Of the archive it was installed from, if pip noted that (`direct_url.json`, PEP 610)."""
    record_sha256: str | None
    """`record_digest`; None if it has no RECORD."""
    pinned: bool = False
    """Whether constraints.txt names exactly this version."""


def _spdx(words: str) -> str | None:
    """`words` as an SPDX expression, if they are one or are known to mean exactly one."""
    words = _SPELLED.get(words.lower(), words)
    try:
        return str(licensing().parse(words, validate=True)) if words else None
    except ExpressionError:
        return None


def _licence(found: Distribution) -> tuple[str | None, str | None, bool]:
    """SPDX expression, else words, and whether those words are a classifier of an approved licence.

    Order: the field of PEP 639, the older field, a classifier.
    """
    stated, older = ((found.metadata.get_all(name) or [""])[0].strip() for name in ("License-Expression", "License"))
    named_so = older not in ("", "UNKNOWN") and "\n" not in older and len(older) <= 64  # it may be a whole text
    short = [words for words in (stated, older if named_so else "") if words]
    classifiers = [c.removeprefix(_CLASSIFIER) for c in found.metadata.get_all("Classifier") or []
                   if c.startswith(_CLASSIFIER)]  # fmt: skip
    named = [*short, *(classifiers if len(classifiers) == 1 else [])]
    expression = next((known for words in named if (known := _spdx(words))), None)
    if expression:
        return expression, None, False
    if classifiers:
        return None, ", ".join(classifiers), True
    return None, short[0] if short else None, False


def record_digest(record: str) -> str | None:
    """sha256 over the sorted lines `<sha256>  <path>` of the files that a wheel brought, as its RECORD has them.

    Left out is what an installation adds, which differs from machine to machine: scripts outside of the packages,
    compiled files, who installed it and from where. None if the RECORD lists no digest.
    """
    lines = []
    for row in filter(None, csv.reader(record.splitlines())):  # a blank line is a row without fields
        path, stated = row[0], row[1] if len(row) > 1 else ""
        name = path.rpartition("/")[2]
        if not stated.startswith("sha256=") or path.startswith(("..", "/")) or path.endswith(".pyc"):
            continue
        if ".dist-info/" in path and name in _INSTALLED:
            continue
        digest = base64.urlsafe_b64decode(stated.removeprefix("sha256=") + "==").hex()
        lines.append(f"{digest}  {path}\n")
    return sha256_bytes("".join(sorted(lines)).encode()) if lines else None


def _archive(found: Distribution) -> str | None:
    stated = json.loads(found.read_text("direct_url.json") or "{}").get("archive_info", {})
    hashes = stated.get("hashes") or dict([str(stated.get("hash", "")).split("=", 1)] if stated.get("hash") else [])
    return hashes.get("sha256")


def _package(name: str, found: Distribution) -> Package:
    licence, words, approved = _licence(found)
    record = found.read_text("RECORD")
    digest = record_digest(record) if record else None
    return Package(name, found.version, licence, words, approved, _archive(found), digest)


def _required(found: Distribution, extras: frozenset[str]) -> list[tuple[str, frozenset[str]]]:
    """Names and extras of what `found` needs on this platform."""
    wanted: list[tuple[str, frozenset[str]]] = []
    for line in found.requires or []:
        requirement = Requirement(line)
        if requirement.marker is None or any(requirement.marker.evaluate({"extra": e}) for e in extras | {""}):
            wanted.append((canonicalize_name(requirement.name), frozenset(requirement.extras)))
    return wanted


@cache
def _closure(root: str) -> tuple[Package, ...]:
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
            found[name] = _package(name, here)
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
    return [replace(one, pinned=pins.get(canonicalize_name(one.name)) == one.version) for one in _closure("slipway")]
