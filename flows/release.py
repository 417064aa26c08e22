"""The release as a Prefect flow: gate → approve → sign → register → publish → verify.

The steps are in `flows.steps`; their journal under `.slipway/releases/` is the truth about how far a release got, and
a rerun carries on from it. `python -m flows.release` is the command, see `flows.release_console`.
"""

import sys
from pathlib import Path
from typing import Any

from prefect import flow, get_run_logger, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE

from flows import steps
from flows.release_console import facts, line, main, print_facts

__all__ = ["main", "release"]


@task(name="release step", task_run_name="{name}", cache_policy=NO_CACHE)
def _step(name: str) -> dict[str, Any]:
    result = steps.perform(steps.open_context(Path.cwd()), name)
    text = line(name, result)
    print(f"[{name}] {text}", flush=True)
    get_run_logger().info(text)
    return result


@flow(name="release")
def release() -> dict[str, str]:
    """Release the bundle that lies in the project: every step once, in order.

    Returns: bundle, gate verdict, where the release lies and how to verify it.

    Raises:
        Refusal: gate, signature or store said no; nothing was published after that.
        Waiting: approvals are missing.
    """
    root = Path.cwd()
    with steps.release_lock(root):
        for name in steps.STEPS:
            _step(name)
        found = facts(steps.open_context(root))
    rows = [f"| {key} | {value} |" for key, value in found.items()]
    create_markdown_artifact(key="release", markdown="\n".join(["| | |", "|---|---|", *rows]))
    print_facts(found)
    return found


if __name__ == "__main__":
    sys.exit(main())
