"""A store in a local directory: atomic by rename, create-only by hard link, flushed to disk.

Temporary files lie in `.tmp` at the root, so that no reader of a release ever meets one. Files are copied inside the
kernel, which shares their blocks where the file system can (Btrfs, XFS).
"""

import errno
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from slipway.adapters.store.body import check_small
from slipway.errors import Refusal, UserError
from slipway.files import sha256_bytes

BLOCK = 64 << 20
"""Bytes copied by one call of the kernel, between two notes of progress."""
_OWN = (".tmp", ".swap.lock")
_NO_KERNEL_COPY = {errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM}
"""What copy_file_range answers where it cannot; the bytes then go through this process."""


class LocalStore:
    """Objects are files below `root`; a key is a relative POSIX path."""

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root).absolute()
        self.url = str(self.root)

    @property
    def address(self) -> str:
        """The directory by its one true name."""
        return os.path.realpath(self.root)

    def _path(self, key: str) -> Path:
        parts = key.split("/")
        if not all(parts) or {".", ".."} & set(parts) or "\\" in key or "\0" in key or parts[0] in _OWN:
            raise UserError(f"{key!r} is no key of a store; use a relative path without `..`")
        return self.root.joinpath(*parts)

    def capabilities(self) -> dict[str, bool]:
        """As an S3 store's; a file system has what is needed, or the first write fails."""
        return {"create_only": True, "compare_and_swap": True, "create_only_in_parts": True, "create_only_copy": True}

    def list(self, prefix: str = "") -> dict[str, int]:
        """Key -> bytes of every object whose key begins with `prefix` (a folder, with or without `/`).

        Without a prefix the store's own files are listed too: in a release directory that is verified as it stands,
        nothing may hide behind their names. An empty directory below is `path/` with 0 bytes, as S3 has them.

        Raises:
            Refusal: at a symbolic link, another thing that is no regular file (a release holds none), or a directory
                that cannot be read.
        """
        top = self._path(prefix.rstrip("/")) if prefix.rstrip("/") else self.root
        if top.is_symlink() and top != self.root:
            raise Refusal(f"{top}: not a regular directory; replace the link by a copy")
        found: dict[str, int] = {}
        if not top.is_dir():
            return found
        for folder, names, files in os.walk(top, onerror=self._refuse):
            if not names and not files and Path(folder) != top:
                found[f"{Path(folder).relative_to(self.root).as_posix()}/"] = 0
            for name in (*files, *(n for n in names if Path(folder, n).is_symlink())):
                path = Path(folder, name)
                if path.is_symlink() or not path.is_file():
                    raise Refusal(f"{path}: not a regular file; remove it, a release holds plain files only")
                found[path.relative_to(self.root).as_posix()] = path.stat().st_size
        return dict(sorted(found.items()))

    def tags(self, prefix: str = "") -> dict[str, str]:
        """Key -> what changes when an object below `prefix` is written anew: inode, size and time of its content.

        Not the inode's own time, which a hard link changes. Whoever may write here can forge all three: it tells what
        need not be read again yet, and proves nothing.
        """
        found = {key: (self.root / key).stat() for key in self.list(prefix) if not key.endswith("/")}
        return {key: f"{stat.st_ino} {stat.st_size} {stat.st_mtime_ns}" for key, stat in found.items()}

    @staticmethod
    def _refuse(error: OSError) -> None:
        raise Refusal(f"{error.filename}: cannot be listed ({error.strerror}), so what lies there was not checked")

    def read(self, key: str) -> tuple[bytes, str]:
        """Content and tag of a small object; raises FileNotFoundError, or Refusal if it is none."""
        path = self._path(key)
        if path.is_dir():
            raise Refusal(f"{path}: a directory, where a file belongs; remove it")
        check_small(path.stat().st_size, str(path))
        data = path.read_bytes()
        return data, sha256_bytes(data)

    def open(self, key: str) -> BinaryIO:
        """A stream over an object of any size; raises FileNotFoundError."""
        return self._path(key).open("rb")

    def open_range(self, key: str, start: int, length: int) -> BinaryIO:  # noqa: ARG002  as an S3 store takes it
        """A stream that begins in the middle of an object; whoever reads it stops after `length` bytes."""
        stream = self.open(key)
        stream.seek(start)
        return stream

    def create(
        self,
        key: str,
        content: bytes | Path,
        sha256: str | None = None,  # noqa: ARG002
        note: Callable[[int], None] | None = None,
    ) -> None:
        """Write an object that does not exist yet; raises FileExistsError if it does, and changes nothing then.

        Args:
            key: of the object.
            content: its bytes, or the file that holds them.
            sha256: as an S3 store takes it; not needed here.
            note: told of bytes as they are written.
        """
        if self._path(key).exists():  # linking decides; this saves copying what would be thrown away
            raise FileExistsError(f"{self.url}/{key}")
        self._place(key, lambda temporary: self._fill(temporary, content, note), os.link)

    def copy(self, source: str, key: str) -> None:
        """Give an object of this store a second key by a hard link; raises FileExistsError or FileNotFoundError."""
        origin, target = self._path(source), self._path(key)
        self._folder(target.parent)
        try:
            os.link(origin, target)
        except (FileExistsError, FileNotFoundError):
            raise
        except OSError:  # too many links, or a file system without them
            self.create(key, origin)
        self._flush(target.parent)

    def swap(self, key: str, content: bytes, tag: str | None) -> bool:
        """Replace an object only if its tag is still `tag` (None: only if absent); False if someone was faster."""
        from filelock import FileLock

        self.root.mkdir(parents=True, exist_ok=True)
        with FileLock(self.root / ".swap.lock"):
            path = self._path(key)
            current = sha256_bytes(path.read_bytes()) if path.exists() else None
            if current != tag:
                return False
            self._place(key, lambda temporary: self._fill(temporary, content, None), os.replace)
            return True

    def _place(self, key: str, fill: Callable[[Path], None], move: Callable[[Path, Path], None]) -> None:
        target, scratch = self._path(key), self.root / ".tmp"
        self._folder(target.parent)
        scratch.mkdir(exist_ok=True)
        self._sweep(scratch)
        handle, name = tempfile.mkstemp(dir=scratch)
        os.close(handle)
        try:
            fill(Path(name))
            move(Path(name), target)
            self._flush(target.parent)
        finally:
            Path(name).unlink(missing_ok=True)

    def _folder(self, folder: Path) -> None:
        """Make a folder and those above it; each is flushed into the one that holds it, or a crash could lose it."""
        if not folder.is_dir():
            if folder != self.root:
                self._folder(folder.parent)
            folder.mkdir(exist_ok=True, parents=folder == self.root)
            self._flush(folder.parent)

    @staticmethod
    def _fill(temporary: Path, content: bytes | Path, note: Callable[[int], None] | None) -> None:
        with temporary.open("wb") as stream:
            if isinstance(content, bytes):
                stream.write(content)
            else:
                with content.open("rb") as source:
                    _copy(source, stream, note)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.chmod(0o644)

    @staticmethod
    def _flush(folder: Path) -> None:
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

    @staticmethod
    def _sweep(scratch: Path) -> None:
        """Remove what a killed writer left a day ago or earlier."""
        for path in scratch.iterdir():
            try:
                if path.stat().st_mtime < time.time() - 86400:
                    path.unlink()
            except FileNotFoundError:  # its writer finished between listing and asking
                continue


def _copy(source: BinaryIO, target: BinaryIO, note: Callable[[int], None] | None) -> None:
    """Copy a file to its end inside the kernel, or through this process where the kernel cannot."""
    try:
        while count := os.copy_file_range(source.fileno(), target.fileno(), BLOCK):
            if note:
                note(count)
    except OSError as error:
        if error.errno not in _NO_KERNEL_COPY:
            raise
        source.seek(os.lseek(source.fileno(), 0, os.SEEK_CUR))
        shutil.copyfileobj(source, target, 1 << 20)
