"""The data half as a whole: mixed sources, any number of workers, kills, a full disk, forbidden and broken input.

Each test runs the real stages as processes, on a few hundred small documents.
"""

import copy
import gzip
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from slipway.files import combined, digests
from slipway.graph import stages

from .conftest import command, environment, make_project

pytestmark = pytest.mark.journey
STAGES = ("acquire", "validate", "prepare", "tokenize")
WORDS = [
    *("tensor", "index", "returns", "array", "shape", "value", "given", "axis", "data", "list", "error"),
    *("name", "file", "row", "sum", "mean", "when", "each", "other"),
]


def sentence(rng: random.Random, words: int) -> str:
    return " ".join(rng.choices(WORDS, k=words)) + f" number {rng.random():.9f} ends here."


def texts(seed: int, count: int) -> list[str]:
    rng = random.Random(seed)
    return [" ".join(sentence(rng, 12) for _ in range(rng.randint(2, 6))) for _ in range(count)]


def recipe(default: dict) -> dict:
    """Three sources of three shapes and formats, in shards of few documents."""
    values = copy.deepcopy(default)
    values["name"] = "mixed"
    values["acquire"] = {
        "shard_characters": 20_000,
        "sources": [
            {"kind": "jsonl", "name": "lines", "path": "own/*.jsonl.gz", "licence": "MIT"},
            {"kind": "parquet", "name": "table", "path": "own/table.parquet", "licence": "CC-BY-4.0"},
            {"kind": "jsonl", "name": "talk", "path": "own/chat.jsonl", "licence": "CC0-1.0", "shape": "chat"},
        ],
    }
    values["prepare"]["licences"] = [*values["prepare"]["licences"], "CC-BY-4.0"]
    values["prepare"]["test_share"] = values["prepare"]["validation_share"] = 0.1
    values["tokenize"] = {"vocabulary": 400}
    values["validate"] |= {"min_documents": 100, "min_type_token_ratio": 0.0}
    return values


def own_data(project: Path) -> None:
    own = project / "own"
    own.mkdir()
    for number in range(2):
        lines = [json.dumps({"text": text}) for text in texts(number, 120)]
        (own / f"{number}.jsonl.gz").write_bytes(gzip.compress("\n".join(lines).encode(), mtime=0))
    pq.write_table(pa.table({"text": texts(7, 120)}), own / "table.parquet")
    talk = [
        {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]}
        for question, answer in zip(texts(8, 60), texts(9, 60), strict=True)
    ]
    (own / "chat.jsonl").write_text("\n".join(map(json.dumps, talk)), "utf-8")


@pytest.fixture(scope="module")
def built(tmp_path_factory, default_values) -> Path:
    """A project with the three sources, locked, its data half made by one process; tests may read it."""
    staging = tmp_path_factory.mktemp("staging")
    own_data(staging)
    directory = make_project(tmp_path_factory.mktemp("built") / "project", recipe(default_values), copied=staging)
    half(directory, SLIPWAY_WORKERS="1")
    return directory


@pytest.fixture
def project(built, tmp_path) -> Path:
    """A copy of it to change."""
    return Path(shutil.copytree(built, tmp_path / "project", symlinks=True))


def unmade(project: Path, stage: str) -> None:
    """Take away what a stage made, as DVC does before it runs it."""
    for path in stages(project / "dvc.yaml")[stage].outs:
        shutil.rmtree(project / path) if (project / path).is_dir() else (project / path).unlink(missing_ok=True)


def run(project: Path, stage: str, expect: int = 0, **env: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", f"pipelines.{stage}"],
        cwd=project,
        env=environment(project) | {"PYTHONPATH": str(project)} | env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == expect, f"{stage} ended with {done.returncode}, not {expect}:\n{done.stdout[-4000:]}"
    return done.stdout


def half(project: Path, **env: str) -> dict[str, str]:
    """Run the four stages; digests of all that they made."""
    for stage in STAGES:
        run(project, stage, **env)
    return made(project)


def made(project: Path) -> dict[str, str]:
    return {
        name: digest
        for place in ("data", "models/tokenizer", "reports")
        for name, digest in digests(project / place, project).items()
    }


def settings(project: Path, change: dict) -> None:
    """Merge `change` into the project's recipe."""
    from ruamel.yaml import YAML

    yaml = YAML(typ="safe")
    values = yaml.load((project / "params.yaml").read_text("utf-8"))
    for section, entries in change.items():
        values[section] |= entries
    with (project / "params.yaml").open("w", encoding="utf-8") as stream:
        yaml.dump(values, stream)


def test_any_number_of_workers_makes_the_same_bytes(project, built):
    alone = made(built)
    assert len([name for name in alone if name.startswith("data/raw/documents-")]) > 3, "the point is many shards"
    assert combined(half(project, SLIPWAY_WORKERS="2")) == combined(alone)


def test_the_books_balance_and_every_reject_has_a_reason(built):
    report = json.loads((built / "reports/prepare.json").read_text())["result"]
    assert report["documents_in"] == 420
    assert report["documents_in"] == sum(report["splits"].values()) + sum(report["rejects"].values())
    rejects = pa.concat_tables(pq.read_table(path) for path in sorted((built / "data/rejects").glob("rejects-*")))
    assert rejects.num_rows == sum(report["rejects"].values()) == sum(report["rejects_by_step"].values())
    assert rejects["reason"].null_count == 0
    assert rejects["stage"].null_count == 0


@pytest.mark.parametrize("stage", ["acquire", "prepare", "tokenize"])
def test_a_stage_killed_halfway_leaves_nothing_half_written_and_its_rerun_gives_the_same_bytes(project, stage):
    before = made(project)
    for delay in (0.3, 0.6, 0.9):
        process = subprocess.Popen(
            [sys.executable, "-m", f"pipelines.{stage}"],
            cwd=project,
            env=environment(project) | {"PYTHONPATH": str(project), "SLIPWAY_WORKERS": "2"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        time.sleep(delay)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    run(project, stage)
    assert made(project) == before, "also no temporary file is left after the rerun"


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system takes root")
@pytest.mark.parametrize(("stage", "place"), [("acquire", "data"), ("prepare", "data"), ("tokenize", "data")])
def test_a_full_disk_is_one_clear_message_and_no_half_output(project, stage, place):
    unmade(project, stage)
    held = sum(path.stat().st_size for path in (project / place).rglob("*") if path.is_file())
    kept = project / "kept"
    (project / place).mkdir(exist_ok=True)
    subprocess.run(["cp", "-a", f"{project / place}/.", str(kept)], check=True)
    size = (held // 4096 + 24) * 4096
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(project / place)], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip(f"cannot mount: {mounted.stderr.decode().strip()}")
    try:
        subprocess.run(["cp", "-a", f"{kept}/.", str(project / place)], check=True)
        output = run(project, stage, expect=2)
        assert "No space left on device" in output
        assert "Traceback" not in output
        assert not (project / f"reports/{stage}.json").exists()
    finally:
        subprocess.run(["umount", str(project / place)], check=True)


def test_a_source_that_may_not_be_used_commercially_is_refused_by_name(project):
    settings(project, {"prepare": {"licences": ["MIT", "CC0-1.0", "CC-BY-NC-4.0"]}})
    text = (project / "params.yaml").read_text("utf-8").replace("CC-BY-4.0", "CC-BY-NC-4.0")
    (project / "params.yaml").write_text(text, "utf-8")
    command(project, "slipway", "lock")
    unmade(project, "prepare")
    run(project, "acquire")
    output = run(project, "prepare", expect=1)
    assert "table" in output
    assert "CC-BY-NC-4.0" in output
    assert "Apache-2.0" in output
    assert not (project / "data/clean").exists()


def test_a_changed_input_is_refused_before_anything_is_read(project):
    path = project / "own/table.parquet"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    unmade(project, "acquire")
    output = run(project, "acquire", expect=1)
    assert "own/table.parquet" in output
    assert "slipway lock" in output
    assert not (project / "data/raw").exists()


def test_a_broken_contract_names_what_is_broken(project):
    settings(project, {"validate": {"min_documents": 100_000}})
    unmade(project, "validate")
    output = run(project, "validate", expect=2)
    assert "100,000" in output
    assert (project / "reports/validate.html").exists(), "the page is there to look at"
    assert not (project / "reports/validate.json").exists()
