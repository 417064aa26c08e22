"""`inputs.lock`: what the sources held when the recipe was locked. JSON, written by `slipway lock` only.

A package is locked by version and one digest over the `(sha256, path)` lines of its used files in RECORD; a
local file by its own sha256. Checking reads RECORD and hashes local files, so it is cheap enough for every
build; that package files are what RECORD says is checked when they are read.
"""

import json
from pathlib import Path
from typing import Any

from slipway.data.sources import files, pydocs
from slipway.errors import Refusal, UserError
from slipway.files import write_atomic
from slipway.recipe import Recipe
from slipway.settings import PydocsSource, Source

NAME = "inputs.lock"


def _entry(source: Source, root: Path) -> dict[str, Any]:
    if isinstance(source, PydocsSource):
        held = {
            p.name: {"version": p.version, "files": len(p.files), "digest": p.digest} for p in pydocs.packages(source)
        }
        return {"kind": "pydocs", "packages": held}
    return {"kind": source.kind, "files": files.lock_entry(source, root)}


def _current(recipe: Recipe, root: Path) -> dict[str, Any]:
    names = [source.name for source in recipe.acquire.sources]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise UserError(f"acquire.sources: the name `{twice[0]}` is used twice; give each source its own")
    return {source.name: _entry(source, root) for source in recipe.acquire.sources}


def _read(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text("utf-8"))
        sources = {name: dict(entry) for name, entry in document["sources"].items()}
        if wrong := [n for n, e in sources.items() if not isinstance(e.get("packages") or e.get("files"), dict)]:
            raise TypeError(f"source {wrong[0]} lists neither packages nor files")
    except FileNotFoundError:
        raise Refusal(
            f"{path.name}: missing, so nothing says what the sources should hold; write it: slipway lock"
        ) from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Refusal(f"{path.name} is damaged ({error}); write it again: slipway lock") from None
    return sources


def differences(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """One line per source, package or file that differs, naming both values."""
    lines = [f"source {name}: in the lock, not in the recipe" for name in old if name not in new]
    for name, entry in new.items():
        if name not in old:
            lines.append(f"source {name}: not in the lock")
            continue
        part = "packages" if entry["kind"] == "pydocs" else "files"
        before, now = old[name].get(part) or {}, entry[part]
        lines += [
            f"source {name}: {item}: {_value(before.get(item))} in the lock, {_value(now.get(item))} here"
            for item in sorted(before.keys() | now.keys())
            if before.get(item) != now.get(item)
        ]
    return lines


def _value(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return (
            f"version {value.get('version')} with {value.get('files')} files, digest {str(value.get('digest'))[:16]}…"
        )
    return f"sha256 {str(value)[:16]}…"


def write_lock(recipe: Recipe, root: Path) -> list[str]:
    """Write `inputs.lock` for what the sources hold now.

    Returns: a line per difference to the old lock; `["no change"]` if there is none.
    """
    path = Path(root) / NAME
    new = _current(recipe, Path(root))
    lines: list[str] = []
    old: dict[str, Any] = {}
    if path.exists():
        try:
            old = _read(path)
        except Refusal as error:
            lines.append(f"replaced, because it could not be read: {error}")
    lines += differences(old, new)
    write_atomic(path, json.dumps({"lock": 1, "sources": new}, indent=2, sort_keys=True) + "\n")
    return lines or ["no change"]


def check_lock(recipe: Recipe, root: Path) -> None:
    """Compare what the sources hold with `inputs.lock`.

    Raises:
        Refusal: naming every source with the package or file that differs.
    """
    lines = differences(_read(Path(root) / NAME), _current(recipe, Path(root)))
    if lines:
        listed = "\n".join(f"  {line}" for line in lines[:20]) + (
            f"\n  … and {len(lines) - 20} more" if lines[20:] else ""
        )
        raise Refusal(
            f"the sources are not what {NAME} says:\n{listed}\n"
            "Restore them (packages: pip install -c constraints.txt), or accept what is here: slipway lock"
        )
