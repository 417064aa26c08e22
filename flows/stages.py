"""One stage as a process: run by DVC in a group of its own, its lines passed on live, ended without orphans.

No Prefect here: `flows.build` wraps `Stages.build` in tasks.
"""

import os
import re
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from flows.graph import drop_dead_locks, remote, stale
from slipway import processes
from slipway.graph import stages

# DVC's own lines, which say nothing that the table does not.
_NOISE = re.compile(
    r"^(Running stage '|Use `dvc push`|Updating lock file|Generating lock file|To track the changes with git"
    r"|\tgit add |To enable auto staging|\tdvc config core\.autostage|Restored stage '"
    r"|Process '.*had been killed\. Auto removed)"
)
_ECHO = re.compile(r"^ERROR: failed to reproduce '.*': failed to run: ")
_RESTORED = re.compile(r"is cached - skipping run")


@dataclass(frozen=True)
class Outcome:
    """How a stage ended: `cached` (nothing to do), `restored` (from DVC's cache), `ran` or `failed`."""

    stage: str
    result: str
    seconds: float
    lines: tuple[str, ...] = ()
    """The last lines that it wrote."""


class Stages:
    """Runs the stages of one build and can end all of them at once."""

    def __init__(self, root: Path, force: frozenset[str] = frozenset(), environment: dict[str, str] | None = None):
        self.root, self.force = root, force
        self.environment = {
            **processes.without_secrets(),
            **(environment or {}),
            "PYTHONUNBUFFERED": "1",
            "SLIPWAY_SUPERVISOR_PID": str(os.getpid()),
            # `python` and the shell of a stage's command are ours, whatever the terminal has.
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
            "SHELL": "/bin/sh",
        }
        self._commands = {f"> {stage.cmd}" for stage in stages(root / "dvc.yaml").values()}
        self._running: dict[str, int] = {}
        self._stopped = False
        self._lock = threading.Lock()

    def build(self, stage: str, echo: Callable[[str], None]) -> Outcome:
        """Bring one stage up to date; the stages it reads from have ended well before."""
        started = time.perf_counter()
        forced = stage in self.force
        if not forced and not stale(self.root, stage):
            return Outcome(stage, "cached", time.perf_counter() - started)
        command = [sys.executable, "-m", "dvc", "--wait-for-lock", "repro", "--single-item"]
        code, lines, restored = self._run(
            stage, [*command, *(["--force"] if forced else []), stage], echo, forced=forced
        )
        lines = tuple(line for line in lines if not _ECHO.match(line)) or lines
        result = "failed" if code else "restored" if restored else "ran"
        return Outcome(stage, result, time.perf_counter() - started, lines)

    def push(self, echo: Callable[[str], None]) -> Outcome:
        """Copy what the stages made to the remote that `flows.graph.remote` names."""
        started = time.perf_counter()
        command = [sys.executable, "-m", "dvc", "--wait-for-lock", "push", "--remote", remote(self.root) or ""]
        code, lines, _ = self._run("push", command, echo)
        return Outcome("push", "failed" if code else "ran", time.perf_counter() - started, lines)

    def _run(
        self, name: str, command: list[str], echo: Callable[[str], None], *, forced: bool = False
    ) -> tuple[int, tuple[str, ...], bool]:
        note = _notes(self.root) / f"{name}.json"
        with self._lock:
            if self._stopped:
                return 1, ("the build was stopped",), False
            env = {**self.environment, "SLIPWAY_FORCED": "1"} if forced else self.environment
            process = processes.start(command, cwd=self.root, env=env)
            self._running[name] = process.pid
        last: deque[str] = deque(maxlen=12)
        restored = False
        try:
            processes.record(note, process.pid)
            for line in process.stdout or ():
                text = line.rstrip()
                if text in self._commands:
                    continue
                restored |= bool(_RESTORED.search(text))
                if text and not _NOISE.match(text):
                    last.append(text)
                    if not _ECHO.match(text):
                        echo(text)
            return process.wait(), tuple(last), restored
        finally:
            processes.end(process.pid)
            process.wait()
            note.unlink(missing_ok=True)
            with self._lock:
                del self._running[name]

    def stop(self) -> None:
        """End every running stage with all its processes; later ones do not start."""
        with self._lock:
            self._stopped = True
            running = list(self._running.values())
        for pid in running:
            processes.end(pid)


def _notes(root: Path) -> Path:
    return root / ".slipway" / "running"


def clean_up(root: Path) -> list[str]:
    """End stages that a killed build left running and drop its dead locks; only under the build lock.

    Returns: the names of the stages that had to be ended.
    """
    ended = []
    for note in sorted(_notes(root).glob("*.json")):
        if facts := processes.recorded(note):
            processes.end(facts["pid"])
            ended.append(note.stem)
        note.unlink(missing_ok=True)
    drop_dead_locks(root)
    return ended
