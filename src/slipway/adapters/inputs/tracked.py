"""DVC-tracked inputs: a path that is not there, but `<path>.dvc` is, is pulled from DVC's remote.

DVC compares what it brings with the md5 in the `.dvc` file; `inputs.lock` is compared afterwards, as for any file.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from slipway.errors import UserError


def pull(root: Path, paths: Iterable[str]) -> list[str]:
    """Bring what DVC tracks and the working tree lacks; returns the `.dvc` files that were pulled.

    Args:
        root: the project.
        paths: as the recipe gives them: files, directories or globs; addresses are passed over.

    Raises:
        UserError: naming the `.dvc` files, if DVC cannot bring them.
    """
    missing = sorted({found for path in paths if "://" not in path for found in _missing(root, path)})
    if not missing:
        return []
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    try:
        with Repo(str(root)) as repo:
            repo.pull(targets=[str(root / name) for name in missing])
    except DvcException as error:
        raise UserError(
            f"{', '.join(missing)}: dvc pull failed: {error}; see `dvc remote list` and `dvc pull -v`"
        ) from None
    return missing


def _missing(root: Path, path: str) -> Iterator[str]:
    """The `.dvc` files beside or above what `path` names, or below it, whose output is not there."""
    pure = PurePosixPath(path)
    if not pure.name or pure.is_absolute() or ".." in pure.parts:
        return
    patterns = [f"{part}.dvc" for part in (pure, *pure.parents) if part.name]
    if (root / path).is_dir():
        patterns.append(f"{path.rstrip('/')}/**/*.dvc")
    for pattern in patterns:
        try:
            places = list(root.glob(pattern))
        except (ValueError, NotImplementedError):
            continue  # no glob at all, as `a/**b`: whoever looks for the input itself says so
        for found in places:
            if found.is_file() and not found.with_suffix("").exists():
                yield found.relative_to(root).as_posix()
