"""The build as a Prefect flow: one task per stage of `dvc.yaml`, side by side where the graph allows.

No stage is named here; take this file away and `dvc repro` builds the same bytes. `python -m flows.build`
brings everything up to date (see `flows.console`), a deployment in `prefect.yaml` does so on a schedule.
"""

import sys
import threading
from pathlib import Path
from typing import Any

from prefect import flow, get_run_logger, task
from prefect.artifacts import create_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.futures import PrefectFuture
from prefect.states import Completed, Failed
from prefect.task_runners import ThreadPoolTaskRunner

from flows import graph, hooks
from flows.console import Lock, check_names, main, print_table
from flows.graph import stale
from flows.stages import Outcome, Stages, clean_up
from slipway.errors import UserError
from slipway.graph import upstream

__all__ = ["build", "main", "run_graph", "stale"]

# Stages that the graph lets run at once; the default graph has two.
_SIDE_BY_SIDE: Any = ThreadPoolTaskRunner(max_workers=4)
_TERMINAL = threading.Lock()


def _say(name: str, line: str) -> None:
    with _TERMINAL:
        print(f"[{name}] {line}", flush=True)


@task(name="stage", task_run_name="{name}", cache_policy=NO_CACHE)
def _stage(name: str, stages: Stages, outcomes: dict[str, Outcome]) -> State:
    logger = get_run_logger()

    def echo(line: str) -> None:
        _say(name, line)
        logger.info(line)

    if any(other.result == "failed" for other in outcomes.values()):
        # What runs already may end; nothing new starts, because the bundle cannot be made any more.
        return Completed(name="Skipped", message="another stage failed before this one began")
    try:
        outcome = stages.push(echo) if name == "push" else stages.build(name, echo)
    except Exception as error:
        outcomes[name] = Outcome(name, "failed", 0.0, (f"{type(error).__name__}: {error}",))
        raise
    outcomes[name] = outcome
    if outcome.result == "failed":
        return Failed(message="\n".join(outcome.lines[-5:]) or "it wrote nothing")
    if outcome.result == "ran":
        return Completed(message=f"{outcome.seconds:.1f} s")
    return Completed(name=outcome.result.capitalize(), message="inputs, code, settings and outputs are unchanged")


def run_graph(
    root: Path, force: frozenset[str] = frozenset(), environment: dict[str, str] | None = None
) -> list[Outcome]:
    """Inside a flow: bring every stage up to date, then push; returns one outcome per stage in order.

    After a failure the stages that already run may end, and no other starts.

    Raises:
        UserError: a stage failed; the message names it with the last lines it wrote.
    """
    stages = Stages(root, force, environment)
    outcomes: dict[str, Outcome] = {}
    futures: dict[str, PrefectFuture[Any]] = {}
    try:
        for name, before in upstream(root / "dvc.yaml").items():
            wait_for = [futures[stage] for stage in before]
            futures[name] = _stage.submit(name, stages, outcomes, wait_for=wait_for, return_state=False)
        _await(futures)
        graph.sort_lock(root)
        if all(name in outcomes and outcomes[name].result != "failed" for name in futures) and _to_push(root):
            futures["push"] = _stage.submit("push", stages, outcomes)
            _await(futures)
    except BaseException:
        # Cancelled, Ctrl-C or SIGTERM: no stage outlives its flow.
        stages.stop()
        raise
    rows = [outcomes.get(name, Outcome(name, "skipped", 0.0)) for name in futures]
    create_table_artifact(
        key="build-stages",
        table=[{"stage": row.stage, "result": row.result, "seconds": round(row.seconds, 1)} for row in rows],
    )
    print_table(rows)
    _judge(root, rows)
    return rows


def _await(futures: dict[str, PrefectFuture]) -> None:
    for future in futures.values():
        future.wait()


def _to_push(root: Path) -> bool:
    if graph.remote(root) is None:
        print("not pushed: DVC has no default remote (`dvc remote default NAME` sets one)", flush=True)
        return False
    return not graph.pushed(root)


def _judge(root: Path, rows: list[Outcome]) -> None:
    if failed := [row for row in rows if row.result == "failed"]:
        reasons = [f"{row.stage} failed:\n" + "\n".join(f"  {line}" for line in row.lines[-5:]) for row in failed]
        skipped = [row.stage for row in rows if row.result == "skipped"]
        raise UserError("\n".join(reasons) + (f"\nskipped: {', '.join(skipped)}" if skipped else ""))
    if lost := [row.stage for row in rows if row.result == "skipped"]:
        raise UserError(f"{', '.join(lost)}: not run, Prefect lost it; run `slipway build` again")
    if any(row.stage == "push" and row.result == "ran" for row in rows):
        graph.mark_pushed(root)
    if left := stale(root):
        raise UserError(
            f"{', '.join(left)}: stale again right after the build; code, settings or data were changed "
            "while it ran. Run `slipway build` once more"
        )


@flow(name="build", task_runner=_SIDE_BY_SIDE)
def build(force: list[str] | None = None) -> dict[str, str]:
    """Bring the bundle and everything before it up to date; `force` names stages to run in any case.

    Returns: stage -> cached, restored or ran.
    """
    root = Path.cwd()
    check_names(root, force or [])
    with Lock(root):
        for name in clean_up(root):
            print(f"ended {name}, which a killed build had left running", flush=True)
        hooks.preflight()
        hooks.check_architecture()
        run_id = hooks.start_tracking()
        try:
            rows = run_graph(root, frozenset(force or ()), {"SLIPWAY_MLFLOW_RUN_ID": run_id} if run_id else {})
        except BaseException:
            hooks.fail_tracking(run_id)
            raise
        hooks.finish_tracking(run_id, [row.stage for row in rows if row.result in {"cached", "restored"}])
    return {row.stage: row.result for row in rows}


if __name__ == "__main__":
    sys.exit(main())
