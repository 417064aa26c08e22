"""Which files the recipe asks for, and where they are: in the project, or behind an address.

A path with a scheme belongs to a `Remote`, which an adapter brings; any other path is a file, a directory or a
glob below the project, and stays below it: links that lead out are refused, since the lock could not tell
what they will lead to tomorrow.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from slipway.errors import UserError
from slipway.recipe import Recipe
from slipway.settings import FileSource

PACKED = ("", ".gz", ".zst")
SUFFIXES = {
    "jsonl": tuple(f"{name}{packed}" for name in (".jsonl", ".ndjson") for packed in PACKED),
    "parquet": (".parquet",),
    "text": tuple(f"{name}{packed}" for name in (".txt", ".md", ".rst") for packed in PACKED),
    # A base is tensors and text; a pickle or a script of a repository is not even fetched.
    "base": (".safetensors", ".json", ".txt", ".jinja", "LICENSE", "NOTICE"),
    "task": tuple(f".jsonl{packed}" for packed in PACKED),
    "baseline": (".json",),
}


@dataclass(frozen=True)
class Listed:
    """A file that a path names."""

    path: str
    """Label: relative to the project, or the whole address with the commit where there is one."""
    bytes: int


@dataclass(frozen=True)
class Listing:
    """The files that a path names, sorted by label."""

    files: tuple[Listed, ...]
    revision: str | None = None
    """Commit that the address stands for now."""


class Remote(Protocol):
    """A place that is not this machine. Errors are UserErrors that name the address."""

    def listing(self, path: str, suffixes: tuple[str, ...]) -> Listing:
        """The files at an address: one file, or those below it that end in one of `suffixes`, or match its glob."""

    def fetch(self, label: str, target: Path) -> None:
        """Write the bytes of a listed file to `target`."""


@dataclass(frozen=True)
class Want:
    """One path of the recipe."""

    part: str
    """Part of the lock: sources, tasks, base or baseline."""
    name: str
    kind: str
    """Key of `SUFFIXES`."""
    path: str

    @property
    def what(self) -> str:
        """How messages call it."""
        return {"sources": f"source {self.name}", "tasks": f"task {self.name}"}.get(self.part, self.part)

    @property
    def single(self) -> bool:
        return self.part in ("tasks", "baseline")


def wants(recipe: Recipe) -> list[Want]:
    """Every path that the recipe asks for.

    Raises:
        UserError: for a name that is used twice.
    """
    files = [source for source in recipe.acquire.sources if isinstance(source, FileSource)]
    for names, key in (
        ([source.name for source in recipe.acquire.sources], "acquire.sources"),
        ([task.name for task in recipe.evaluate.files], "evaluate.files"),
    ):
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise UserError(f"{key}: the name `{twice[0]}` is used twice; give each its own")
    found = [Want("sources", source.name, source.kind, source.path) for source in files]
    found += [Want("tasks", task.name, "task", task.path) for task in recipe.evaluate.files]
    if recipe.acquire.base:
        found.append(Want("base", "base", "base", recipe.acquire.base.path))
    if recipe.validate_.baseline:
        found.append(Want("baseline", "baseline", "baseline", recipe.validate_.baseline))
    return found


def scheme(path: str) -> str | None:
    """`s3` of `s3://bucket/key`; None for a path of the project."""
    head, separator, _ = path.partition("://")
    return head if separator else None


def remote_of(path: str, remotes: Mapping[str, Remote], what: str) -> Remote | None:
    """The remote that a path belongs to; None for a path of the project."""
    if (name := scheme(path)) is None:
        return None
    if name not in remotes:
        known = ", ".join(f"{known}://" for known in sorted(remotes))
        raise UserError(f"{what}: path `{path}`: Slipway reads files of the project and {known}, not {name}://")
    return remotes[name]


def listing(want: Want, root: Path, remotes: Mapping[str, Remote]) -> Listing:
    """The files that a path names now.

    Raises:
        UserError: if there is none, or more than one where one is asked for.
    """
    suffixes = SUFFIXES[want.kind]
    remote = remote_of(want.path, remotes, want.what)
    if remote is None:
        files = tuple(Listed(path, (root / path).stat().st_size) for path in local(want, root))
        found = Listing(files)
    else:
        found = remote.listing(want.path, suffixes)
    if not found.files:
        raise UserError(f"{want.what}: nothing at `{want.path}` ends in {' or '.join(suffixes)}")
    if want.single and len(found.files) > 1:
        raise UserError(f"{want.what}: `{want.path}` names {len(found.files)} files where one is asked for")
    return found


def local(want: Want, root: Path) -> list[str]:
    """POSIX paths, relative to `root`, of the project's files that a path names, sorted.

    Raises:
        UserError: if the path is absolute, leads out of the project, or no file is there.
    """
    where = f"{want.what}: path `{want.path}`"
    if Path(want.path).is_absolute():
        raise UserError(f"{where} is absolute; give it relative to the project (a symbolic link inside it will do)")
    if ".." in Path(want.path).parts:
        raise UserError(f"{where} leads out of the project; make a symbolic link inside it instead")
    place, suffixes = root / want.path, SUFFIXES[want.kind]
    if place.is_file():
        return [Path(want.path).as_posix()]
    if place.is_dir():
        found = [path for path in place.rglob("*") if path.name.endswith(suffixes) and path.is_file()]
        hint = f"holds no file that ends in {' or '.join(suffixes)}; give a glob for other names"
    else:
        try:
            found = [path for path in root.glob(want.path) if path.is_file()]
        except (ValueError, NotImplementedError) as error:
            raise UserError(f"{where} is no path or glob inside the project: {error}") from None
        hint = "matches no file; it may be a file, a directory or a glob, relative to the project"
    found = [path for path in found if not path.name.endswith(".dvc")]
    if not found:
        raise UserError(f"{where} {hint}")
    return sorted(path.relative_to(root).as_posix() for path in found)
