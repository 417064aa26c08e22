"""Symbolic links among the files that a directory or a glob names.

Rules: a link to a file counts like the file, as long as it leads to somewhere below the project, or below what the
beginning of the path (up to its first wildcard) leads to: so a whole corpus may be linked into the project, but a
stray link does not pull `/etc/passwd` into it. A link that leads nowhere or in a circle is an error, and so is a
linked directory inside a directory, which would be left out in silence.
"""

from collections.abc import Iterable
from pathlib import Path

from slipway.errors import UserError

_WILDCARDS = frozenset("*?[")


def checked(found: Iterable[Path], path: str, root: Path, suffixes: tuple[str, ...]) -> list[Path]:
    """Those of `found` that are files.

    Args:
        found: what the directory or glob `path` of the recipe gave.
        path: as the recipe says, relative to `root`.
        root: the project.
        suffixes: how a file must end for a dead link to be missed.

    Raises:
        UserError: naming the link that breaks a rule.
    """
    fixed: list[str] = []
    for part in Path(path).parts:
        if _WILDCARDS & set(part):
            break
        fixed.append(part)
    allowed = [root.resolve(), root.joinpath(*fixed).resolve()]
    files = []
    for place in found:
        name = place.relative_to(root).as_posix()
        link = place.is_symlink()
        if place.is_file():
            # Also a plain file may lie behind a directory that is a link.
            if not any(map(place.resolve().is_relative_to, allowed)):
                raise UserError(
                    f"{name}: leads out of the project, to {place.resolve()}; name that as a source of its own"
                )
            files.append(place)
        elif link and place.is_dir():
            raise UserError(f"{name}: a link to a directory, which is not followed; name it as a source of its own")
        elif link and name.endswith(suffixes):
            raise UserError(f"{name}: a link that leads nowhere; mend or remove it")
    return files
