"""The directory that a fetch ends in: what may lie there, the folder beside it, and the one move that fills it."""

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from slipway.errors import Refusal, UserError
from slipway.files import sha256_file
from slipway.release.bundle import manifest
from slipway.release.reading.download import Wanted
from slipway.release.signing import signature

State = Literal["new", "changed", "unchanged"]
SPARE = 64 << 20
"""Bytes of the disk that a fetch leaves free."""


def held(target: Path, name: str, signed: Mapping[str, str] | None) -> dict[str, list[Path]]:
    """sha256 -> files of an earlier fetch that were signed with it; none if nothing lies at `target`.

    Args:
        target: where the release goes.
        name: of the release.
        signed: path -> sha256 of what lies there, by its own signature; None if that does not hold.

    Raises:
        Refusal: if something else lies there; it is not touched.
    """
    if not target.exists() or (target.is_dir() and not any(target.iterdir())):
        return {}
    foreign = f"{target}: holds something that is no release of {name} by this key"
    way_out = "nothing was changed. Name another directory, or move this one away"
    if target.is_symlink() or not target.is_dir() or signed is None:
        raise Refusal(f"{foreign}; {way_out}")
    files = manifest.entries(target)
    if added := sorted(files.keys() - signed.keys() - {signature.NAME}):
        raise Refusal(f"{target}: {added[0]} is not of the release that lies there; {way_out}")
    try:
        if sha256_file(target / manifest.NAME) != signed[manifest.NAME] or manifest.read(target).name != name:
            raise Refusal(f"{foreign}; {way_out}")
    except (FileNotFoundError, KeyError):
        raise Refusal(f"{foreign}; {way_out}") from None
    found: dict[str, list[Path]] = {}
    for path, digest in signed.items():
        found.setdefault(digest, []).append(target / path)
    return found


@contextmanager
def workplace(target: Path) -> Iterator[Path]:
    """The folder beside `target` that this fetch works in, alone; an interrupted fetch's is taken up.

    Raises:
        UserError: if another fetch is at work on the same directory.
        Refusal: if somebody else made that folder: who owns it could put other bytes in after they were verified.
    """
    from filelock import FileLock, Timeout

    target.parent.mkdir(parents=True, exist_ok=True)
    work = target.parent / f".{target.name}.fetching"
    work.mkdir(exist_ok=True, mode=0o700)
    if work.is_symlink() or work.stat().st_uid != os.geteuid() or work.stat().st_mode & 0o022:
        raise Refusal(
            f"{work}: a link, or others may write there; nothing was fetched. Remove it, or name another place"
        )
    try:
        with FileLock(work / "lock", timeout=0):
            if (work / "old").is_dir() and not target.exists():
                (work / "old").replace(target)  # killed between the two moves of `land`
            yield work
            shutil.rmtree(work)
    except Timeout:
        raise UserError(f"{target}: another `slipway fetch` is at work there; wait for it") from None


def room(target: Path, wanted: list[Wanted], work: Path, here: Mapping[str, list[Path]]) -> None:
    """That the disk has room for what is missing; raises UserError with the figures."""
    parts = work / "parts"
    missing = {file.sha256: file for file in wanted if file.sha256 not in here}
    # Blocks, not length: a part has its whole length from the start.
    there = sum(
        path.stat().st_blocks * 512 for folder in (parts, work / "tree") for path in folder.rglob("*") if path.is_file()
    )
    needed = sum(file.bytes for file in missing.values()) - there
    free = shutil.disk_usage(target.parent).free
    if needed > max(0, free - SPARE):
        raise UserError(
            f"{target.parent}: {needed:,} bytes are to be fetched, but the disk has {free:,} free; make room, or name "
            "another directory"
        )


def land(tree: Path, target: Path, work: Path) -> State:
    """Give the verified tree its name; what lay there goes only when it has it."""
    old = work / "old"
    if old.exists():
        shutil.rmtree(old)
    if not target.exists() or not any(target.iterdir()):
        tree.replace(target)
        return "new"
    if _same(tree, target):
        return "unchanged"
    target.replace(old)
    try:
        tree.replace(target)
    except OSError:
        old.replace(target)
        raise
    return "changed"


def _same(tree: Path, target: Path) -> bool:
    """Whether both hold the same files with the same content; the tree is verified, so its digests are those signed."""
    there, here = manifest.entries(tree), manifest.entries(target)
    folders = {path for path in target.rglob("*") if path.is_dir() and not any(path.iterdir())}
    return (
        there.keys() == here.keys()
        and not folders
        and all(
            here[name].samefile(path) or sha256_file(here[name]) == sha256_file(path) for name, path in there.items()
        )
    )
