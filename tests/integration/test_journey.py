"""The whole journey, from real data to a verified release, and what must hold of it.

Covered: release in one command · second run does nothing · plain copy verifies with Slipway and with model_signing ·
a third party loads and generates · MLflow holds run and version · flipped bytes in a source, an artifact, a bundle and
a published file are refused with the file named. That `dvc repro` alone builds the same bundle is in test_kill.py.
"""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from slipway.files import sha256_file

from .conftest import command, environment, make_project

pytestmark = pytest.mark.journey


def release_directory(project: Path) -> Path:
    (found,) = (project / ".slipway" / "store" / "releases" / "tiny").iterdir()
    return found


def flip(path: Path, offset: int = -1) -> None:
    path.chmod(0o644)
    data = bytearray(path.read_bytes())
    data[offset] ^= 1
    path.write_bytes(data)


def test_one_command_ends_with_a_table_that_tells_what_to_do_next(released):
    log = (released / "release.log").read_text("utf-8")
    digest = sha256_file(released / "bundle" / "manifest.json")
    assert digest[:12] in log
    assert "GO" in log
    for word in ("slipway verify", "mlflow", "report.html"):
        assert word in log, word


def test_a_second_run_runs_no_stage_and_publishes_nothing(released):
    before = {path: path.stat().st_mtime_ns for path in (released / ".slipway" / "store").rglob("*") if path.is_file()}
    lock = (released / "dvc.lock").read_bytes()
    command(released, "slipway", "release")
    assert (released / "dvc.lock").read_bytes() == lock
    assert {
        path: path.stat().st_mtime_ns for path in (released / ".slipway" / "store").rglob("*") if path.is_file()
    } == before


def test_a_plain_copy_verifies_with_slipway_and_with_model_signing(released, tmp_path):
    copy = shutil.copytree(release_directory(released), tmp_path / "copy")
    key = released / ".slipway" / "keys" / "release.pub"
    assert "verified" in command(released, "slipway", "verify", str(copy), "--key", str(key))
    output = command(
        released, sys.executable, "-m", "model_signing", "verify", "key", str(copy),
        "--signature", str(copy / "model.sig"), "--public_key", str(key),
    )  # fmt: skip
    assert "Verification succeeded" in output


@pytest.mark.parametrize("name", ["model.safetensors", "README.md", "manifest.json", "statement.json"])
def test_a_flipped_byte_in_a_published_file_is_refused_by_name(released, tmp_path, name):
    copy = shutil.copytree(release_directory(released), tmp_path / "copy")
    flip(copy / name, 40)
    key = released / ".slipway" / "keys" / "release.pub"
    output = command(released, "slipway", "verify", str(copy), "--key", str(key), expect=1)
    assert name in output
    assert "Traceback" not in output


def test_an_added_file_is_refused_by_name(released, tmp_path):
    copy = shutil.copytree(release_directory(released), tmp_path / "copy")
    (copy / ".git").mkdir()
    (copy / ".git" / "evil.py").write_text("print(1)")
    key = released / ".slipway" / "keys" / "release.pub"
    assert "evil.py" in command(released, "slipway", "verify", str(copy), "--key", str(key), expect=1)


def test_a_third_party_loads_the_release_and_generates(released):
    code = (
        "import sys\nfrom transformers import AutoModelForCausalLM, AutoTokenizer\n"
        "model = AutoModelForCausalLM.from_pretrained(sys.argv[1])\n"
        "tokenizer = AutoTokenizer.from_pretrained(sys.argv[1])\n"
        "ids = tokenizer('Return the', return_tensors='pt')\n"
        "print(model.generate(**ids, max_new_tokens=8, do_sample=False).shape[1] - ids['input_ids'].shape[1])"
    )
    output = subprocess.run(
        [sys.executable, "-c", code, str(release_directory(released))],
        cwd="/", env=environment(released), capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert 1 <= int(output.stdout.split()[-1]) <= 8


def test_mlflow_holds_one_run_and_one_version(released):
    code = (
        "import json, mlflow\n"
        "mlflow.set_tracking_uri('sqlite:///.slipway/mlflow.db'); client = mlflow.MlflowClient()\n"
        "runs = [r for e in client.search_experiments() for r in client.search_runs([e.experiment_id])]\n"
        "(version,) = client.search_model_versions(\"name='tiny'\")\n"
        "run = runs[0]\n"
        "print(json.dumps({'runs': len(runs), 'metrics': sorted(run.data.metrics), 'params': len(run.data.params),"
        " 'inputs': len(run.inputs.dataset_inputs), 'loss': len(client.get_metric_history(run.info.run_id, 'loss')),"
        " 'artifacts': [a.path for a in client.list_artifacts(run.info.run_id)], 'tags': version.tags,"
        " 'alias': client.get_model_version_by_alias('tiny', 'released').version}))"
    )
    found = json.loads(command(released, sys.executable, "-c", code).splitlines()[-1])
    assert found["runs"] == 1
    assert {"loss", "learning_rate", "grad_norm", "tokens_per_second"} <= set(found["metrics"])
    assert found["params"] > 20
    assert found["inputs"] >= 1
    assert found["loss"] > 10
    assert found["artifacts"]
    assert found["tags"]["slipway.bundle_digest"] == sha256_file(released / "bundle" / "manifest.json")
    assert str(found["alias"]) == "1"


def test_a_flipped_byte_in_a_bundle_is_refused_by_name(released, copy_of):
    project = copy_of(released)
    flip(project / "bundle" / "model.safetensors")
    output = command(project, "slipway", "release", "--no-build", expect=1)
    assert "model.safetensors" in output
    assert "Traceback" not in output


def test_a_flipped_byte_in_an_artifact_is_refused_by_name(released, copy_of):
    project = copy_of(released)
    flip(project / "models" / "trained" / "model.safetensors")
    output = command(project, sys.executable, "-m", "pipelines.evaluate", expect=1)
    assert re.search(r"models/trained/model\.safetensors: sha256 is", output)


def test_a_flipped_byte_in_dvcs_cache_is_refused_by_name(released, copy_of):
    project = copy_of(released)
    weights = project / "models" / "trained" / "model.safetensors"
    data = weights.read_bytes()
    (cached,) = [
        path for path in (project / ".dvc" / "cache").rglob("*") if path.is_file() and path.read_bytes() == data
    ]
    flip(cached)
    cached.chmod(0o444)  # as DVC leaves it, and trusts it without hashing it again
    weights.unlink()
    command(project, "dvc", "checkout", "--force", "train")
    output = command(project, sys.executable, "-m", "pipelines.evaluate", expect=1)
    assert re.search(r"models/trained/model\.safetensors: sha256 is", output)


def test_data_that_is_not_as_locked_is_refused_by_name(tmp_path, tiny_values):
    source = {"kind": "text", "name": "mine", "path": "mine/*.txt", "licence": "MIT"}
    project = make_project(
        tmp_path / "project", tiny_values | {"acquire": {"sources": [source]}}, {"mine/a.txt": "one\n" * 50}
    )
    flip(project / "mine" / "a.txt")
    for arguments in (("slipway", "build"), (sys.executable, "-m", "pipelines.acquire")):
        output = command(project, *arguments, expect=1)
        assert "mine/a.txt" in output
        assert "slipway lock" in output
