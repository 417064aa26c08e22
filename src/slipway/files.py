"""Digests and atomic writes: the ground floor that every room may stand on."""

import errno
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from io import RawIOBase
from pathlib import Path

from slipway.errors import UserError

BLOCK = 1 << 20
_FICLONE = 0x40049409
"""Linux's request to share blocks between two files (ioctl_ficlone(2))."""


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


@dataclass(frozen=True)
class Copied:
    """A file that was hashed while it was written."""

    sha256: str
    identity: str
    """Of the file as it was then, see `identity`."""


def identity(path: str | Path) -> str:
    """What a file cannot keep when its content is changed by ordinary means; a link is not followed.

    The time of the inode is among it, which no call can set back. It has the grain of the system's clock (some
    milliseconds): a change that follows another one within a grain does not show.
    """
    return _identity(os.lstat(path))


def _identity(stat: os.stat_result) -> str:
    return f"{stat.st_mode:o} {stat.st_dev} {stat.st_ino} {stat.st_size} {stat.st_mtime_ns} {stat.st_ctime_ns}"


def copy_hashed(source: str | Path, target: str | Path) -> str:
    """Copy a file, making the folders above `target`; hex sha256 of what `target` then holds, in one pass.

    Where the file system can share blocks until one side is written to, it does, and the copy itself is read.
    """
    return _copy(source, target).sha256


def _copy(source: str | Path, target: str | Path) -> Copied:
    target = Path(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    block = memoryview(bytearray(BLOCK))
    with open(source, "rb", buffering=0) as reader, target.open("w+b", buffering=0) as writer:
        cloned = _clone(reader.fileno(), writer.fileno())
        origin = writer if cloned else reader
        while size := origin.readinto(block):
            digest.update(block[:size])
            if not cloned:
                _write_all(writer, block[:size])
        # Of the descriptor that was written to: whoever changes the file from now on changes its times.
        return Copied(digest.hexdigest(), _identity(os.fstat(writer.fileno())))


def _write_all(stream: RawIOBase, data: memoryview) -> None:
    while data:
        data = data[stream.write(data) or 0 :]


def _clone(source: int, target: int) -> bool:
    """Make `target` (both are descriptors) share the blocks of `source`; False where that cannot be done."""
    try:
        import fcntl

        fcntl.ioctl(target, _FICLONE, source)
    except (ImportError, OSError):  # another system, another file system, or one without shared blocks
        return False
    return True


def copy_tree(source: str | Path, target: str | Path) -> dict[str, Copied]:
    """Make `target` a copy of the files at or below `source`, with nothing else in it; hashed while copied.

    A few files at a time: hashing holds a processor, writing waits for a disk. Files are copied, not linked, so that
    nobody can alter the copy through another name.

    Returns: POSIX path below `target` -> what was written there.

    Raises:
        UserError: if the disk is full; `target` is gone then.
    """
    source, target = Path(source), Path(target)
    if target.exists():
        shutil.rmtree(target)
    names = [path.relative_to(source).as_posix() for path in walk(source)]
    try:
        with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
            copies = list(pool.map(lambda name: _copy(source / name, target / name), names))
    except OSError as error:
        shutil.rmtree(target, ignore_errors=True)
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise UserError(f"{target}: the disk is full; free as much space as {source} takes and run it again") from None
    return dict(zip(names, copies, strict=True))


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
