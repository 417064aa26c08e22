"""The command behind `slipway build`: skips Prefect when nothing is stale, else runs the flow; the table; the lock.

Light on purpose: Prefect is imported (2 s) and served only when there is work for it.
"""

import argparse
import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Self

from flows import graph
from flows.stages import Outcome, Stages, clean_up
from slipway.errors import UserError
from slipway.graph import stages


class Lock:
    """One build at a time in a project; a second one says who is at it and waits."""

    def __init__(self, root: Path) -> None:
        from filelock import FileLock

        self._owner = root / ".slipway" / "build.owner"
        self._owner.parent.mkdir(parents=True, exist_ok=True)
        self._lock = FileLock(root / ".slipway" / "build.lock")

    def __enter__(self) -> Self:
        from filelock import Timeout

        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            owner = self._owner.read_text("utf-8").strip() if self._owner.exists() else "unknown"
            print(f"another build runs here (pid {owner}); waiting until it ends", flush=True)
            self._lock.acquire(poll_interval=0.5)
        self._owner.write_text(f"{os.getpid()}\n", "utf-8")
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.release()


def check_names(root: Path, names: list[str]) -> None:
    """Refuse to force a stage that does not exist, naming the ones that do."""
    declared = stages(root / "dvc.yaml")
    if unknown := [name for name in names if name not in declared]:
        raise UserError(f"--force {' '.join(unknown)}: no such stage in dvc.yaml; there are {', '.join(declared)}")


def print_table(rows: list[Outcome]) -> None:
    """One line per stage: what happened and how long it took."""
    from rich.console import Console
    from rich.table import Table

    styles = {"failed": "bold red", "skipped": "yellow", "ran": "green"}
    table = Table("stage", "result", "seconds", box=None, pad_edge=False)
    table.columns[2].justify = "right"
    for row in rows:
        table.add_row(row.stage, row.result, f"{row.seconds:.1f}", style=styles.get(row.result, "dim"))
    Console(highlight=False).print(table)


def up_to_date(root: Path) -> bool:
    """Whether nothing is to do; prints the table then, and pushes what an earlier build could not push.

    Raises:
        Refusal: if a source is not as `inputs.lock` says.
    """
    from flows import hooks

    # DVC does not watch what lies outside the project: a source may have changed though no stage is stale.
    hooks.preflight()
    with Lock(root):
        clean_up(root)
        if graph.stale(root):
            return False
        rows = [Outcome(name, "cached", 0.0) for name in stages(root / "dvc.yaml")]
        if graph.remote(root) is not None and not graph.pushed(root):
            pushed = Stages(root).push(lambda line: print(f"[push] {line}", flush=True))
            rows.append(pushed)
            if pushed.result == "failed":
                raise UserError("push failed:\n" + "\n".join(f"  {line}" for line in pushed.lines[-5:]))
            graph.mark_pushed(root)
    print_table(rows)
    return True


def end_by_exception(number: int, _: FrameType | None) -> None:
    # An exception instead of a silent death, so that every `finally` ends its processes.
    sys.exit(128 + number)


def main(argv: list[str] | None = None) -> int:
    """`python -m flows.build [--force STAGE ...]`; returns the exit code, 0 only if everything is built."""
    parser = argparse.ArgumentParser(prog="slipway build", description="Bring the bundle up to date.")
    parser.add_argument("--force", nargs="+", default=[], metavar="STAGE", help="run these stages in any case")
    force = parser.parse_args(argv).force
    root = Path.cwd()
    signal.signal(signal.SIGTERM, end_by_exception)
    try:
        check_names(root, force)
        if not force and up_to_date(root):
            return 0
        from flows.server import prefect_api

        with prefect_api(root):
            from flows.build import build

            build(force)
    except UserError as error:
        print(f"slipway build: {error}", file=sys.stderr, flush=True)
        return error.exit_code
    except KeyboardInterrupt:
        print("slipway build: stopped", file=sys.stderr, flush=True)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
