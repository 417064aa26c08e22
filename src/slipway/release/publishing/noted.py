"""What sealing hashed while it wrote, noted for publishing a few seconds later: nothing big is read twice.

A digest is taken over only while the file is the one that was hashed, by everything that the file system says of it
(`slipway.files.identity`). That shows changes by ordinary means, not a disk that rots, nor whoever may write here and
turns the system's clock. Neither can make a release of a wrong byte: what was sent is read back and hashed before the
manifest is written.

    >>> noted.write(staged, copies)
    >>> noted.unchanged(staged)
    {'model.safetensors': '5d0c…'}
"""

import json
from collections.abc import Mapping
from pathlib import Path

from slipway.files import Copied, identity, write_atomic


def path_of(staged: Path) -> Path:
    """Where the notes on a staged directory lie: beside it, for whatever lies in it is signed."""
    return staged.with_name(f"{staged.name}.hashed.json")


def write(staged: Path, copies: Mapping[str, Copied]) -> None:
    """Note what was written below `staged`, by its path there."""
    notes = {path: {"identity": copy.identity, "sha256": copy.sha256} for path, copy in copies.items()}
    write_atomic(path_of(staged), json.dumps(notes, indent=0, sort_keys=True) + "\n")


def unchanged(staged: Path) -> dict[str, str]:
    """Path -> sha256 of the files below `staged` that are as they were when they were hashed; the others are left out.

    Nothing at all without notes, or with notes that cannot be read. A file is left out, too, that was written in the
    same grain of the clock as the notes: a change just after them might not show in its times.
    """
    path = path_of(staged)
    try:
        notes = json.loads(path.read_bytes())
        written = path.stat().st_ctime_ns
        return {
            name: note["sha256"]
            for name, note in notes.items()
            if identity(staged / name) == note["identity"] and (staged / name).lstat().st_ctime_ns < written
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):  # all is hashed then
        return {}
