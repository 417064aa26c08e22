"""What the lock has let pass: files on this machine, checked against their digests, ready to be read."""

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Held:
    """One file that a source, a task, the base, the teacher or the baseline is made of."""

    path: str
    """Label in messages and ids: path relative to the project, or the `s3://…`, `hf://…` or `release://…` address."""
    place: Path
    """Where the bytes lie on this machine."""
    sha256: str
    """As `inputs.lock` says, and as the file was when it was last looked at."""
    version: str | None = None
    """Commit of a hub repository, version and manifest digest of a release; None where there is neither."""


@dataclass(frozen=True)
class Inputs:
    """Everything the recipe reads that is a file."""

    sources: dict[str, tuple[Held, ...]] = field(default_factory=dict)
    """By the source's name; packages, which are no files of ours, are not listed."""
    tasks: dict[str, Held] = field(default_factory=dict)
    base: tuple[Held, ...] = ()
    teacher: tuple[Held, ...] = ()
    baseline: Held | None = None
