"""The release as a Prefect flow: gate → approve → sign → register → publish → verify.

The steps are in `flows.steps`; their journal under `.slipway/releases/` is the truth about how far a release got, and
a rerun carries on from it. `python -m flows.release` is the command, see `flows.release_console`.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from prefect import flow, get_run_logger, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE

from flows import steps
from flows.release_console import facts, line, main, print_facts

__all__ = ["main", "release"]


def _step(context: steps.Context) -> Callable[[str], dict[str, Any]]:
    """The task that does one step of this release; not given the context, for Prefect looks into arguments."""

    @task(name="release step", task_run_name="{name}", cache_policy=NO_CACHE)
    def step(name: str) -> dict[str, Any]:
        result = steps.perform(context, name)
        text = line(name, result)
        print(f"[{name}] {text}", flush=True)
        get_run_logger().info(text)
        return result

    return step


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
        context = steps.open_context(root)
        step = _step(context)
        for name in steps.STEPS:
            step(name)
        found = facts(context)
    rows = [f"| {key} | {value} |" for key, value in found.items()]
    create_markdown_artifact(key="release", markdown="\n".join(["| | |", "|---|---|", *rows]))
    print_facts(found)
    return found


if __name__ == "__main__":
    sys.exit(main())
