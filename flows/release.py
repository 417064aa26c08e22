"""The release as a Prefect flow: gate → approve → sign → register → publish → verify.

The steps are in `flows.steps`; their journal under `.slipway/releases/` is the truth about how far a release got, and
a rerun carries on from it. `python -m flows.release` is the command, see `flows.release_console`.

A run of a deployment that lacks approvals is suspended with a form: its process ends, whoever approves signs on a
machine of their own and pastes the signed line, and a worker takes the run up from the beginning.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from prefect import flow, get_run_logger, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.context import FlowRunContext
from prefect.flow_runs import pause_flow_run, suspend_flow_run
from prefect.input import RunInput
from pydantic import Field

from flows import approving, gating, steps
from flows.release_console import facts, gate_table, line, main, print_facts
from slipway.errors import Refusal, Waiting
from slipway.records import GateVerdict

__all__ = ["main", "release"]

PATIENCE = 7 * 86400
"""Seconds that a run waits for an approval before it fails; another run then takes up what was signed."""


class SignedDecision(RunInput):
    """What a paused run asks for."""

    line: str = Field(
        default="",
        title="Signed line",
        description="What `slipway approve … --print` printed. Empty: look again, somebody approved in a terminal.",
    )


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


class _Lacking(Exception):
    """Approvals are missing, and a form can be shown."""

    def __init__(self, context: steps.Context, said: str) -> None:
        self.context, self.said = context, said
        super().__init__(said)


def _attempt(root: Path) -> dict[str, str]:
    """Every step once, in order; the project is locked meanwhile, and free again while people are waited for."""
    with steps.release_lock(root):
        context = steps.open_context(root)
        step = _step(context)
        for name in steps.STEPS:
            if name == "approve":
                try:
                    steps.approve(context)  # outside of a task, which would be shown as failed
                except Waiting as waiting:
                    if not _deployed():
                        raise
                    raise _Lacking(context, str(waiting)) from None
            step(name)
        return facts(context)


def _deployed() -> bool:
    """Whether this is a run of a deployment, whose form people can find; not one of `slipway release`."""
    from prefect.runtime import deployment

    return bool(deployment.id)


def _fired() -> list[str]:
    """Keys of the forms that this run showed already, before it was taken up again."""
    context = FlowRunContext.get()
    policy = context.flow_run.empirical_policy if context and context.flow_run else None
    keys = (policy.pause_keys if policy else None) or set()
    return sorted((key for key in keys if key.startswith("approve-")), key=lambda key: int(key.rpartition("-")[2]))


def _answer(root: Path, key: str, form: str) -> str:
    """Ask with a form, or read the answer if `key` was asked before; why it approved nothing, empty if it did.

    The run of a deployment ends here and begins anew with the answer; a flow inside another has to wait in place.
    """
    context = FlowRunContext.get()
    inside = bool(context and context.flow_run and context.flow_run.parent_task_run_id)
    hold = pause_flow_run if inside else suspend_flow_run
    given = hold(wait_for_input=SignedDecision.with_initial_data(description=form), timeout=PATIENCE, key=key)
    if not given.line.strip():
        return ""
    try:
        told = approving.take(root, given.line)
    except Refusal as refusal:
        get_run_logger().warning(str(refusal))
        return str(refusal)
    get_run_logger().info(told)
    return ""


@flow(name="release")
def release() -> dict[str, str]:
    """Release the bundle that lies in the project: every step once, in order.

    Returns: bundle, gate verdict, where the release lies and how to verify it.

    Raises:
        Refusal: gate, signature or store said no, or an approver rejected the bundle; nothing was published after that.
        Waiting: approvals are missing, and nobody can be shown a form.
    """
    root = Path.cwd()
    asked = _fired()
    fault = _answer(root, asked[-1], "") if asked else ""
    while True:
        try:
            found = _attempt(root)
            break
        except _Lacking as lacking:
            asked.append(f"approve-{lacking.context.digest[:16]}-{len(asked)}")
            fault = _answer(root, asked[-1], steps.form(lacking.context, lacking.said, fault))
    rows = [f"| {key} | {value} |" for key, value in found.items()]
    create_markdown_artifact(key="release", markdown="\n".join(["| | |", "|---|---|", *rows]))
    print_facts(found)
    return found


if __name__ == "__main__":
    sys.exit(main())
