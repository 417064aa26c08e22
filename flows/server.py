"""Which Prefect API a flow talks to: the configured one, that of `slipway up`, or one of its own for the run.

Prefect would start such a temporary server by itself; ours keeps its output out of the terminal, says why
it did not start, and dies with the flow even when that is killed.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from slipway import processes
from slipway.errors import UserError

CODE = Path(__file__).parents[1]


def known(root: Path) -> str | None:
    """URL of a running Prefect API: `PREFECT_API_URL`, or the server that `slipway up` started in `root`.

    Raises:
        UserError: PREFECT_API_URL is set, but nobody answers there or our login is refused.
    """
    if url := os.environ.get("PREFECT_API_URL"):
        if not processes.answers(f"{url}/health", timeout=10):
            raise UserError(
                f"PREFECT_API_URL={url} does not answer; start that server (`slipway up`), "
                "or unset the variable to run without one"
            )
        login = os.environ.get("PREFECT_API_AUTH_STRING")
        if not processes.answers(f"{url}/admin/version", timeout=10, login=login):
            raise UserError(
                f"PREFECT_API_URL={url} refuses us; "
                "set PREFECT_API_AUTH_STRING to the login of that server, user:password"
            )
        return url
    if (facts := processes.recorded(root / ".slipway" / "servers" / "prefect.json")) and processes.answers(
        f"{facts['url']}/health"
    ):
        return facts["url"]
    return None


@contextmanager
def prefect_api(root: Path) -> Iterator[str]:
    """Within the context Prefect's client talks to a running API; yields its URL."""
    if url := known(root):
        with talking_to(url):
            yield url
        return
    port = processes.free_port()
    url, log = f"http://127.0.0.1:{port}/api", root / ".slipway" / "prefect" / "server.log"
    environment = {
        **processes.without_secrets(),
        "PYTHONPATH": os.pathsep.join([str(CODE), os.environ.get("PYTHONPATH", "")]).rstrip(":"),
    }
    command = [sys.executable, "-m", "flows.server", str(port), str(os.getpid())]
    server = processes.start(command, cwd=root, env=environment, log=log)
    try:
        # Takes seconds, as the server does; so both at once.
        import prefect.main  # noqa: F401

        processes.wait_healthy("Prefect's temporary server", f"{url}/health", server, log)
        with talking_to(url):
            try:
                yield url
            finally:
                _send_the_rest()
    finally:
        processes.end(server.pid)
        server.wait()


@contextmanager
def talking_to(url: str) -> Iterator[None]:
    """Within the context Prefect's client talks to this API."""
    from prefect.settings import PREFECT_API_URL, temporary_settings

    with temporary_settings({PREFECT_API_URL: url}):
        yield


def _send_the_rest() -> None:
    """Deliver queued logs and events while the server still listens; afterwards they would retry for a minute."""
    from prefect.events.worker import EventsWorker
    from prefect.logging.handlers import APILogWorker

    APILogWorker.drain_all(timeout=20)
    EventsWorker.drain_all(timeout=20)


def _serve(port: int, owner: int) -> None:
    processes.die_with(owner)
    import uvicorn
    from prefect.server.api.server import create_app

    uvicorn.run(create_app(ephemeral=True, final=True), host="127.0.0.1", port=port, log_level="error")


if __name__ == "__main__":
    _serve(int(sys.argv[1]), int(sys.argv[2]))
