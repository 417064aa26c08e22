"""Checkpoints as directories that a digest names: compared, found, and kept beyond the next training.

Imports nothing heavy. The digest of a checkpoint is the sha256 of its manifest, which lists that of every file.
"""

import json
from collections.abc import Iterable
from pathlib import Path

from slipway.files import sha256_bytes, sha256_file, write_atomic

MANIFEST = "manifest.json"
RELEASED = "released"
"""File in the directory of a run whose model is released; it holds the name of the release."""


def step_name(step: int) -> str:
    """Name of the directory of a step's checkpoint."""
    return f"step-{step:06d}"


def listed(manifest: bytes) -> dict[str, str]:
    """File -> sha256, as a checkpoint's manifest has it; raises ValueError for another content."""
    found = json.loads(manifest)
    if not isinstance(found, dict) or any(Path(name).name != name for name in found):
        raise ValueError("its manifest does not list plain files")
    return found


def check(directory: Path, digest: str) -> None:
    """Compare every byte of a checkpoint with its digest.

    Raises:
        ValueError: naming the file that is missing or differs.
    """
    try:
        manifest = (directory / MANIFEST).read_bytes()
        if (found := sha256_bytes(manifest)) != digest:
            raise ValueError(f"{directory}: another checkpoint, sha256 {found}")
        for name, expected in listed(manifest).items():
            if sha256_file(directory / name) != expected:
                raise ValueError(f"{directory / name}: differs from the checkpoint's manifest")
    except OSError as error:
        raise ValueError(f"{error.filename}: {error.strerror}") from None


def find(folders: Iterable[Path], step: int, digest: str) -> tuple[Path | None, list[str]]:
    """A whole checkpoint with this digest in one of `folders`, or up to two levels below; and what was passed over.

    Args:
        folders: to look in, in this order.
        step: what its directory is called by; others are taken as well.
        digest: sha256 of its manifest.
    """
    passed = []
    for folder in folders:
        for manifest in (path for depth in ("", "*/", "*/*/") for path in sorted(folder.glob(depth + MANIFEST))):
            try:
                check(manifest.parent, digest)
            except ValueError as error:
                if manifest.parent.name in (step_name(step), digest):
                    passed.append(str(error))
            else:
                return manifest.parent, passed
    return None, passed


def mark(work: Path, key: str, name: str) -> None:
    """Keep the checkpoints of run `key`, as those of the latest release `name`; the one before is kept no longer.

    Args:
        work: directory with a folder of checkpoints per run.
        key: of the run; nothing is done if its checkpoints are not here.
        name: of the release.
    """
    if not (work / key).is_dir():
        return
    write_atomic(work / key / RELEASED, name)
    for marker in work.glob(f"*/{RELEASED}"):
        if marker.parent.name != key and marker.read_text("utf-8") == name:
            marker.unlink()
