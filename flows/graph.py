"""What DVC knows about the build graph: which stages are stale, which locks are dead, what is not pushed.

The graph itself is `slipway.graph`; here is only its state. DVC is asked in process (0.1 s for all stages),
stages run as processes of their own (`flows.stages`).
"""

import json
import os
import threading
from pathlib import Path

from slipway.errors import UserError
from slipway.files import combined, sha256_file, write_atomic
from slipway.graph import stages

_ONE_AT_A_TIME = threading.Lock()


def stale(root: Path, stage: str | None = None) -> list[str]:
    """Stages whose command, code, settings, inputs or outputs differ from `dvc.lock`, as DVC judges.

    Only what lies on the disk now is judged: a stage behind a stale one may become stale by its new inputs.
    So an empty list means that nothing is to do. `stage` asks for one stage only.
    """
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    try:
        # The repository object is not safe for threads; the private flag waits for other DVC processes.
        with _ONE_AT_A_TIME, Repo(str(root), _wait_for_lock=True) as repo:
            # A bare name would be looked up in the working directory, which may be another.
            changed = repo.status(targets=[f"{root / 'dvc.yaml'}:{stage}"] if stage else None)
    except DvcException as error:
        raise UserError(f"DVC cannot read the build graph in {root}: {error}") from error
    return sorted(name.rpartition(":")[2] for name in changed)


def sort_lock(root: Path) -> None:
    """Put the stages of `dvc.lock` in the order of the graph.

    DVC appends them as they finish, which with stages side by side is chance.
    """
    from dvc.utils.serialize import dump_yaml, load_yaml

    path = root / "dvc.lock"
    if not path.exists():
        return
    lock = load_yaml(path)
    order = [name for name in stages(root / "dvc.yaml") if name in lock["stages"]]
    if list(lock["stages"]) != order:
        lock["stages"] = {name: lock["stages"][name] for name in order}
        temporary = path.with_suffix(".lock.new")
        dump_yaml(temporary, lock)
        temporary.replace(path)


def drop_dead_locks(root: Path) -> None:
    """Remove from DVC's table of path locks what killed processes left there.

    DVC itself drops entries of pids that are gone, but not of pids that were given to another program
    since, nor a table that was torn in the middle of a write. Entries of a living DVC stay.
    """
    import psutil

    table = root / ".dvc" / "tmp" / "rwlock"
    try:
        locks = json.loads(table.read_text("utf-8"))
    except FileNotFoundError:
        return
    except json.JSONDecodeError:
        table.unlink()
        return

    def alive(entry: dict) -> bool:
        try:
            return any("dvc" in Path(part).name for part in psutil.Process(entry["pid"]).cmdline())
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            return False

    write = {path: entry for path, entry in locks.get("write", {}).items() if entry and alive(entry)}
    read = {path: kept for path, entries in locks.get("read", {}).items() if (kept := list(filter(alive, entries)))}
    if write != locks.get("write", {}) or read != locks.get("read", {}):
        write_atomic(table, json.dumps({"write": write, "read": read}))


def remote(root: Path) -> str | None:
    """Name of the remote to push to: `SLIPWAY_DVC_REMOTE`, else DVC's default; None when there is none."""
    from dvc.repo import Repo

    if name := os.environ.get("SLIPWAY_DVC_REMOTE"):
        return name
    with _ONE_AT_A_TIME, Repo(str(root)) as repo:
        return repo.config["core"].get("remote")


def _state(root: Path) -> str:
    files = [root / "dvc.lock", root / ".dvc" / "config", root / ".dvc" / "config.local"]
    known = {path.name: sha256_file(path) for path in files if path.exists()}
    return combined({**known, "remote": os.environ.get("SLIPWAY_DVC_REMOTE", "")})


def pushed(root: Path) -> bool:
    """Whether this very `dvc.lock` was pushed to this very remote already."""
    marker = root / ".slipway" / "pushed"
    return marker.exists() and marker.read_text("utf-8").strip() == _state(root)


def mark_pushed(root: Path) -> None:
    """Remember that the present `dvc.lock` is on the remote."""
    write_atomic(root / ".slipway" / "pushed", _state(root) + "\n")
