"""Installed packages: their Python files with the sha256 that the wheel's RECORD states for each.

RECORD is the list that the publisher put into the wheel and the installer kept (binary distribution format,
packaging.python.org). Nothing is imported from a package.
"""

import base64
import csv
import fnmatch
import importlib.metadata
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from email.message import Message
from functools import cached_property
from pathlib import Path
from typing import NamedTuple, cast

from slipway.errors import Refusal, UserError
from slipway.files import combined, sha256_bytes


@dataclass(frozen=True)
class Package:
    """A distribution as installed here."""

    name: str
    distribution: importlib.metadata.Distribution
    files: dict[str, str]
    """Path of each used `.py` file, relative to site-packages -> hex sha256 from RECORD."""
    sizes: dict[str, int]
    """Path -> bytes, as RECORD states them; 0 where it does not."""

    @cached_property
    def version(self) -> str:
        """As the metadata states it; kept, because every look at it parses the metadata again."""
        return self.distribution.version

    @property
    def digest(self) -> str:
        """One sha256 over the sorted lines `<sha256>  <path>` of the used files."""
        return combined(self.files)

    @cached_property
    def metadata(self) -> Message:
        """The core metadata, as the e-mail message that it is."""
        return cast("Message", self.distribution.metadata)

    def licence_files(self) -> dict[str, str]:
        """Name -> text of the licence files beside the metadata."""
        found = {}
        for name in self.metadata.get_all("License-File") or []:
            text = self.distribution.read_text(f"licenses/{name}") or self.distribution.read_text(name)
            if text:
                found[name] = text
        return found

    def file(self, path: str) -> "PackageFile":
        """One used file, as a worker needs it."""
        place = str(self.distribution.locate_file(path))
        return PackageFile(path, place, self.files[path], f"{self.name}=={self.version}")


class PackageFile(NamedTuple):
    """A file of a package, and what it must hold."""

    path: str
    """Relative to site-packages."""
    place: str
    sha256: str
    """As RECORD states it."""
    package: str
    """`name==version`, for messages."""

    def read(self) -> bytes:
        """Its bytes, checked against RECORD; raises Refusal naming the file if they differ."""
        again = f"Reinstall it: pip install --force-reinstall --no-deps {self.package}"
        stated = f"RECORD of {self.package.replace('==', ' ')}"
        try:
            data = Path(self.place).read_bytes()
        except FileNotFoundError:
            raise Refusal(f"{self.path}: missing, though {stated} lists it. {again}") from None
        if (actual := sha256_bytes(data)) != self.sha256:
            raise Refusal(
                f"{self.path}: sha256 is {actual}, but {stated} says {self.sha256}; "
                f"the file was altered after it was installed. {again}"
            )
        return data


def find(name: str, exclude: Sequence[str], source: str) -> Package:
    """The installed distribution `name` and the digests of its `.py` files that no pattern excludes.

    Patterns are matched against the whole path below site-packages; `*` and `**` both cross slashes.

    Raises:
        UserError: if it is not installed, or was not installed from a wheel (no RECORD, no digests).
    """
    try:
        distribution = importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        raise UserError(
            f"source {source}: package `{name}` is not installed; pip install it with -c constraints.txt, "
            "or take it out of acquire.sources"
        ) from None
    record = distribution.read_text("RECORD")
    if record is None:
        raise UserError(
            f"source {source}: {name} has no RECORD, so its files cannot be checked; install it from a wheel"
        )
    excluded = re.compile("|".join(fnmatch.translate(pattern) for pattern in exclude) or r"(?!)")
    used = [
        (path, digest, size)
        for path, digest, size in csv.reader(io.StringIO(record))
        if path.endswith(".py") and not path.startswith("..") and not excluded.match(path)
    ]
    files = {path: _hexadecimal(digest, name, path) for path, digest, _ in used}
    if not files:
        raise UserError(
            f"source {source}: {name} {distribution.version} has no Python file left to read; "
            "is it an editable install, or do the `exclude` patterns match everything?"
        )
    return Package(name, distribution, files, {path: int(size or 0) for path, _, size in used})


def _hexadecimal(digest: str, name: str, path: str) -> str:
    algorithm, _, value = digest.partition("=")
    if algorithm != "sha256":
        raise Refusal(f"{path}: RECORD of {name} gives no sha256 for it, so it cannot be checked; exclude the file")
    return base64.urlsafe_b64decode(value + "=" * (-len(value) % 4)).hex()
