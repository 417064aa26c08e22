"""The scan in child processes: whatever a file does to its judge, the verdict on it is REFUSE and the others go on.

Every path is judged by a process of its own, forked from one that has read the code already. It has a limit of time
(30 s, and 5 s for each GB), of memory (512 MB beside what it begins with), writes no file and opens no connection.
A child that runs out of one of them, crashes or says nothing has not judged: finding `scan.incomplete`.

>>> judge([Task(Path("bundle"), max_file_bytes=50_000_000_000)])[0].passed
True
"""

import contextlib
import json
import os
import re
import resource
import selectors
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from slipway.errors import Refusal
from slipway.records import Finding, ScanReport
from slipway.scan import files, verdict

SECONDS = 30.0
SECONDS_PER_GB = 5.0
MEMORY = 512 << 20
FORBIDDEN = (
    "socket.connect",
    "socket.bind",
    "socket.getaddrinfo",
    "socket.sendto",
    "os.remove",
    "os.rename",
    "os.rmdir",
)
Tell = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Task:
    """One path to judge; the arguments are those of `slipway.scan.verdict.scan`."""

    path: Path
    max_file_bytes: int
    bundle_digest: str = ""
    shared: bool = False


@dataclass
class _Child:
    number: int
    pid: int
    deadline: float
    patience: float
    parts: list[bytes] = field(default_factory=list)


def judge(
    tasks: Sequence[Task], tell: Tell | None = None, *, seconds: float = SECONDS, memory: int = MEMORY
) -> list[ScanReport]:
    """Judge every task in a process of its own, as many at once as there are processors.

    Args:
        tasks: what to judge.
        tell: told work done, work in all, and a note: bytes of a single task, tasks of several.
        seconds: time for each task, beside what its size adds.
        memory: bytes for each child, beside what this process has.

    Returns: reports in the order of the tasks.
    """
    _preload(len(tasks))
    waiting = deque(enumerate(tasks))
    reports: dict[int, ScanReport] = {}
    at_once = min(os.cpu_count() or 1, 8)
    with selectors.DefaultSelector() as selector:
        try:
            while waiting or selector.get_map():
                while waiting and len(selector.get_map()) < at_once:
                    number, task = waiting.popleft()
                    reader, child = _start(number, task, seconds, memory)
                    selector.register(reader, selectors.EVENT_READ, child)
                for report, child in _serve(selector, tell if len(tasks) == 1 else None):
                    reports[child.number] = report
                    if tell and len(tasks) > 1:
                        tell(len(reports), len(tasks), str(tasks[child.number].path))
        finally:
            for key in list(selector.get_map().values()):
                _end(key.data)
    return [reports[number] for number in range(len(tasks))]


def _preload(tasks: int) -> None:
    """Read what children need once, here; numpy, with its threads and memory, only if many would read it."""
    if tasks > 1:
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
        import numpy as np  # noqa: F401

    import jinja2.sandbox  # noqa: F401
    import markdown_it  # noqa: F401
    import ruamel.yaml  # noqa: F401

    from slipway.scan import literals, syntax  # noqa: F401


def _serve(selector: selectors.BaseSelector, tell: Tell | None) -> list[tuple[ScanReport, _Child]]:
    """Read what children say; reports of those that have ended or run out of time."""
    now = time.monotonic()
    first = min(key.data.deadline for key in selector.get_map().values())
    ended = []
    for key, _ in selector.select(max(0.0, first - now)):
        child: _Child = key.data
        if data := os.read(key.fd, 1 << 16):
            _take(child, data, tell)
        else:
            ended.append((key, _report(child, _end(child))))
    late = [key for key in selector.get_map().values() if key.data.deadline < time.monotonic()]
    for key in late:
        if key.fd not in {other.fd for other, _ in ended}:
            _end(key.data)
            reason = f"it took more than {key.data.patience:.0f} s"
            ended.append((key, _incomplete(reason)))
    for key, _ in ended:
        selector.unregister(key.fd)
        os.close(key.fd)
    return [(report, key.data) for key, report in ended]


def _take(child: _Child, data: bytes, tell: Tell | None) -> None:
    """Keep what comes behind the last line end: a line says how far the child is, and only the last one matters."""
    lines, ended, rest = data.rpartition(b"\n")
    if ended:
        last = b"".join([*child.parts, lines]).rpartition(b"\n")[2]
        child.parts = []
        if tell and last.startswith(b"["):
            tell(*json.loads(last))
    child.parts.append(rest)


def _start(number: int, task: Task, seconds: float, memory: int) -> tuple[int, _Child]:
    patience = seconds + SECONDS_PER_GB * _size(task.path) / 1e9
    reader, writer = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        _child(task, writer, patience, memory)
    os.close(writer)
    return reader, _Child(number, pid, time.monotonic() + patience, patience)


def _size(path: Path) -> int:
    """Bytes stored below a path; it decides on time only, so that what cannot be read counts as nothing."""
    try:
        alone = path.is_symlink() or not path.is_dir()
        states = [path.lstat()] if alone else [state for _, state in files.entries(path)]
        return sum(min(state.st_size, 512 * state.st_blocks) for state in states)
    except (OSError, Refusal):
        return 0


def _child(task: Task, writer: int, patience: float, memory: int) -> NoReturn:
    """Judge, write the report and end, without returning into what the parent was doing."""
    code = 70
    try:
        os.setsid()
        nowhere = os.open(os.devnull, os.O_RDWR)
        for number in (0, 1, 2):
            os.dup2(nowhere, number)
        _confine(patience, memory)

        def watch(done: int, total: int, name: str) -> None:
            os.write(writer, json.dumps([done, total, name]).encode() + b"\n")

        report = verdict.scan(task.path, task.max_file_bytes, task.bundle_digest, shared=task.shared, watch=watch)
        _write(writer, report.model_dump_json().encode())
        code = 0
    except MemoryError:
        with contextlib.suppress(OSError):
            _write(writer, b"!it needs more memory than it may have")
    except BaseException as error:  # noqa: BLE001  the parent is told, and refuses
        with contextlib.suppress(OSError):
            _write(writer, " ".join(f"!{type(error).__name__}: {error}".split())[:200].encode("utf-8", "replace"))
    finally:
        os._exit(code)


def _write(writer: int, data: bytes) -> None:
    while data:
        data = data[os.write(writer, data) :]


def _confine(patience: float, memory: int) -> None:
    """Give up what judging does not need, for good."""
    os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = "1"
    used = re.search(r"VmData:\s+(\d+)", Path("/proc/self/status").read_text("ascii", errors="replace"))
    if used is None:
        raise OSError("/proc/self/status does not tell how much memory is in use; scan on Linux")
    for kind, limit in (
        (resource.RLIMIT_DATA, (int(used[1]) << 10) + memory),
        (resource.RLIMIT_CPU, int(resource.getrusage(resource.RUSAGE_SELF).ru_utime + patience) + 2),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(kind)[1]
        bound = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        resource.setrlimit(kind, (bound, bound))
    sys.addaudithook(_refuse)


def _refuse(event: str, _: tuple[Any, ...]) -> None:
    if event in FORBIDDEN:
        raise PermissionError(f"the scan may not do this: {event}")


def _end(child: _Child) -> int:
    """End a child with all that it started; its status, negative for a signal."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)
    with contextlib.suppress(ProcessLookupError):
        os.kill(child.pid, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child.pid, 0)[1])


def _report(child: _Child, status: int) -> ScanReport:
    said = b"".join(child.parts)
    if said.startswith(b"!"):
        return _incomplete(said[1:].decode("utf-8", "replace"))
    try:
        return ScanReport.model_validate_json(said)
    except ValueError:
        how = f"signal {-status}" if status < 0 else f"exit code {status}"
        return _incomplete(f"the process that judged it ended with {how}")


def _incomplete(reason: str) -> ScanReport:
    finding = Finding(
        rule="scan.incomplete",
        path=".",
        offset=None,
        reason=f"was not judged to the end: {reason}",
        remedy="leave out what is in the way; if all is harmless, report this as a fault of the scanner",
    )
    return ScanReport(bundle_digest="", files_scanned=0, passed=False, findings=(finding,))
