"""`inputs.lock`: what the recipe's inputs held when they were locked. JSON, written by `slipway lock` only.

A package is locked by version and one digest over the `(sha256, path)` lines of its used files in RECORD; any
other input by path, size and sha256 of every file, and the revision where there is one. What is local is compared
before every build, by its bytes; what is remote is fetched by `acquire`, once, and compared before it is read.
"""

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from slipway.data.sources import pydocs, wanted
from slipway.data.sources.downloads import Downloads
from slipway.data.sources.held import Held, Inputs
from slipway.errors import Refusal, UserError
from slipway.files import Listed, sha256_file, write_atomic
from slipway.recipe import Recipe
from slipway.settings import PydocsSource

NAME = "inputs.lock"
FORMAT = 2
NAMED, ALONE = ("sources", "tasks"), ("base", "teacher", "baseline")
_SHA256 = re.compile(r"[0-9a-f]{64}")
SHOWN = 10
"""Files of one input that are named one by one when many differ."""

Entries = dict[str, dict[str, Any]]
"""`sources/<name>`, `tasks/<name>`, `base`, `teacher` or `baseline` -> what is locked of it."""
Note = Callable[[int, int, str], None]


def write_lock(recipe: Recipe, root: Path, remotes: Mapping[str, wanted.Remote], note: Note | None = None) -> list[str]:
    """Write `inputs.lock` for what the inputs hold now; remote files are fetched for their digests.

    Returns: a line per difference to the old lock; `["no change"]` if there is none.
    """
    path, downloads = Path(root) / NAME, Downloads(Path(root), remotes, note)
    new = _packages(recipe)
    for want in wanted.wants(recipe):
        found = wanted.listing(want, Path(root), remotes)
        files = {}
        for listed in found.files:
            remote = wanted.remote_of(listed.path, remotes, want.what)
            if remote:
                sha256 = listed.sha256 or downloads.take(listed, remote, found.revision)
            else:
                sha256 = sha256_file(Path(root) / listed.path)
            etag = {"etag": listed.etag} if listed.etag else {}
            files[listed.path] = {"bytes": listed.bytes, "sha256": sha256, **etag}
        new[_key(want)] = {"path": want.path, "revision": found.revision, "files": files}
    lines: list[str] = []
    old: Entries = {}
    if path.exists():
        try:
            old = _read(path)
        except Refusal as error:
            lines.append(f"replaced, because it could not be read: {error}")
    lines += differences(old, new)
    write_atomic(path, _dumped(new))
    return lines or ["no change"]


def check_lock(recipe: Recipe, root: Path) -> Entries:
    """Compare packages and local files, byte by byte, with `inputs.lock`; returns what is locked.

    Raises:
        Refusal: naming every input with the package or file that differs, or that is not locked.
    """
    locked = _read(Path(root) / NAME)
    now = _packages(recipe)
    for want in wanted.wants(recipe):
        entry = locked.get(_key(want), {})
        if wanted.scheme(want.path) is not None:
            # What lies elsewhere is compared when it is fetched; that it is pinned, and as the recipe says, now.
            now[_key(want)] = {**entry, "path": want.path} if entry else {"path": want.path, "files": {}}
            continue
        files = {file.path: _file(Path(root) / file.path) for file in wanted.listing(want, Path(root), {}).files}
        now[_key(want)] = {"path": want.path, "revision": None, "files": files}
    if lines := differences(locked, now):
        listed = "\n".join(f"  {line}" for line in lines[:20])
        more = f"\n  … and {len(lines) - 20} more" if lines[20:] else ""
        raise Refusal(
            f"the inputs are not what {NAME} says:\n{listed}{more}\n"
            "Restore them (packages: pip install -c constraints.txt), or accept what is here: slipway lock"
        )
    return locked


def fetch(recipe: Recipe, root: Path, remotes: Mapping[str, wanted.Remote], note: Note | None = None) -> Inputs:
    """Check the lock, fetch what is not here, and hand on files whose digests are those of the lock.

    Raises:
        Refusal: as `check_lock`; and for a fetched file that is not what the lock says, before anything reads it.
    """
    root = Path(root)
    locked, downloads = check_lock(recipe, root), Downloads(root, remotes, note)
    held: dict[str, tuple[Held, ...]] = {}
    for want in wanted.wants(recipe):
        entry = locked[_key(want)]
        files = []
        for path, file in entry["files"].items():
            remote = wanted.remote_of(path, remotes, want.what)
            listed = Listed(path, file["bytes"], file["sha256"])
            place = downloads.locked(listed, remote, entry["revision"]) if remote else root / path
            files.append(Held(path, place, file["sha256"], entry["revision"]))
        held[_key(want)] = tuple(files)
    return Inputs(
        sources={key.removeprefix("sources/"): files for key, files in held.items() if key.startswith("sources/")},
        tasks={key.removeprefix("tasks/"): files[0] for key, files in held.items() if key.startswith("tasks/")},
        base=held.get("base", ()),
        teacher=held.get("teacher", ()),
        baseline=held["baseline"][0] if "baseline" in held else None,
    )


def _dumped(entries: Entries) -> str:
    """The lock as JSON: `sources` and `tasks` by name, the other parts alone."""
    document: dict[str, Any] = {"lock": FORMAT, "sources": {}}
    for key, entry in entries.items():
        part, _, name = key.partition("/")
        if name:
            document.setdefault(part, {})[name] = entry
        else:
            document[part] = entry
    return json.dumps(document, indent=2, sort_keys=True) + "\n"


def _key(want: wanted.Want) -> str:
    return f"{want.part}/{want.name}" if want.part in ("sources", "tasks") else want.part


def _file(path: Path) -> dict[str, Any]:
    return {"bytes": path.stat().st_size, "sha256": sha256_file(path)}


def _packages(recipe: Recipe) -> Entries:
    return {
        f"sources/{source.name}": {
            "kind": "pydocs",
            "packages": {
                p.name: {"version": p.version, "files": len(p.files), "digest": p.digest}
                for p in pydocs.packages(source)
            },
        }
        for source in recipe.acquire.sources
        if isinstance(source, PydocsSource)
    }


def _read(path: Path) -> Entries:
    try:
        document = json.loads(path.read_text("utf-8"))
        if (found := document.get("lock")) != FORMAT:
            raise Refusal(
                f"{path.name} has format {found}, and this version of Slipway reads {FORMAT}; write it again and look "
                "at what changed: slipway lock"
            )
        entries = {f"{part}/{name}": entry for part in NAMED for name, entry in document.get(part, {}).items()}
        entries |= {part: document[part] for part in ALONE if part in document}
        for name, entry in entries.items():
            _check(_title(name), entry)
    except FileNotFoundError:
        raise Refusal(
            f"{path.name}: missing, so nothing says what the inputs should hold; write it: slipway lock"
        ) from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Refusal(f"{path.name} is damaged ({error}); write it again: slipway lock") from None
    return entries


def _check(title: str, entry: dict[str, Any]) -> None:
    """Raises an error of Python's for what `write_lock` does not write; `_read` makes a refusal of it."""
    items = _items(entry)
    if not isinstance(items, dict) or not items:
        raise TypeError(f"{title} lists neither packages nor files")
    if "packages" in entry:
        if odd := [name for name, package in items.items() if not isinstance(package, dict)]:
            raise TypeError(f"{title}: {odd[0]} has no version and no digest")
        return
    for path, file in items.items():
        if not isinstance(file["bytes"], int) or not _SHA256.fullmatch(file["sha256"]):
            raise TypeError(f"{title}: {path} has no size or no sha256")
        if wanted.scheme(path) != wanted.scheme(entry["path"]):
            raise TypeError(f"{title}: {path} is not at {entry['path']}")
    if not isinstance(entry["revision"], str | None):
        raise TypeError(f"{title} has no revision")


def differences(old: Entries, new: Entries) -> list[str]:
    """One line per input, package or file that differs, naming both values; many changed files are summed up."""
    lines = [f"{_title(name)}: in the lock, not in the recipe" for name in old if name not in new]
    for name, entry in new.items():
        title = _title(name)
        if name not in old:
            lines.append(f"{title}: not in the lock ({_summary(entry)})")
            continue
        lines += [
            f"{title}: {word} {old[name].get(word)} in the lock, {entry.get(word)} here"
            for word in ("path", "revision")
            if old[name].get(word) != entry.get(word)
        ]
        before, now = _items(old[name]), _items(entry)
        changed = [item for item in sorted(before.keys() | now.keys()) if before.get(item) != now.get(item)]
        lines += [
            f"{title}: {item}: {_value(before.get(item))} in the lock, {_value(now.get(item))} here"
            for item in changed[:SHOWN]
        ]
        if rest := changed[SHOWN:]:
            added, gone = sum(item not in before for item in rest), sum(item not in now for item in rest)
            lines.append(
                f"{title}: {len(rest)} more files: {added} added, {gone} removed, {len(rest) - added - gone} changed"
            )
    return lines


def _title(key: str) -> str:
    part, _, name = key.partition("/")
    return {"sources": f"source {name}", "tasks": f"task {name}"}.get(part, part)


def _items(entry: dict[str, Any]) -> dict[str, Any]:
    return entry.get("packages") or entry.get("files") or {}


def _summary(entry: dict[str, Any]) -> str:
    if "packages" in entry:
        return f"{len(entry['packages'])} packages"
    files = entry["files"].values()
    return f"{len(files)} files, {sum(file['bytes'] for file in files):,} bytes"


def _value(value: Any) -> str:
    if value is None:
        return "nothing"
    if "version" in value:
        return f"version {value['version']} with {value.get('files')} files, digest {str(value.get('digest'))[:16]}…"
    etag = f", ETag {value['etag']}" if "etag" in value else ""
    return f"{value['bytes']:,} bytes, sha256 {str(value['sha256'])[:16]}…{etag}"


def version_of(inputs: tuple[Held, ...]) -> str | None:
    """The commit that files come from, if they come from one."""
    versions = {held.version for held in inputs}
    if len(versions) > 1:
        raise UserError(
            f"files of one source from several revisions: {', '.join(map(str, sorted(map(str, versions))))}"
        )
    return next(iter(versions), None)
