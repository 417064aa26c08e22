"""`slipway doctor --security`: whether every safe default is in force, on the running servers and on this machine.

Servers are asked with real requests that change nothing. What could not be looked at is `not run`, which is never
`ok`. docs/security.md lists each default and why it is there.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

from slipway.doctor import Answer
from slipway.errors import UserError
from slipway.security import machine, mlflow, prefect
from slipway.security.http import Server

__all__ = ["Server", "examine"]


def examine(root: Path, servers: dict[str, Server | None], store: Callable[[], Answer]) -> Iterator[Answer]:
    """Every check, one after the other.

    Args:
        root: the project.
        servers: `prefect` and `mlflow`; None for one that was neither started by `slipway up` nor named.
        store: looks at the store that is set.
    """
    yield from machine.examine(root)
    for name, probes in (("prefect", prefect.examine), ("mlflow", mlflow.examine)):
        server = servers[name]
        if server is None:
            named = {"prefect": "PREFECT_API_URL", "mlflow": "MLFLOW_TRACKING_URI"}[name]
            yield Answer("not run", name, f"no server runs; start it with `slipway up`, or name one with {named}")
        else:
            yield from probes(server)
    try:
        yield store()
    except (UserError, OSError) as error:
        yield Answer("fault", "store", str(error))
