"""The MLflow client of a project, quiet and at its place."""

import logging
import os
import re
from pathlib import Path
from typing import Any

from slipway.records import Measure

DIGEST = "slipway.bundle_digest"


def tracking_uri(root: Path) -> str:
    """`MLFLOW_TRACKING_URI`, else a sqlite file under `.slipway/`."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{(root / '.slipway' / 'mlflow.db').absolute()}"


def in_use(root: Path) -> bool:
    """Whether there is a tracker to ask: a server that is named, or the database of an earlier build."""
    return bool(os.environ.get("MLFLOW_TRACKING_URI")) or (root / ".slipway" / "mlflow.db").is_file()


def client(root: Path) -> Any:
    """An `MlflowClient` for the project at `root`; the database is made on first use."""
    # Several hundred lines of migrations otherwise greet whoever makes the first release.
    logging.getLogger("alembic").setLevel(logging.WARNING)
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    import mlflow

    logging.getLogger("mlflow").setLevel(logging.WARNING)
    (root / ".slipway").mkdir(exist_ok=True)
    # The registry's sqlite store asks a client of its own for models, which knows only the global address and would
    # make a second database in the working directory.
    named = os.environ.get("MLFLOW_TRACKING_URI")
    mlflow.set_tracking_uri(tracking_uri(root))
    if named is None:
        os.environ.pop("MLFLOW_TRACKING_URI", None)  # the call above sets it, and it means a server to us
    return mlflow.MlflowClient()


def experiment(mlflow: Any, root: Path, name: str) -> str:
    """Id of the experiment `name`, made if there is none; a local one keeps its artifacts under `.slipway/`."""
    from mlflow.exceptions import MlflowException

    found = mlflow.get_experiment_by_name(name)
    if found is None:
        local = tracking_uri(root).startswith("sqlite:")
        location = (root / ".slipway" / "mlartifacts").absolute().as_uri() if local else None
        try:
            return mlflow.create_experiment(name, artifact_location=location)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
            found = mlflow.get_experiment_by_name(name)  # another build was faster
    return found.experiment_id


def named(text: str) -> str:
    """`text` as a part of a metric's name: MLflow allows letters, digits, `_ - . /` and spaces there."""
    return re.sub(r"[^A-Za-z0-9_./ -]+", " ", text)


def flat(name: str, measure: Measure) -> dict[str, float]:
    """A measure as metrics: `name`, and `name.low` and `name.high` where the method gives an interval."""
    parts = {named(name): measure.value, named(f"{name}.low"): measure.low, named(f"{name}.high"): measure.high}
    return {key: value for key, value in parts.items() if value is not None}
