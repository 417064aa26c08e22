"""`slipway status`, `up`, `down` and `doctor`."""

import argparse
import subprocess
import sys

from slipway.cli.common import project


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


def doctor(_: argparse.Namespace) -> int:
    """Look for what would go wrong.

    Checks Python, git, pins, disk, recipe, inputs, environment and keys. Reads only.
    """
    from slipway.data.sources.lock import check_lock
    from slipway.doctor import examine
    from slipway.recipe import load

    root = project()
    faults = 0
    for answer in examine(root, lambda: check_lock(load(root / "params.yaml"), root)):
        mark = {"ok": "✓", "note": "·", "fault": "✗"}[answer.verdict]
        print(f"{mark} {answer.subject:<12} {answer.finding}")
        faults += answer.verdict == "fault"
    return 1 if faults else 0
