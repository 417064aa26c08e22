"""Child processes that leave nothing behind: start in a group, watch, wait until healthy, end the whole tree.

The build flow runs stages with it, `slipway up` runs servers with it. What a process writes goes to its
log file or pipe; what must be found again by a later process (a server, a stage whose flow was killed) is
recorded with pid *and* start time, because pids are used again.
"""

import base64
import contextlib
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

from slipway.errors import UserError
from slipway.files import write_atomic

if TYPE_CHECKING:
    import psutil


SECRETS = (
    "SLIPWAY_KEY_PEM",
    "SLIPWAY_KEY_PASSWORD",
    "SLIPWAY_PKCS11_PIN",
    "SLIPWAY_WEBHOOK_SECRET",
    "SLIPWAY_IDENTITY_TOKEN",
    "SIGSTORE_ID_TOKEN",
    "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
)


def without_secrets() -> dict[str, str]:
    """This process's environment for a child that signs nothing: without keys, passphrases and PINs."""
    return {name: value for name, value in os.environ.items() if name not in SECRETS}


def start(command: list[str], *, cwd: Path, env: dict[str, str], log: Path | None = None) -> subprocess.Popen:
    """Start `command` as leader of a session of its own; output to `log`, or to a text pipe without one."""
    if log is None:
        return subprocess.Popen(
            command,
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as stream:
        return subprocess.Popen(
            command, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, start_new_session=True
        )


def end(pid: int, grace: float = 8.0) -> None:
    """End a session leader, its group and all descendants: SIGTERM, after `grace` seconds SIGKILL.

    Exit codes stay for whoever started the processes.

    Raises:
        UserError: something survived SIGKILL for 5 s (a process in uninterruptible sleep).
    """
    tree = _tree(pid)
    for process in tree:
        _signal(process, signal.SIGTERM)
        # A stopped process hears SIGTERM only when it goes on.
        _signal(process, signal.SIGCONT)
    alive = _await_end(tree, grace)
    # A descendant may have been born since; look again before the last word.
    alive = list({*alive, *_tree(pid)})
    for process in alive:
        _signal(process, signal.SIGKILL)
    if left := _await_end(alive, 5):
        raise UserError(f"process {', '.join(str(p.pid) for p in left)} does not end, not even by SIGKILL; see `ps`")


def _await_end(tree: "list[psutil.Process]", limit: float) -> "list[psutil.Process]":
    # psutil's own wait would take the exit code away from the Popen object that waits for it.
    deadline = time.monotonic() + limit
    while (alive := [process for process in tree if _running(process)]) and time.monotonic() < deadline:
        time.sleep(0.05)
    return alive


def _tree(pid: int) -> "list[psutil.Process]":
    import psutil

    found = {}
    try:
        leader = psutil.Process(pid)
        found = {process.pid: process for process in [leader, *leader.children(recursive=True)]}
    except psutil.NoSuchProcess:
        pass  # the leader is gone, its group may not be
    for process in psutil.process_iter():
        try:
            if os.getsid(process.pid) == pid:
                found[process.pid] = process
        except (ProcessLookupError, PermissionError):
            continue  # ended while we looked, or not ours
    return [process for process in found.values() if _running(process)]


def _running(process: "psutil.Process") -> bool:
    import psutil

    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _signal(process: "psutil.Process", number: int) -> None:
    import psutil

    with contextlib.suppress(psutil.NoSuchProcess):  # it ended by itself
        process.send_signal(number)


def record(path: Path, pid: int, **facts: str | int) -> None:
    """Write down a running process, so that `recorded` finds it again."""
    import psutil

    write_atomic(path, json.dumps({"pid": pid, "started": psutil.Process(pid).create_time(), **facts}) + "\n")


def recorded(path: Path) -> dict | None:
    """What `record` wrote, if that very process is still running, else None."""
    import psutil

    try:
        facts = json.loads(path.read_text("utf-8"))
        process = psutil.Process(facts["pid"])
        same = abs(process.create_time() - facts["started"]) < 0.05
    except (FileNotFoundError, json.JSONDecodeError, KeyError, psutil.NoSuchProcess):
        return None
    return facts if same and _running(process) else None


def die_with(pid: int) -> None:
    """End this process within about a second once process `pid` is gone, so that it leaves no orphan."""

    def watch() -> None:
        while True:
            time.sleep(1)
            try:
                os.kill(pid, 0)
            except ProcessLookupError:
                os._exit(70)

    threading.Thread(target=watch, daemon=True).start()


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on now.

    Drawn from below those that systems give to outgoing connections (Linux: from 32768), so that no connection takes
    it before the server that it is meant for.

    Raises:
        UserError: a hundred ports in turn were taken.
    """
    for _ in range(100):
        port = 20_000 + secrets.randbelow(10_000)
        if _is_free(port):
            return port
    raise UserError("no free port of 127.0.0.1 was found among 100 from 20000 to 29999; see `ss -lnt` for who has them")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def port_user(port: int) -> str | None:
    """Who listens on `port` of 127.0.0.1: `pid 123 (name)`, `an unknown process`, or None if it is free."""
    import psutil

    if _is_free(port):
        return None
    try:
        for connection in psutil.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port and connection.pid:
                return f"pid {connection.pid} ({psutil.Process(connection.pid).name()})"
    except (psutil.AccessDenied, psutil.NoSuchProcess):
        pass  # some systems tell only root; the port is taken all the same
    return "an unknown process"


def answers(url: str, timeout: float = 2.0, login: str | None = None) -> bool:
    """Whether a GET of `url` gives status 200 within `timeout` seconds; proxies are not asked.

    `login` is `user:password` for basic authentication.
    """
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    headers = {"Authorization": f"Basic {base64.b64encode(login.encode()).decode()}"} if login else {}
    try:
        with opener.open(urllib.request.Request(url, headers=headers), timeout=timeout) as response:  # noqa: S310
            return response.status == 200
    except (urllib.error.URLError, OSError):
        return False


def wait_healthy(name: str, url: str, process: subprocess.Popen, log: Path, limit: float = 180.0) -> None:
    """Wait until `url` answers.

    Raises:
        UserError: the process ended or `limit` seconds passed; the message ends with the last lines of its log.
    """
    deadline = time.monotonic() + limit
    while not answers(url):
        if (code := process.poll()) is not None:
            raise UserError(f"{name} ended with exit code {code} while it started; last lines of {log}:\n{tail(log)}")
        if time.monotonic() > deadline:
            raise UserError(f"{name} did not answer at {url} within {limit:.0f} s; last lines of {log}:\n{tail(log)}")
        time.sleep(0.2)


def tail(log: Path, lines: int = 12) -> str:
    """The last lines of a log file, indented."""
    text = log.read_text("utf-8", errors="replace") if log.exists() else ""
    return "\n".join(f"  {line}" for line in text.splitlines()[-lines:]) or "  (nothing was written)"


if __name__ == "__main__":
    # `python -m slipway.processes URL`, for health checks in containers that have no curl.
    sys.exit(0 if answers(sys.argv[1]) else 1)
