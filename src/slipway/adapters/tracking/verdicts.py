"""The gate's verdict in MLflow: in the run that built the bundle, and the release that the registry calls released."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from slipway.adapters.tracking.client import DIGEST, client, flat, in_use
from slipway.adapters.tracking.runs import find_run
from slipway.adapters.tracking.sink import BATCH
from slipway.errors import UserError
from slipway.records import GateVerdict

VERDICT, CHAMPION = "slipway.gate", "slipway.gate.champion"
"""Tags of a run and of a model version."""
CHANNEL = "slipway.channel"
"""Tag of a model version: the pointer that its release moves."""


class Released(NamedTuple):
    """The model version that has the alias for the releases of a channel."""

    digest: str
    """Bundle digest."""
    uri: str
    """Where the release lies."""
    channel: str
    """Of the release; empty for one of a Slipway that did not say."""


def tags(verdict: GateVerdict) -> dict[str, str]:
    """The verdict, and what the model was compared with, as tags."""
    beside = verdict.champion or (f"none; {verdict.stand_in}" if verdict.stand_in else "none")
    return {VERDICT: verdict.verdict, CHAMPION: beside[:500]}


def keep_verdict(root: Path, name: str, verdict: GateVerdict, *, page: str, file: str) -> str | None:
    """Keep a verdict in the newest run that built the bundle: tags, its figures as metrics, and its page.

    Args:
        root: the project.
        name: experiment.
        verdict: of the gate.
        page: the verdict for people.
        file: name of the page among the run's artifacts.

    Returns: the run's id; None if no run built this bundle (tracking was off, or it was built elsewhere).

    Raises:
        UserError: if MLflow cannot be reached.
    """
    if not in_use(root):
        return None
    from mlflow.entities import Metric, RunTag

    figures: dict[str, float] = {}
    for line in verdict.lines:
        # Paired differences; a bound is held against a figure that the run has already, under its own name.
        figures |= flat(f"gate.{line.id}", line.measure) if line.measure and line.p_value is not None else {}
    now = int(time.time() * 1000)
    metrics = [Metric(key, value, now, 0) for key, value in sorted(figures.items())]
    told = [RunTag(key, value) for key, value in tags(verdict).items()]
    with briefly("MLflow did not take the verdict", "it is kept here all the same"):
        mlflow, run_id = client(root), find_run(root, name, verdict.bundle_digest)
        if run_id is not None:
            for start in range(0, len(metrics) or 1, BATCH):
                mlflow.log_batch(run_id, metrics=metrics[start : start + BATCH], tags=told)
            mlflow.log_text(run_id, page, file)
    return run_id


def alias_of(channel: str) -> str:
    """The alias of the version that a channel names: `released` of the channel `stable`, else `released-<channel>`."""
    return "released" if channel in ("", "stable") else f"released-{channel}"


def released(root: Path, name: str, channel: str = "stable") -> Released | None:
    """What a registered model's alias for the releases of a channel points at; None if it points nowhere.

    A project that never used MLflow is told so without importing it.

    Raises:
        UserError: if MLflow cannot be reached.
    """
    if not in_use(root):
        return None
    from mlflow.exceptions import MlflowException

    with briefly("MLflow could not be asked which release it calls released", "see that it runs and is whole"):
        try:
            version = client(root).get_model_version_by_alias(name, alias_of(channel))
        except MlflowException as error:
            if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                return None
            raise
    return Released(version.tags.get(DIGEST, ""), version.tags.get("slipway.uri", ""), version.tags.get(CHANNEL, ""))


@contextmanager
def briefly(fault: str, then: str) -> Iterator[None]:
    """The gate does not depend on MLflow, so one that is down is given up after seconds, not after minutes.

    Raises:
        UserError: for whatever keeps MLflow from answering; `fault` and `then` stand around it.
    """
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    retries = "MLFLOW_HTTP_REQUEST_MAX_RETRIES"
    before = os.environ.get(retries)
    os.environ[retries] = before or "2"
    try:
        yield
    except (MlflowException, SQLAlchemyError, OSError) as error:
        raise UserError(f"{fault} ({' '.join(str(error).split())[:300]}); {then}") from None
    finally:
        if before is None:
            del os.environ[retries]
