"""A project that can be released, with an MLflow database of its own."""

import os
import shutil
from pathlib import Path

import pytest

from flows import steps
from tests import release_project


@pytest.fixture
def environment(monkeypatch):
    for name in ("SLIPWAY_KEY", "SLIPWAY_STORE", "MLFLOW_TRACKING_URI", "PREFECT_API_URL", "PREFECT_HOME"):
        monkeypatch.delenv(name, raising=False)
    return dict(os.environ)


@pytest.fixture(scope="session")
def database(tmp_path_factory):
    """An empty MLflow database: making one takes seconds, copying it none."""
    from slipway.adapters.tracking.client import client

    root = tmp_path_factory.mktemp("mlflow")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        client(root).search_experiments()
    return root / ".slipway" / "mlflow.db"


@pytest.fixture
def project(tmp_path, monkeypatch, environment, database):
    root = release_project.make(tmp_path / "project")
    (root / ".slipway").mkdir()
    shutil.copy(database, root / ".slipway" / "mlflow.db")
    monkeypatch.chdir(root)
    return root


@pytest.fixture
def server_project(project, prefect_database):
    """The project, for a flow that starts Prefect's server in it."""
    home = project / ".slipway" / "prefect"
    home.mkdir(exist_ok=True)
    shutil.copy(prefect_database, home / "prefect.db")
    return project


@pytest.fixture
def run():
    """Every step of a release as the flow does it, without Prefect."""

    def release(root: Path) -> None:
        for name in steps.STEPS:
            steps.perform(steps.open_context(root), name)

    return release
