"""The stage `evaluate`, killed in the middle: what is finished is not scored again, and the report is the same."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from pipelines import evaluate
from pipelines.frame import execute
from slipway import __version__, graph
from slipway.evaluation import scoring
from slipway.files import digests, sha256_file
from slipway.model.load import weights_digest
from slipway.records import StageRecord
from tests import data_records, release_project
from tests.evaluation.conftest import sentences
from tests.evaluation.made import grown, split, template_directory

ROOT = Path(__file__).parents[2]
DOCUMENTS = 300
REPORTS = ("reports/evaluate.json", "reports/evaluate_items.parquet")


def rows(count: int, seed: int) -> list[dict]:
    return [
        {"id": f"d{i:03}", "text": text, "source": "made/up", "family": f"f{i}", "group": "g", "licence": "MIT",
         "shape": "text"}
        for i, text in enumerate(sentences(count, seed, 30))
    ]  # fmt: skip


def record(root: Path, stage: str, result: dict) -> None:
    """A report as the stage would leave it, with the digests of what lies in the project."""
    made = graph.stages(root / "dvc.yaml")[stage].outs
    outputs = {
        name: sha
        for path in made
        if path != f"reports/{stage}.json"
        for name, sha in digests(root / path, root).items()
    }
    found = StageRecord(stage=stage, slipway=__version__, settings={}, inputs={}, outputs=outputs, result=result)
    (root / "reports").mkdir(exist_ok=True)
    (root / f"reports/{stage}.json").write_text(found.to_json(), "utf-8")


def recipe(**devices: object) -> dict:
    values = release_project.values()
    values["train"] |= {"sequence_length": 64, "threads": 1, "devices": {"kind": "cpu"} | devices}
    values["safety"]["extraction_tokens"] = 20
    values["evaluate"] |= {"stride": 32, "bootstrap": 50}
    values["evaluate"]["continuation"] |= {"items": 40, "prompt_tokens": 20, "answer_tokens": 8}
    values["evaluate"]["signature"] |= {"items": 40, "prompt_tokens": 20, "answer_tokens": 8}
    return values


def recipe_of(root: Path, values: dict) -> None:
    with (root / "params.yaml").open("w", encoding="utf-8") as stream:
        YAML(typ="safe").dump(values, stream)


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    """A project that is trained, with a tiny model; tests copy it."""
    import torch
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    root = tmp_path_factory.mktemp("trained") / "project"
    root.mkdir()
    shutil.copy(ROOT / "dvc.yaml", root / "dvc.yaml")
    words = AutoTokenizer.from_pretrained(template_directory(root / "models/tokenizer"), local_files_only=True)
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    model = LlamaForCausalLM(LlamaConfig(vocab_size=400, max_position_embeddings=64, **sizes))
    grown(model, words).model.save_pretrained(root / "models/trained")
    for name in ("data/clean", "data/tasks", "models/base"):
        (root / name).mkdir(parents=True)
    split(root / "data/clean", rows(DOCUMENTS, 3), "test", 50)
    split(root / "data/clean", rows(100, 4), "train", 50)
    recipe_of(root, recipe())
    tokenizer = {
        "tokenizer_sha256": sha256_file(root / "models/tokenizer/tokenizer.json"),
        "chat_template_sha256": sha256_file(root / "models/tokenizer/chat_template.jinja"),
    }
    record(root, "acquire", data_records.acquire())
    record(root, "prepare", data_records.prepare())
    record(root, "tokenize", data_records.tokenize() | tokenizer)
    record(root, "train", data_records.train(weights_digest(root / "models/trained")))
    return root


def run(root: Path) -> int:
    """The stage in this process; how many rows and prompts it computed."""
    made = []

    class Counted(scoring.Scorer):
        def __init__(self, *arguments, **named):
            super().__init__(*arguments, **named)
            made.append(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scoring, "Scorer", Counted)
        execute("evaluate", evaluate.main, root)
    return sum(scorer.batches.computed for scorer in made)


@pytest.fixture(scope="module")
def whole(project) -> tuple[Path, int]:
    """An undisturbed run, and how many rows it computed."""
    root = Path(shutil.copytree(project, project.parent / "whole"))
    return root, run(root)


def journal(root: Path) -> int:
    """Finished batches on disk."""
    return sum(path.read_bytes().count(b"\n") // 2 for path in (root / ".slipway/evaluate").rglob("*.journal"))


def stage(root: Path, **environment: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "pipelines.evaluate"], cwd=root, start_new_session=True,
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"} | environment,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def kill(root: Path) -> None:
    """Start the stage and kill it as soon as a few batches are finished."""
    process, deadline = stage(root), time.monotonic() + 400
    while process.poll() is None and journal(root) < 3 and time.monotonic() < deadline:
        time.sleep(0.002)
    assert process.poll() is None, process.communicate()[0]
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert not (root / "reports/evaluate.json").exists()


def test_what_a_killed_stage_has_finished_is_not_scored_again(project, tmp_path, whole):
    killed = Path(shutil.copytree(project, tmp_path / "killed"))
    kill(killed)
    undisturbed, rows_of_all = whole
    assert 0 < run(killed) < rows_of_all
    for name in REPORTS:
        assert (killed / name).read_bytes() == (undisturbed / name).read_bytes()
    assert not (killed / ".slipway/evaluate").exists()


def test_a_forced_stage_begins_anew(project, tmp_path, whole, monkeypatch):
    killed = Path(shutil.copytree(project, tmp_path / "killed"))
    kill(killed)
    monkeypatch.setenv("SLIPWAY_FORCED", "1")
    assert run(killed) == whole[1]


def test_two_processes_find_what_one_finds(project, tmp_path, whole):
    """Equal batches on equal processors give equal bits, whoever computes them."""
    two = Path(shutil.copytree(project, tmp_path / "two"))
    recipe_of(two, recipe(count=2))
    process = stage(two)
    output, _ = process.communicate(timeout=400)
    assert process.returncode == 0, output
    assert "bits_per_byte: " in output
    one, other = (json.loads((root / REPORTS[0]).read_text("utf-8")) for root in (whole[0], two))
    assert one["result"] == other["result"]
    assert (whole[0] / REPORTS[1]).read_bytes() == (two / REPORTS[1]).read_bytes()
    assert not (two / ".slipway/evaluate").exists()


def test_what_a_rank_has_to_say_is_said_by_the_stage(project, tmp_path):
    from safetensors.torch import load_file, save_file

    broken = Path(shutil.copytree(project, tmp_path / "broken"))
    recipe_of(broken, recipe(count=2))
    path = broken / "models/trained/model.safetensors"
    weights = load_file(path)
    weights["model.norm.weight"][:] = float("nan")
    save_file(weights, path, {"format": "pt"})
    record(broken, "train", data_records.train(weights_digest(broken / "models/trained")))
    process = stage(broken)
    output, _ = process.communicate(timeout=400)
    assert process.returncode == 2, output
    assert "not numbers" in output
    assert not (broken / REPORTS[0]).exists()
