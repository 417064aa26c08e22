"""The manifest: every file of a bundle with its sha256 and size; its own sha256 is the bundle digest.

It says what a bundle *is*, byte for byte. It does not say who made it (that is the signature) or whether
it is any good (that is the gate).

    >>> digest = write(directory, "pydocs")
    >>> check(directory)  # raises Refusal if one byte of one file differs
"""

import json
import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from slipway.errors import Refusal, UserError
from slipway.files import sha256_bytes, sha256_file, write_atomic

NAME = "manifest.json"


class Entry(BaseModel):
    """One file."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    bytes: Annotated[int, Field(ge=0)]


class Manifest(BaseModel):
    """Contents of `manifest.json`."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
    format: Literal["slipway-manifest-1"]
    name: str
    files: dict[str, Entry]
    """POSIX path relative to the bundle -> digest and size, the manifest itself excepted."""

    def to_json(self) -> str:
        """Canonical JSON: equal manifests give equal bytes, hence one bundle digest."""
        return json.dumps(self.model_dump(mode="json"), indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def entries(directory: str | Path) -> dict[str, Path]:
    """POSIX path -> regular file, for everything below `directory`, hidden files included.

    Raises:
        Refusal: for a symbolic link or anything else that is neither a file nor a directory: a reader could
            be shown other bytes than were signed.
    """
    root = Path(directory)
    if root.is_symlink() or not root.is_dir():
        raise Refusal(f"{root}: is not a directory; name the directory that holds {NAME}")
    found = {}
    for folder, directories, names in os.walk(root):
        for name in (*directories, *names):
            path = Path(folder, name)
            if path.is_symlink() or not (path.is_dir() or path.is_file()):
                raise Refusal(f"{path}: is a link or a device; a bundle holds plain files only. Replace it by a copy")
            if name in names:
                found[path.relative_to(root).as_posix()] = path
    return dict(sorted(found.items()))


def write(directory: str | Path, name: str, known: Mapping[str, str] | None = None) -> str:
    """Write `manifest.json` over every other file of `directory`; returns the bundle digest.

    Args:
        directory: the bundle.
        name: of the model.
        known: path -> sha256 of files that were hashed while they were written; they are not read again here. What a
            disk lost of them is found when they are staged for signing, which reads every byte.
    """
    known = known or {}
    files = {
        path: Entry(sha256=known.get(path) or sha256_file(file), bytes=file.stat().st_size)
        for path, file in entries(directory).items()
        if path != NAME
    }
    text = Manifest(format="slipway-manifest-1", name=name, files=files).to_json()
    write_atomic(Path(directory) / NAME, text)
    return sha256_bytes(text.encode())


def parse(text: bytes, origin: str = NAME) -> Manifest:
    """Read the bytes of a manifest.

    Raises:
        Refusal: if they are not a manifest, are not in canonical form, or name a path outside the bundle.
    """
    try:
        manifest = Manifest.model_validate_json(text)
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(str(part) for part in fault["loc"]) or "the whole file"
        raise Refusal(
            f"{origin}: is not a manifest ({where}: {fault['msg']}); rebuild or download the bundle"
        ) from None
    for path in manifest.files:
        if path.startswith("/") or "\\" in path or {"", ".", ".."} & set(path.split("/")) or path == NAME:
            raise Refusal(f"{origin}: names the path {path!r}, which is not inside the bundle; do not use this bundle")
    if manifest.to_json().encode() != text:
        raise Refusal(f"{origin}: is not in canonical form, so it was not written by Slipway; rebuild the bundle")
    return manifest


def read(directory: str | Path) -> Manifest:
    """Read a bundle's manifest; raises UserError if there is none, Refusal as `parse` does."""
    path = Path(directory) / NAME
    try:
        return parse(path.read_bytes(), str(path))
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(f"{path}: no such file; is {directory} a bundle? `slipway build` makes one") from None


def digest(directory: str | Path) -> str:
    """The bundle digest: sha256 of `manifest.json`; raises as `read`."""
    read(directory)
    return sha256_file(Path(directory) / NAME)


def check(directory: str | Path, beside: Collection[str] = ()) -> None:
    """Compare every byte below `directory` with the manifest.

    Args:
        directory: the bundle, or a copy of it.
        beside: names that may lie there without being listed (the signature and statement of a release).

    Raises:
        Refusal: naming each file that was changed, removed or added.
    """
    manifest, found = read(directory), entries(directory)
    faults = []
    for path, entry in manifest.files.items():
        if path not in found:
            faults.append(f"{path}: missing")
        elif (size := found[path].stat().st_size) != entry.bytes:
            faults.append(f"{path}: changed, {size} bytes instead of {entry.bytes}")
        elif (actual := sha256_file(found[path])) != entry.sha256:
            faults.append(f"{path}: changed, sha256 {actual} instead of {entry.sha256}")
    faults += [f"{path}: not in the manifest" for path in found if path not in {*manifest.files, *beside, NAME}]
    if faults:
        raise Refusal(
            f"{directory} is not what its manifest says:\n  "
            + "\n  ".join(faults)
            + "\nDownload it again, or rebuild it "
            "with `slipway build --force bundle`; documents are made from records and cannot be edited by hand"
        )
