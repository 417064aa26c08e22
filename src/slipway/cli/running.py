"""`slipway status`, `up`, `down` and `doctor`."""

import argparse
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from slipway.cli.common import project

if TYPE_CHECKING:
    from slipway.doctor import Answer


def status(_: argparse.Namespace) -> int:
    """Show stages, the last release and the servers.

    Shows which stages are up to date, how far the last release got, and which servers run.
    """
    from slipway.adapters import servers

    root = project()
    code = subprocess.call([sys.executable, "-m", "flows.status"], cwd=root)
    print(*servers.status(root), sep="\n")
    return code


def up(_: argparse.Namespace) -> int:
    """Start Prefect, MLflow and the scheduler on localhost.

    Starts both servers and a worker that runs the schedules in prefect.yaml, and prints their URLs.
    """
    from slipway.adapters import servers

    servers.up(project())
    return 0


def down(_: argparse.Namespace) -> int:
    """Stop what `slipway up` started.

    Stops the worker and both servers. Their data stays in .slipway/.
    """
    from slipway.adapters import servers

    servers.down(project())
    return 0


def doctor(arguments: argparse.Namespace) -> int:
    """Look for what would go wrong.

    Checks Python, git, pins, disk, recipe, inputs, environment and keys; with --security the safe defaults of this
    machine, the running servers and the store. Reads only. Exit code 1: a fault, 2: something could not be looked at.
    """
    from slipway.data.sources.lock import check_lock
    from slipway.doctor import examine
    from slipway.recipe import load

    root = project()
    if arguments.security:
        return _report(_secure(root), 16)
    return _report(examine(root, lambda: check_lock(load(root / "params.yaml"), root)), 12)


def _report(answers: "Iterable[Answer]", width: int) -> int:
    """Print a line per answer and how many there are of each kind; the exit code."""
    count: Counter[str] = Counter()
    for answer in answers:
        mark = {"ok": "✓", "note": "·", "fault": "✗", "not run": "?"}[answer.verdict]
        print(f"{mark} {answer.subject:<{width}} {answer.finding}", flush=True)
        count[answer.verdict] += 1
    print(", ".join(f"{number} {verdict}" for verdict, number in sorted(count.items())))
    return 1 if count["fault"] else 2 if count["not run"] else 0


def _secure(root: Path) -> "Iterable[Answer]":
    """The checks of `slipway.security`, on the servers of `slipway up` or those that the environment names."""
    from slipway.adapters import servers
    from slipway.security import Server, examine

    started = servers.running(root)
    user, word = (os.environ.get(f"MLFLOW_TRACKING_{name}") for name in ("USERNAME", "PASSWORD"))
    named = {
        "prefect": (os.environ.get("PREFECT_API_URL", ""), os.environ.get("PREFECT_API_AUTH_STRING")),
        "mlflow": (os.environ.get("MLFLOW_TRACKING_URI", ""), f"{user}:{word}" if user and word else None),
    }
    found: dict[str, Server | None] = {}
    for name, (address, login) in named.items():
        if address.startswith(("http://", "https://")):
            url, within = _apart(address.rstrip("/"))
            same = name in started and started[name][0].rstrip("/") == url
            found[name] = Server(name, url, login or within, started[name][1] if same else None)
        else:
            found[name] = Server(name, started[name][0], None, started[name][1]) if name in started else None
    return examine(root, found, lambda: _store(root))


def _apart(url: str) -> tuple[str, str | None]:
    """An address without the login that stands in it, which must not be printed, and that login."""
    parts = urlsplit(url)
    login, _, host = parts.netloc.rpartition("@")
    return parts._replace(netloc=host).geturl(), unquote(login) or None


def _store(root: Path) -> "Answer":
    """Whether the store keeps to its conditions, and whether strangers may write there."""
    from slipway.adapters.store import LocalStore, open_store
    from slipway.doctor import Answer

    store = open_store(root=root)
    if isinstance(store, LocalStore):
        if not store.root.is_dir():
            return Answer("ok", "store", f"{store.url}: not made yet")
        mode = store.root.stat().st_mode & 0o777
        if mode & 0o022:
            return Answer("fault", "store", f"others may write into {store.url} (mode {mode:o}); chmod 755 it")
        return Answer("ok", "store", f"{store.url}: others may not write there")
    held = [name for name, holds in store.capabilities().items() if holds]
    return Answer("ok", "store", f"{store.url} keeps to: {', '.join(held)}")
