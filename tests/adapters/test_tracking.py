"""MLflow on sqlite: one run per build, metrics in batches, one model version per bundle."""

import os
import subprocess
import sys

import pytest

from slipway.adapters import tracking
from slipway.adapters.tracking.client import client
from slipway.files import sha256_file
from tests import release_project


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A project with MLflow's database, which takes seconds to make."""
    root = release_project.make(tmp_path_factory.mktemp("tracking") / "project")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        patch.delenv("SLIPWAY_MLFLOW_RUN_ID", raising=False)
        patch.chdir(root)
        yield root


@pytest.fixture
def run_id(project):
    return tracking.start_build_run(project, "tiny", {"name": "tiny", "train": {"steps": 2, "none": []}})


def test_a_build_is_one_run_with_everything(project, run_id):
    tracking.finish_build_run(project, run_id, ["train"])
    mlflow = client(project)
    run = mlflow.get_run(run_id)
    assert run.info.status == "FINISHED"
    assert run.data.params == {"name": "tiny", "train.steps": "2", "train.none": "[]"}
    assert run.data.metrics["test.bits_per_byte.model"] == 1.9
    assert run.data.metrics["test.continuation.accuracy.low"] == pytest.approx(0.35)
    assert [(point.step, point.value) for point in mlflow.get_metric_history(run_id, "loss")] == [(1, 5.0), (2, 4.0)]
    assert [(p.step, p.value) for p in mlflow.get_metric_history(run_id, "validation_loss")] == [(2, 3.1)]
    assert {entry.dataset.name for entry in run.inputs.dataset_inputs} == {
        f"data/clean/{split}" for split in ("train", "validation", "test")
    }
    assert {item.path for item in mlflow.list_artifacts(run_id)} == {"reports", "bundle"}
    assert "bundle/report.html" in {item.path for item in mlflow.list_artifacts(run_id, "bundle")}
    assert not [item for item in mlflow.list_artifacts(run_id, "bundle") if "safetensors" in item.path]
    assert run.data.tags["slipway.cached"] == "train"
    digest = sha256_file(project / "bundle" / "manifest.json")
    assert tracking.find_run(project, "tiny", digest) == run_id
    assert tracking.find_run(project, "tiny", "00") is None
    assert tracking.find_run(project, "other", digest) is None


def test_metrics_go_in_batches(project, run_id, monkeypatch):
    monkeypatch.setenv("SLIPWAY_MLFLOW_RUN_ID", run_id)
    with tracking.metric_sink() as log:
        for step in range(600):
            log(step, {"loss": 5 - step / 600, "tokens_per_second": 100.0})
        assert client(project).get_metric_history(run_id, "loss") == [], "nothing is sent before the interval"
    history = client(project).get_metric_history(run_id, "loss")
    assert [point.step for point in history] == list(range(600))


def test_an_unreachable_server_does_not_end_training(project, run_id, monkeypatch, capsys):
    from mlflow.exceptions import MlflowException
    from mlflow.tracking import MlflowClient

    def down(*_, **__):
        raise MlflowException("connection refused")

    monkeypatch.setenv("SLIPWAY_MLFLOW_RUN_ID", run_id)
    with monkeypatch.context() as patch, tracking.metric_sink() as log:
        patch.setattr(MlflowClient, "log_batch", down)
        log(1, {"loss": 1.0})
    assert "1 metrics not sent yet: connection refused" in capsys.readouterr().err


def test_without_a_run_nothing_is_imported(tmp_path):
    code = (
        "import sys\nfrom slipway.adapters.tracking import metric_sink\n"
        "with metric_sink() as log: log(1, {'loss': 1.0})\nassert 'mlflow' not in sys.modules"
    )
    env = {name: value for name, value in os.environ.items() if name != "SLIPWAY_MLFLOW_RUN_ID"}
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=env, check=True)
    assert not list(tmp_path.iterdir())


def test_the_run_of_a_killed_build_is_closed(project):
    code = (
        "import os\nfrom pathlib import Path\nfrom slipway.adapters.tracking import start_build_run\n"
        "print(start_build_run(Path('.'), 'tiny', {'seed': 1}), flush=True)\nos.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=project, capture_output=True, text=True, check=False)
    orphan = done.stdout.strip()
    mine = tracking.start_build_run(project, "tiny", {"seed": 1})
    assert client(project).get_run(orphan).info.status == "KILLED"
    assert client(project).get_run(mine).info.status == "RUNNING"


def test_a_bundle_is_one_version(project, run_id):
    digest = sha256_file(project / "bundle" / "manifest.json")
    where = {"digest": digest, "version": "v1", "uri": "/store/releases/tiny/v1", "run_id": run_id}
    first = tracking.register(project, "tiny", project / "bundle", **where)
    assert tracking.register(project, "tiny", project / "bundle", **where) == first
    mlflow = client(project)
    (version,) = mlflow.search_model_versions("name = 'tiny'")
    assert version.tags["slipway.bundle_digest"] == digest
    assert (version.tags["slipway.version"], version.tags["slipway.uri"]) == ("v1", "/store/releases/tiny/v1")
    assert str(mlflow.get_model_version_by_alias("tiny", "candidate").version) == first
    assert tracking.mark_released(project, "tiny", digest) == first
    assert tracking.mark_released(project, "tiny", "00" * 32) is None
    assert str(mlflow.get_model_version_by_alias("tiny", "released").version) == first
    (model,) = mlflow.search_logged_models([mlflow.get_experiment_by_name("tiny").experiment_id])
    held = mlflow.list_logged_model_artifacts(model.model_id)
    assert {item.path for item in held} == {"manifest.json", "README.md", "config.json", "report.html"}


def test_nothing_lies_outside_the_state_folder(project, run_id):
    assert not (project / "mlflow.db").exists()
    assert not (project / "mlruns").exists()
    assert "MLFLOW_TRACKING_URI" not in os.environ
