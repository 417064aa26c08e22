"""DVC-tracked inputs: a real DVC repository with a remote in a directory beside it."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from dvc.repo import Repo

from slipway.adapters.inputs import pull
from slipway.errors import UserError


@pytest.fixture
def project(tmp_path):
    """Tracked, pushed, and then as a fresh clone has it: only the .dvc files are there."""
    root = tmp_path / "project"
    (root / "corpus").mkdir(parents=True)
    (root / "shards").mkdir()
    (root / "corpus" / "a.jsonl").write_text('{"text": "a"}\n')
    (root / "corpus" / "b.jsonl").write_text('{"text": "b"}\n')
    (root / "shards" / "0.txt").write_text("zero")
    subprocess.run(["git", "init", "--quiet"], cwd=root, check=True)
    with Repo.init(str(root)) as repo:
        with repo.config.edit() as config:
            config["remote"]["beside"] = {"url": str(tmp_path / "remote")}
            config["core"] = {"remote": "beside", "analytics": False}
        repo.add([str(root / "corpus" / "a.jsonl"), str(root / "corpus" / "b.jsonl"), str(root / "shards")])
    with Repo(str(root)) as repo:
        repo.push()
    shutil.rmtree(root / ".dvc" / "cache")
    shutil.rmtree(root / "shards")
    for name in "ab":
        (root / "corpus" / f"{name}.jsonl").unlink()
    return root


@pytest.mark.parametrize(
    ("path", "pulled"),
    [
        ("corpus/a.jsonl", ["corpus/a.jsonl.dvc"]),
        ("corpus/*.jsonl", ["corpus/a.jsonl.dvc", "corpus/b.jsonl.dvc"]),
        ("corpus", ["corpus/a.jsonl.dvc", "corpus/b.jsonl.dvc"]),
        ("shards", ["shards.dvc"]),
        ("shards/*.txt", ["shards.dvc"]),
        ("s3://corpus/a.jsonl", []),
        ("../project/corpus/a.jsonl", []),
        ("corpus/**.jsonl", []),
        ("corpus/**", []),
        ("", []),
    ],
)
def test_what_is_tracked_and_not_here_is_pulled_and_nothing_else(project, path, pulled):
    assert pull(project, [path]) == pulled
    there = {
        found.relative_to(project).as_posix() for found in project.glob("*/*") if found.suffix in (".jsonl", ".txt")
    }
    assert there == {name.removesuffix(".dvc").replace("shards", "shards/0.txt") for name in pulled}
    assert pull(project, [path]) == []


def test_what_is_here_is_left_as_it_is(project):
    (project / "corpus" / "a.jsonl").write_text("mine")
    assert pull(project, ["corpus/a.jsonl"]) == []
    assert (project / "corpus" / "a.jsonl").read_text() == "mine"


def test_a_remote_that_lost_the_file_is_named(project, tmp_path):
    shutil.rmtree(tmp_path / "remote")
    with pytest.raises(UserError, match=r"corpus/a\.jsonl\.dvc: dvc pull failed"):
        pull(project, ["corpus/a.jsonl"])
    assert not (project / "corpus" / "a.jsonl").exists()


def test_a_stage_that_dvc_itself_runs_can_pull(project):
    code = "from pathlib import Path; from slipway.adapters.inputs import pull; pull(Path(), ['corpus/a.jsonl'])"
    (project / "stage.py").write_text(f"{code}; Path('out').write_text(Path('corpus/a.jsonl').read_text())")
    (project / "dvc.yaml").write_text(
        "stages:\n  one:\n    cmd: python stage.py\n    deps: [stage.py]\n    outs: [out]\n"
    )
    dvc = [str(Path(sys.executable).with_name("dvc")), "repro", "--quiet"]
    path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    done = subprocess.run(dvc, cwd=project, env={"PATH": path}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (project / "out").read_text() == '{"text": "a"}\n'
