"""Prefect servers for tests: the local servers of a project on ports of their own, and a client of Prefect's API.

Prefect answers 503 while its SQLite database is busy, which a loaded machine makes it; its own client asks again,
and so does this one.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import requests
from requests.adapters import HTTPAdapter
from urllib3 import Retry

from slipway import processes
from slipway.adapters import servers
from tests import tiny_project

Found = TypeVar("Found")

LIMIT = 240.0
"""Seconds in which a loaded machine gets through anything that a test waits for."""


def database(home: Path) -> Path:
    """Prefect's database with all its tables: making one takes longer than anything else when a server starts."""
    env = tiny_project.environment(PREFECT_HOME=str(home))
    command = [sys.executable, "-m", "prefect", "server", "database", "upgrade", "-y"]
    subprocess.run(command, env=env, check=True, capture_output=True, timeout=LIMIT)
    return home / "prefect.db"


@contextmanager
def up(project: Path, made: Path, **more: str) -> Iterator[None]:
    """`slipway up` on free ports with a copy of the database `made`.

    Until the end this process has the environment of the project's terminal.
    """
    ports = {f"SLIPWAY_{name}_PORT": str(processes.free_port()) for name in ("PREFECT", "MLFLOW")}
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update(tiny_project.environment(**ports, **more))
    home = project / ".slipway" / "prefect"
    home.mkdir(parents=True, exist_ok=True)
    shutil.copy(made, home / "prefect.db")
    try:
        servers.up(project)
        yield
    finally:
        servers.down(project)
        os.environ.clear()
        os.environ.update(before)


@contextmanager
def running(home: Path, made: Path) -> Iterator[str]:
    """A server for many flows, each of which would else start its own; yields the URL of its API.

    Its database is a copy of `made`.
    """
    shutil.copy(made, home / "prefect.db")
    port, log = processes.free_port(), home / "server.log"
    env = tiny_project.environment(PREFECT_HOME=str(home))
    command = [sys.executable, "-m", "flows.server", str(port), str(os.getpid())]
    server = processes.start(command, cwd=tiny_project.ROOT, env=env, log=log)
    url = f"http://127.0.0.1:{port}/api"
    try:
        processes.wait_healthy("Prefect", f"{url}/health", server, log)
        yield url
    finally:
        processes.end(server.pid)
        server.wait()


def address() -> str:
    """The API of the server that `up` started."""
    return f"http://127.0.0.1:{os.environ['SLIPWAY_PREFECT_PORT']}/api"


class Api:
    """A server's API: a call gives the answer as JSON.

    Raises:
        requests.HTTPError: the answer is an error other than "busy", or it stays "busy".
    """

    def __init__(self, url: str, *, token: bool = True):
        """`token` is what shows the server that a request comes from no page of another site."""
        self.url = url
        self.session = requests.Session()
        # A request that failed on its way is not sent again: it may have been carried out.
        busy = Retry(
            status=8, connect=3, read=0, other=0, backoff_factor=0.25, backoff_max=8, status_forcelist=[503],
            allowed_methods=None, raise_on_status=False,
        )  # fmt: skip
        self.session.mount("http://", HTTPAdapter(max_retries=busy))
        if token:
            value = self("GET", "csrf-token?client=test")["token"]
            self.session.headers.update({"Prefect-Csrf-Client": "test", "Prefect-Csrf-Token": value})

    def __call__(self, method: str, path: str, body: object = None) -> Any:
        response = self.session.request(method, f"{self.url}/{path}", json=body, timeout=60)
        response.raise_for_status()
        return response.json()

    def wait(self, run: str, *types: str, beside: Container[str] = ()) -> dict[str, Any]:
        """The run's state once it is of one of `types` and not the one of a time in `beside`."""

        def reached() -> dict[str, Any] | None:
            state = self("GET", f"flow_runs/{run}")["state"]
            if state["type"] in types and state["timestamp"] not in beside:
                return state
            assert state["type"] not in ("FAILED", "CRASHED", "COMPLETED"), state
            return None

        return until(reached, lambda: self("GET", f"flow_runs/{run}")["state"])


def until(found: Callable[[], Found | None], told: Callable[[], object], pause: float = 0.3) -> Found:
    """The first answer of `found` that is not empty, asked every `pause` seconds.

    Raises:
        AssertionError: there was none for `LIMIT` seconds; the message is what `told` says then.
    """
    deadline = time.monotonic() + LIMIT
    while not (answer := found()):
        assert time.monotonic() < deadline, told()
        time.sleep(pause)
    return answer
