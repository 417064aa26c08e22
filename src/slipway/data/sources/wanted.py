"""Which files the recipe asks for, and where they are: in the project, or behind an address.

A path with a scheme belongs to a `Remote`, which an adapter brings; any other path is a file, a directory or a
glob below the project. A symbolic link there counts as the file it leads to, whose bytes are locked.
"""

import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from slipway.data.sources import links
from slipway.errors import UserError
from slipway.files import Listed, Listing
from slipway.recipe import Recipe
from slipway.settings import FileSource

PACKED = ("", ".gz", ".zst")
SUFFIXES = {
    "jsonl": tuple(f"{name}{packed}" for name in (".jsonl", ".ndjson") for packed in PACKED),
    "parquet": (".parquet",),
    "text": tuple(f"{name}{packed}" for name in (".txt", ".md", ".rst") for packed in PACKED),
    "base": (".safetensors", ".json", ".txt", ".jinja", ".md", "LICENSE", "NOTICE"),
    "task": tuple(f".jsonl{packed}" for packed in PACKED),
    "baseline": (".json",),
}


class Remote(Protocol):
    """A place that is not this machine. Errors are UserErrors that name the address."""

    def listing(self, path: str, suffixes: tuple[str, ...]) -> Listing:
        """The files at an address: one file, or those below it that end in one of `suffixes`, or match its glob."""

    def fetch(self, file: Listed, revision: str | None, target: Path, note: Callable[[int], None]) -> None:
        """Write the bytes of a listed file, of that commit, to `target`; `note` gets the bytes of each piece.

        Raises:
            Refusal: if the file is gone, or has another size than listed.
        """


# Control characters, line ends, and what Python makes of bytes that are not UTF-8.
_UNUSABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
# What a causal model and its tokenizer load, and its licence. A pickle or a script beside them is not even fetched.
_OF_A_BASE = re.compile(
    r"(generation_|tokenizer_)?config\.json|tokenizer\.json|special_tokens_map\.json|added_tokens\.json|vocab\.(json|txt)"
    r"|merges\.txt|chat_template\.jinja|.+\.safetensors|model\.safetensors\.index\.json|LICENSE(\.txt|\.md)?|NOTICE"
)


@dataclass(frozen=True)
class Want:
    """One path of the recipe."""

    part: str
    """Part of the lock: sources, tasks, base, teacher or baseline."""
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
    for part, model in (("base", recipe.acquire.base), ("teacher", recipe.acquire.teacher)):
        if model:
            found.append(Want(part, part, "base", model.path))
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
    if want.kind == "base":
        found = Listing(_loadable(found.files), found.revision)
    for file in found.files:
        if _UNUSABLE.search(file.path):
            raise UserError(
                f"{want.what}: the name {file.path!a} holds a control character or bytes that are not UTF-8; ids and "
                "records are made of it: rename the file"
            )
    if not found.files:
        raise UserError(f"{want.what}: nothing at `{want.path}` ends in {' or '.join(suffixes)}")
    if want.single and len(found.files) > 1:
        raise UserError(f"{want.what}: `{want.path}` names {len(found.files)} files where one is asked for")
    return found


def _loadable(files: tuple[Listed, ...]) -> tuple[Listed, ...]:
    """Of a model's files those that are loaded; copies of the weights in folders below (`original/`) are left."""
    kept = [file for file in files if _OF_A_BASE.fullmatch(file.path.rpartition("/")[2])]
    top = min((file.path.count("/") for file in kept), default=0)
    return tuple(file for file in kept if file.path.count("/") == top)


def local(want: Want, root: Path) -> list[str]:
    """POSIX paths, relative to `root`, of the project's files that a path names, sorted.

    Raises:
        UserError: if the path is absolute, leads out of the project, or no file is there.
    """
    where = f"{want.what}: path `{want.path}`"
    if not want.path:
        raise UserError(f"{where} is empty; name a file, a directory or a glob inside the project")
    if Path(want.path).is_absolute():
        raise UserError(f"{where} is absolute; give it relative to the project (a symbolic link inside it will do)")
    if ".." in Path(want.path).parts:
        raise UserError(f"{where} leads out of the project; make a symbolic link inside it instead")
    place, suffixes = root / want.path, SUFFIXES[want.kind]
    if place.is_file():
        return [Path(want.path).as_posix()]
    if place.is_dir():
        found = links.checked(_below(place), want.path, root, suffixes)
        found = [path for path in found if path.name.endswith(suffixes)]
        hint = f"holds no file that ends in {' or '.join(suffixes)}; give a glob for other names"
    else:
        try:
            found = links.checked(root.glob(want.path), want.path, root, suffixes)
        except (ValueError, NotImplementedError) as error:
            raise UserError(f"{where} is no path or glob inside the project: {error}") from None
        hint = "matches no file; it may be a file, a directory or a glob, relative to the project"
        if (root / f"{want.path}.dvc").is_file():
            hint = f"is tracked by DVC and not here; bring it: dvc pull {want.path}"
    found = [path for path in found if not path.name.endswith(".dvc")]
    if not found:
        raise UserError(f"{where} {hint}")
    return sorted(path.relative_to(root).as_posix() for path in found)


def _below(directory: Path) -> Iterator[Path]:
    """All that is below a directory; unlike `rglob`, not in silence less where a directory may not be read."""

    def stop(error: OSError) -> None:
        raise error

    for at, folders, files in os.walk(directory, onerror=stop):
        yield from (Path(at, name) for name in (*folders, *files))
