"""MLflow on sqlite: one run per build, metrics in batches, one model version per bundle."""

import os
import shutil
import socket
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from slipway.adapters import tracking
from slipway.adapters.tracking import registry, runs
from slipway.adapters.tracking.client import client
from slipway.errors import UserError
from slipway.files import sha256_file, write_atomic
from slipway.records import project_ledger
from slipway.settings import Price
from tests import gate_records, release_project
from tests.data_records import edit


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A project with MLflow's database, which takes seconds to make."""
    root = release_project.make(tmp_path_factory.mktemp("tracking") / "project")
    release_project.ledger(root)
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        patch.delenv("SLIPWAY_MLFLOW_RUN_ID", raising=False)
        patch.chdir(root)
        yield root


@pytest.fixture
def run_id(project):
    return tracking.start_build_run(project, "tiny", {"name": "tiny", "train": {"steps": 2, "none": []}})


def test_a_build_is_one_run_with_everything(project, run_id):
    spent = project_ledger(project, Price(per_device_hour=2.0, currency="EUR"))
    tracking.finish_build_run(project, run_id, ["train"], spent, pages={"LEDGER.md": "# What training cost\n"})
    mlflow = client(project)
    run = mlflow.get_run(run_id)
    assert run.info.status == "FINISHED"
    assert run.data.params == {"name": "tiny", "train.steps": "2", "train.none": "[]"}
    assert run.data.metrics["test.bits_per_byte"] == pytest.approx(1.9)
    assert run.data.metrics["test.bits_per_byte.low"] < 1.9 < run.data.metrics["test.bits_per_byte.high"]
    assert run.data.metrics["test.bits_per_byte.reference.gzip"] == 2.1
    assert "test.bits_per_byte.reference.gzip.low" not in run.data.metrics, "no interval is no number"
    assert "test.bits_per_byte.base" not in run.data.metrics
    assert run.data.metrics["final.gap"] == pytest.approx(0.1)
    assert run.data.metrics["final.flops"] == 6400
    assert run.data.metrics["ledger.this_run.attempts"] == 2
    assert run.data.metrics["ledger.all_runs.failed"] == 1
    assert run.data.metrics["ledger.this_run.cost"] == 4
    assert "ledger.this_run.energy_kwh" not in run.data.metrics, "unknown is not 0"
    assert run.data.metrics["test.continuation"] == pytest.approx(0.4)
    assert run.data.metrics["safety.canary_exposure.exposure_1.high"] == 2.9
    assert "reports/evaluate_items.parquet" in {item.path for item in mlflow.list_artifacts(run_id, "reports")}
    assert [(point.step, point.value) for point in mlflow.get_metric_history(run_id, "loss")] == [(1, 5.0), (2, 4.0)]
    assert [(p.step, p.value) for p in mlflow.get_metric_history(run_id, "validation_loss")] == [(2, 3.1)]
    assert {entry.dataset.name for entry in run.inputs.dataset_inputs} == {
        f"data/clean/{split}" for split in ("train", "validation", "test")
    }
    assert {item.path for item in mlflow.list_artifacts(run_id)} == {"reports", "bundle", "LEDGER.md"}
    assert "bundle/report.html" in {item.path for item in mlflow.list_artifacts(run_id, "bundle")}
    assert not [item for item in mlflow.list_artifacts(run_id, "bundle") if "safetensors" in item.path]
    assert run.data.tags["slipway.cached"] == "train"
    digest = sha256_file(project / "bundle" / "manifest.json")
    assert tracking.find_run(project, "tiny", digest) == run_id
    assert tracking.find_run(project, "tiny", "00") is None
    assert tracking.find_run(project, "other", digest) is None
    mlflow.delete_run(run_id)
    assert tracking.find_run(project, "tiny", digest) is None
    mlflow.restore_run(run_id)


def test_a_run_that_only_says_that_it_built_the_bundle_is_not_taken(project, run_id):
    """Anybody who reaches MLflow can make a run and set its tags."""
    mlflow, digest = client(project), "ab" * 32
    mlflow.set_tag(run_id, "slipway.bundle_digest", digest)
    mlflow.set_terminated(run_id, "FINISHED")
    assert tracking.find_run(project, "tiny", digest) is None
    mine = built_by(project, "tiny", tracking.start_build_run(project, "tiny", {"seed": 1}), digest)
    assert tracking.find_run(project, "tiny", digest) == mine, "the planted one is not in its way"
    (project / runs.KEPT / f"{digest}.json").write_text("{}")
    with pytest.raises(UserError, match="not what a build wrote"):
        tracking.find_run(project, "tiny", digest)


def test_the_run_of_another_tracker_is_none_here(project):
    digest = "cd" * 32
    write_atomic(project / runs.KEPT / f"{digest}.json", runs.BuiltBy(name="tiny", run_id="00" * 16).to_json())
    assert tracking.find_run(project, "tiny", digest) is None


def built_by(project, name, run_id, digest):
    """As `finish_build_run` leaves it."""
    client(project).set_terminated(run_id, "FINISHED")
    write_atomic(project / runs.KEPT / f"{digest}.json", runs.BuiltBy(name=name, run_id=run_id).to_json())
    return run_id


def test_metrics_go_in_batches(project, run_id, monkeypatch):
    monkeypatch.setenv("SLIPWAY_MLFLOW_RUN_ID", run_id)
    with tracking.metric_sink() as log:
        for step in range(600):
            log(step, {"loss": 5 - step / 600, "tokens_per_second": 100.0})
        assert client(project).get_metric_history(run_id, "loss") == [], "nothing is sent before the interval"
    history = client(project).get_metric_history(run_id, "loss")
    assert [point.step for point in history] == list(range(600))


def test_metrics_are_there_while_training_goes_on(project, run_id, monkeypatch):
    monkeypatch.setenv("SLIPWAY_MLFLOW_RUN_ID", run_id)
    with tracking.metric_sink(interval=0.05) as log:
        log(1, {"loss": 1.0})
        deadline = time.monotonic() + 120
        while not client(project).get_metric_history(run_id, "loss") and time.monotonic() < deadline:
            time.sleep(0.05)
        assert client(project).get_metric_history(run_id, "loss"), "a thread sends; nobody called for it"


def test_a_line_costs_microseconds_whatever_the_server_does(project, run_id, monkeypatch):
    from mlflow.tracking import MlflowClient

    def slow(*_, **__):
        time.sleep(0.2)

    monkeypatch.setenv("SLIPWAY_MLFLOW_RUN_ID", run_id)
    monkeypatch.setattr(MlflowClient, "log_batch", slow)
    line = dict.fromkeys(("loss", "learning_rate", "grad_norm", "tokens", "tokens_per_second", "mfu"), 1.0)
    with tracking.metric_sink(interval=0.01) as log:
        took = []
        for step in range(2000):
            began = time.perf_counter()
            log(step, line)
            took.append(time.perf_counter() - began)
    # Most calls, so that one during which another process had the core does not count; and none waits for a batch.
    assert statistics.median(took) < 100e-6
    assert sum(took) < 2000 * 0.2 / 20


def down(*_, **__):
    from mlflow.exceptions import MlflowException

    raise MlflowException("connection refused")


def test_an_unreachable_server_is_said_once_and_asked_again(project, run_id, monkeypatch, capsys):
    from mlflow.tracking import MlflowClient

    monkeypatch.setenv("SLIPWAY_MLFLOW_RUN_ID", run_id)
    with monkeypatch.context() as patch, tracking.metric_sink(interval=0.01) as log:
        patch.setattr(MlflowClient, "log_batch", down)
        for step in range(5):
            log(step, {"loss": 1.0})
            time.sleep(0.05)
        patch.undo()
    assert capsys.readouterr().err.count("connection refused") == 1
    assert len(client(project).get_metric_history(run_id, "loss")) == 5


def test_a_server_that_stays_away_keeps_nothing_waiting(project, run_id, monkeypatch, capsys):
    from mlflow.tracking import MlflowClient

    from slipway.adapters.tracking import sink

    hangs = threading.Event()
    monkeypatch.setenv("SLIPWAY_MLFLOW_RUN_ID", run_id)
    monkeypatch.setattr(MlflowClient, "log_batch", lambda *_, **__: hangs.wait(30))
    monkeypatch.setattr(sink, "PATIENCE", 0.2)
    monkeypatch.setattr(sink, "WAITING", 10)
    began = time.monotonic()

    def crash() -> None:
        with tracking.metric_sink(interval=0.01) as log:
            for step in range(50):
                log(step, {"loss": 1.0})
            raise ValueError("diverged")

    with pytest.raises(ValueError, match="diverged"):
        crash()
    assert time.monotonic() - began < 20
    hangs.set()
    assert "were not sent; reports/train_log.jsonl has the curve" in capsys.readouterr().err


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
    client(project).set_tag(mine, runs.OWNER, f"{socket.gethostname()} by hand")
    tracking.start_build_run(project, "tiny", {"seed": 1})
    assert client(project).get_run(mine).info.status == "RUNNING", "whose run it is cannot be told"


def test_a_bundle_is_one_version(project, run_id):
    digest = sha256_file(project / "bundle" / "manifest.json")
    told = tracking.tags(gate_records.verdict(digest)) | {tracking.CHANNEL: "stable"}
    where = {"digest": digest, "version": "v1", "uri": "/store/releases/tiny/v1", "run_id": run_id, "told": told}
    first = tracking.register(project, "tiny", project / "bundle", **where)
    assert tracking.register(project, "tiny", project / "bundle", **where) == first
    mlflow = client(project)
    (version,) = mlflow.search_model_versions("name = 'tiny'")
    assert version.tags["slipway.bundle_digest"] == digest
    assert (version.tags["slipway.version"], version.tags["slipway.uri"]) == ("v1", "/store/releases/tiny/v1")
    assert (version.tags["slipway.gate"], version.tags["slipway.gate.champion"]) == ("GO", "tiny v0")
    changed = where | {"told": {"slipway.gate": "INCONCLUSIVE"}}
    assert tracking.register(project, "tiny", project / "bundle", **changed) == first
    assert mlflow.get_model_version("tiny", first).tags["slipway.gate"] == "INCONCLUSIVE"
    assert str(mlflow.get_model_version_by_alias("tiny", "candidate").version) == first
    assert tracking.released(project, "tiny") is None
    assert tracking.mark_released(project, "tiny", digest) == first
    assert tracking.released(project, "tiny") == (digest, "/store/releases/tiny/v1", "stable")
    assert tracking.released(project, "another") is None
    assert tracking.mark_released(project, "tiny", "00" * 32) is None
    assert str(mlflow.get_model_version_by_alias("tiny", "released").version) == first
    (model,) = mlflow.search_logged_models([mlflow.get_experiment_by_name("tiny").experiment_id])
    held = mlflow.list_logged_model_artifacts(model.model_id)
    assert {item.path for item in held} == {"manifest.json", "README.md", "config.json", "report.html"}


def test_a_version_that_only_says_that_it_is_of_the_bundle_is_not_taken(project, tmp_path):
    """Planted before the release: a version and a logged model with the right tags and other files."""
    mlflow = client(project)
    bundle = tmp_path / "bundle"
    shutil.copytree(project / "bundle", bundle)
    (bundle / "README.md").write_text("# Another\n")
    digest = "12" * 32
    tags = {"slipway.bundle_digest": digest, "slipway.version": "v1"}
    mlflow.create_registered_model("planted")
    experiment = mlflow.create_experiment("planted", artifact_location=(project / "artifacts").as_uri())
    planted = mlflow.create_logged_model(experiment, name="planted", tags=tags)
    (tmp_path / "evil").mkdir()
    (tmp_path / "evil" / "model.pkl").write_bytes(b"evil")
    mlflow.log_model_artifacts(planted.model_id, str(tmp_path / "evil"))
    planted = mlflow.finalize_logged_model(planted.model_id, "READY")
    evil = mlflow.create_model_version(
        "planted", planted.artifact_location, tags=tags, model_id=planted.model_id
    ).version  # fmt: skip
    where = {"digest": digest, "version": "v1", "uri": "/store/releases/planted/v1", "told": {}}
    assert tracking.mark_released(project, "planted", digest) is None
    mine = tracking.register(project, "planted", bundle, **where)
    assert mine != str(evil)
    source = Path(mlflow.get_model_version("planted", mine).source.removeprefix("file://"))
    assert (source / "README.md").read_text() == "# Another\n"
    assert not (source / "model.pkl").exists()
    assert tracking.mark_released(project, "planted", digest) == mine
    (project / registry.KEPT / f"{digest}.json").unlink()
    assert tracking.register(project, "planted", bundle, **where) == mine, "by its files, from another machine"
    told = tracking.withdraw(project, "planted", "v1", reason="bad", channels={"stable": None})
    assert told.startswith(f"version {mine} tagged withdrawn")


def test_figures_that_an_objective_has_not_are_left_out(project, run_id):
    from slipway.adapters.tracking.runs import _figures

    def pairs(result):
        result.update(objective="dpo", validation_bits_per_byte=None, adapter="rank 8", merge_error=1e-6)

    kept = (project / "reports" / "train.json").read_bytes()
    edit(project, "train", pairs)
    figures = _figures(project / "reports")
    (project / "reports" / "train.json").write_bytes(kept)
    assert "final.validation_bits_per_byte" not in figures
    assert figures["final.merge_error"] == 1e-6


def test_the_base_of_every_task_is_a_figure_too(project, run_id):
    from slipway.adapters.tracking.runs import _figures

    def with_base(result):
        task = result["tasks"]["continuation"]
        task["base"] = task["measure"] | {"value": 0.5, "low": 0.3, "high": 0.7}
        task["base_difference"] = task["measure"] | {"value": -0.1, "low": None, "high": None}
        task["metrics"] = {"acc norm%": task["measure"]}

    kept = (project / "reports" / "evaluate.json").read_bytes()
    edit(project, "evaluate", with_base)
    figures = _figures(project / "reports")
    (project / "reports" / "evaluate.json").write_bytes(kept)
    assert (figures["test.continuation.base"], figures["test.continuation.base.high"]) == (0.5, 0.7)
    assert figures["test.continuation.base_difference"] == -0.1
    assert "test.continuation.base_difference.low" not in figures
    assert figures["test.continuation.acc norm "] == pytest.approx(0.4)


def test_a_verdict_is_kept_in_the_run_that_built_the_bundle(project):
    verdict = gate_records.verdict("ef" * 32)
    assert tracking.keep_verdict(project, "tiny", verdict, page="<p>", file="GATE.html") is None, "no such run"
    mlflow = client(project)
    mine = built_by(project, "tiny", tracking.start_build_run(project, "tiny", {"seed": 1}), "ef" * 32)
    assert tracking.keep_verdict(project, "tiny", verdict, page="<p>", file="GATE.html") == mine
    again = verdict.model_copy(update={"verdict": "NO-GO", "champion": None, "stand_in": "chance"})
    assert tracking.keep_verdict(project, "tiny", again, page="<b>", file="GATE.html") == mine
    data = mlflow.get_run(mine).data
    assert (data.tags["slipway.gate"], data.tags["slipway.gate.champion"]) == ("NO-GO", "none; chance")
    name = "gate.bits_per_byte vs champion"
    assert {key: value for key, value in data.metrics.items() if key.startswith("gate.")} == {
        name: 0.004, f"{name}.low": -0.011, f"{name}.high": 0.019,
    }  # fmt: skip
    assert [item.path for item in mlflow.list_artifacts(mine)] == ["GATE.html"]


def test_a_tracker_that_was_never_used_is_not_made(tmp_path):
    verdict = gate_records.verdict("ef" * 32)
    assert tracking.keep_verdict(tmp_path, "tiny", verdict, page="", file="GATE.html") is None
    assert tracking.released(tmp_path, "tiny") is None
    assert not list(tmp_path.iterdir())


def test_nothing_lies_outside_the_state_folder(project, run_id):
    assert not (project / "mlflow.db").exists()
    assert not (project / "mlruns").exists()
    assert "MLFLOW_TRACKING_URI" not in os.environ
