"""Digests and atomic writes: the ground floor that every room may stand on."""

import hashlib
import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from slipway.errors import UserError

BLOCK = 1 << 20


@dataclass(frozen=True)
class Listed:
    """A file that a path or an address names."""

    path: str
    """Label: relative to the project, or the address, without a revision."""
    bytes: int
    sha256: str | None = None
    """If the place states it; whoever fetches the file compares."""
    etag: str | None = None
    """Of an S3 object, for information."""


@dataclass(frozen=True)
class Listing:
    """The files that a path or an address names, sorted by label."""

    files: tuple[Listed, ...]
    revision: str | None = None
    """Commit that the address stands for now."""


def sha256_bytes(data: bytes) -> str:
    """Hex sha256 of `data`."""
    return hashlib.sha256(data).hexdigest()


def sha256_file(path: str | Path) -> str:
    """Hex sha256 of a file, read once in blocks of 1 MiB."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def copy_hashed(source: str | Path, target: str | Path) -> str:
    """Copy a file, making the folders above `target`; hex sha256 of the bytes that were copied, in one pass."""
    target = Path(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    with open(source, "rb") as reader, target.open("wb") as writer:
        while block := reader.read(BLOCK):
            digest.update(block)
            writer.write(block)
    return digest.hexdigest()


def walk(path: str | Path) -> Iterator[Path]:
    """The regular files at or below `path`, sorted by POSIX path."""
    path = Path(path)
    if path.is_file():
        yield path
    else:
        yield from sorted((p for p in path.rglob("*") if p.is_file()), key=lambda p: p.as_posix())


def digests(path: str | Path, root: str | Path = ".") -> dict[str, str]:
    """POSIX path relative to `root` -> sha256, for every file at or below `path`."""
    return {p.relative_to(root).as_posix(): sha256_file(p) for p in walk(path)}


def combined(digest_by_path: dict[str, str]) -> str:
    """One sha256 over the sorted lines `<sha256>  <path>`, as `sha256sum` prints them."""
    return sha256_bytes("".join(f"{digest}  {path}\n" for path, digest in sorted(digest_by_path.items())).encode())


def write_atomic(path: str | Path, data: str | bytes, mode: int = 0o644) -> None:
    """Write a file so that a reader, or a crash, sees the old content or the new, never half.

    The temporary file lies in the same directory, is flushed to disk, and is removed on failure.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data.encode() if isinstance(data, str) else data)
            stream.flush()
            os.fsync(stream.fileno())
        Path(temporary).chmod(mode)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def weights_of(files: Mapping[str, str]) -> str:
    """What names a model's weights: the digest of their one file, or one over those of all its parts and the index.

    Args:
        files: name in the model's directory -> sha256; other files are passed over.

    Raises:
        UserError: if there are no weights.
    """
    if whole := files.get("model.safetensors"):
        return whole
    parts = {name: sha for name, sha in files.items() if name.startswith("model") and ".safetensors" in name}
    if not parts:
        raise UserError("no model.safetensors and no parts of one; rebuild with `slipway build --force train`")
    return combined(parts)
