"""The release as a Prefect flow: gate → approve → sign → register → publish → verify.

The steps are in `flows.steps`; their journal under `.slipway/releases/` is the truth about how far a release got, and
a rerun carries on from it. `python -m flows.release` is the command, see `flows.release_console`.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from prefect import flow, get_run_logger, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE

from flows import gating, steps
from flows.release_console import facts, gate_table, line, main, print_facts
from slipway.records import GateVerdict

__all__ = ["main", "release"]


def _step(context: steps.Context) -> Callable[[str], dict[str, Any]]:
    """The task that does one step of this release; not given the context, for Prefect looks into arguments."""

    @task(name="release step", task_run_name="{name}", cache_policy=NO_CACHE)
    def step(name: str) -> dict[str, Any]:
        try:
            result = steps.perform(context, name)
        except gating.NotGo as refused:
            create_markdown_artifact(key="gate", markdown=gate_table(refused.verdict))
            raise
        if name == "gate":
            verdict = GateVerdict.model_validate_json(json.dumps(result))
            create_markdown_artifact(key="gate", markdown=gate_table(verdict))
            print(gating.explain(verdict), flush=True)
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
