"""Downloading: files in parallel, large ones in pieces, every one held against its digest before it gets its name.

A file grows in `parts/`, under a name made of its digest and path, with a line per piece that arrived beside it. After
a kill the pieces that are there are not fetched again; they are trusted only as far as the digest of the whole holds,
and if it does not, the file is fetched once more from its first byte.
"""

import hashlib
import os
import shutil
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from pathlib import Path
from typing import BinaryIO, NamedTuple

from slipway.errors import Refusal
from slipway.files import BLOCK, sha256_bytes, sha256_file
from slipway.release.reading.reader import Reader

PIECE = 32 << 20
"""Bytes of a piece; what a kill costs at most, per worker."""
WORKERS = 8


class Wanted(NamedTuple):
    """A file to be fetched."""

    path: str
    """In the release."""
    sha256: str
    bytes: int
    key: str
    """In the store."""


class Tally(NamedTuple):
    """Where the bytes came from."""

    sent: int
    """From the store, now."""
    taken_up: int
    """From an attempt that was interrupted."""
    reused: int
    """From files that were here already."""


class _Stopped(Exception):
    """Another worker failed, or the user stopped us."""


class Download:
    """One download into a folder of its own; may be repeated after an interruption."""

    def __init__(self, store: Reader, folder: Path, told: Callable[[int], None], piece: int = PIECE) -> None:
        """Set it up.

        Args:
            store: to read from.
            folder: for `tree/`, where finished files go, and `parts/`.
            told: called with bytes as they arrive, from many threads.
            piece: bytes of a piece.
        """
        self._store, self._told, self._piece = store, told, piece
        self._parts, self.tree = folder / "parts", folder / "tree"
        self._lock, self._stop = threading.Lock(), threading.Event()
        self._sent = self._taken_up = 0

    def run(
        self,
        wanted: Sequence[Wanted],
        here: Mapping[str, Iterable[Path]],
        workers: int = WORKERS,
        own: Path | None = None,
    ) -> Tally:
        """Bring every wanted file into `tree/`; nothing else is in it afterwards.

        Args:
            wanted: the files.
            here: sha256 -> files that were signed with it; used if they still are so.
            workers: threads.
            own: folder that goes when this one takes its place, so its files get a second name meanwhile; those that
                lie elsewhere are copied.

        Raises:
            Refusal: naming the file that is not as signed, twice.
        """
        self._parts.mkdir(parents=True, exist_ok=True)
        self.tree.mkdir(exist_ok=True)
        reused = self._clear(wanted) + sum(self._take(file, here.get(file.sha256, ()), own) for file in wanted)
        left = [file for file in wanted if not (self.tree / file.path).exists()]
        names = {_name(file) for file in left}
        for path in self._parts.iterdir():
            if path.name.partition(".")[0] not in names:
                path.unlink()
        self._fetch(left, workers)
        return Tally(self._sent, self._taken_up, reused)

    def _clear(self, wanted: Sequence[Wanted]) -> int:
        """Remove from `tree/` what an earlier attempt left there and is not wanted now; bytes of what is."""
        by_path = {file.path: file for file in wanted}
        kept = 0
        for path in [path for path in self.tree.rglob("*") if not path.is_dir()]:
            file = by_path.get(path.relative_to(self.tree).as_posix())
            if file is None or path.stat().st_size != file.bytes or sha256_file(path) != file.sha256:
                path.unlink()
            else:
                kept += file.bytes
                self._told(file.bytes)
        return kept

    def _take(self, file: Wanted, candidates: Iterable[Path], own: Path | None) -> int:
        """Take a file that lies here, if its bytes are those wanted; how many."""
        target = self.tree / file.path
        if target.exists():
            return 0
        for candidate in candidates:
            if candidate.is_file() and candidate.stat().st_size == file.bytes:
                _place(candidate, target, _link if own and candidate.is_relative_to(own) else shutil.copyfile)
                if sha256_file(target) == file.sha256:
                    self._told(file.bytes)
                    return file.bytes
                target.unlink()
        return 0

    def _fetch(self, files: list[Wanted], workers: int) -> None:
        """Fetch the pieces that are missing, largest files first, and finish each file by its last piece."""
        tasks: list[tuple[Wanted, int]] = []
        open_pieces: dict[str, int] = {}
        for file in sorted(files, key=lambda file: -file.bytes):
            missing = self._missing(file)
            open_pieces[file.path] = len(missing)
            tasks += [(file, number) for number in missing]
            if not missing:
                self._finish(file)
        with ThreadPoolExecutor(workers) as pool:
            futures = [pool.submit(self._work, file, number, open_pieces) for file, number in tasks]
            try:
                wait(futures, return_when=FIRST_EXCEPTION)
            finally:  # a worker failed, all are done, or Ctrl-C arrived here, in the main thread
                self._stop.set()
                for future in futures:
                    future.cancel()
        for future in futures:
            fault = None if future.cancelled() else future.exception()
            if fault is not None and not isinstance(fault, _Stopped):
                raise fault

    def _missing(self, file: Wanted) -> list[int]:
        """Numbers of the pieces that have not arrived yet."""
        count = self._count(file)
        part, journal = self._part(file), self._journal(file)
        if count == 1 or not part.exists() or part.stat().st_size != file.bytes or not journal.exists():
            journal.unlink(missing_ok=True)
            with part.open("wb") as stream:
                stream.truncate(file.bytes)
            return list(range(count))
        lines = journal.read_text("ascii", errors="replace").splitlines()
        there = {int(line) for line in lines if line.isascii() and line.isdecimal()} & set(range(count))
        self._told(taken_up := sum(self._length(file, number) for number in there))
        self._taken_up += taken_up
        return [number for number in range(count) if number not in there]

    def _size(self, file: Wanted) -> int:
        """Bytes of a piece: the whole file, if the store cannot begin to read in the middle of one."""
        return self._piece if hasattr(self._store, "open_range") else max(file.bytes, 1)

    def _count(self, file: Wanted) -> int:
        return max(1, -(-file.bytes // self._size(file)))

    def _length(self, file: Wanted, number: int) -> int:
        return min(self._size(file), file.bytes - number * self._size(file))

    def _part(self, file: Wanted) -> Path:
        return self._parts / _name(file)

    def _journal(self, file: Wanted) -> Path:
        return self._parts / f"{_name(file)}.pieces"

    def _work(self, file: Wanted, number: int, open_pieces: dict[str, int]) -> None:
        digest = self._receive(file, number)
        with self._lock:
            with self._journal(file).open("a", encoding="ascii") as journal:
                journal.write(f"{number}\n")
            open_pieces[file.path] -= 1
            last = open_pieces[file.path] == 0
        if last:
            self._finish(file, digest if self._length(file, 0) == file.bytes else None)

    def _receive(self, file: Wanted, number: int) -> str:
        """Write one piece to its place; sha256 of it."""
        left, digest = self._length(file, number), hashlib.sha256()
        with self._open(file, number) as source, self._part(file).open("r+b") as target:
            target.seek(number * self._size(file))
            while left:
                if self._stop.is_set():
                    raise _Stopped
                if not (block := source.read(min(BLOCK, left))):
                    raise Refusal(f"{self._store.url}/{file.key}: ends {left:,} bytes before what was signed")
                target.write(block)
                digest.update(block)
                left -= len(block)
                with self._lock:
                    self._sent += len(block)
                    self._told(len(block))
        return digest.hexdigest()

    def _open(self, file: Wanted, number: int) -> BinaryIO:
        if self._length(file, 0) == file.bytes:
            return self._store.open(file.key)
        stream: BinaryIO = self._store.open_range(  # type: ignore[attr-defined]
            file.key, number * self._size(file), self._length(file, number)
        )
        return stream

    def _finish(self, file: Wanted, digest: str | None = None) -> None:
        """Give the file its name, if it is as signed; else fetch it once more."""
        part = self._part(file)
        if (digest or sha256_file(part)) != file.sha256:
            self._journal(file).unlink(missing_ok=True)
            for number in range(self._count(file)):
                self._receive(file, number)
            if (found := sha256_file(part)) != file.sha256:
                part.unlink()
                raise Refusal(
                    f"{self._store.url}/{file.key}: sha256 is {found}, but {file.sha256} was signed; the file was "
                    "altered, do not use it"
                )
        with part.open("rb+") as stream:
            os.fsync(stream.fileno())
        _place(part, self.tree / file.path, os.replace)
        self._journal(file).unlink(missing_ok=True)


def _name(file: Wanted) -> str:
    """Of the file while it grows."""
    return f"{file.sha256[:32]}-{sha256_bytes(file.path.encode())[:16]}"


def _place(source: Path, target: Path, how: Callable[[Path, Path], object]) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    how(source, target)


def _link(source: Path, target: Path) -> None:
    """Another name for a file that nobody writes to; a copy where the file system has no hard links."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
