"""The MLflow client of a project, quiet and at its place."""

import logging
import os
from pathlib import Path
from typing import Any

DIGEST = "slipway.bundle_digest"


def tracking_uri(root: Path) -> str:
    """`MLFLOW_TRACKING_URI`, else a sqlite file under `.slipway/`."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{(root / '.slipway' / 'mlflow.db').absolute()}"


def client(root: Path) -> Any:
    """An `MlflowClient` for the project at `root`; the database is made on first use."""
    # Several hundred lines of migrations otherwise greet whoever makes the first release.
    logging.getLogger("alembic").setLevel(logging.WARNING)
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
