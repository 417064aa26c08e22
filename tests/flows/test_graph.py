"""What DVC says about staleness, locks and pushes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from flows import graph
from slipway.errors import UserError
from tests import tiny_project


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    project = tiny_project.make(tmp_path_factory.mktemp("graph") / "project")
    env = tiny_project.environment()
    env["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), env["PATH"]])
    subprocess.run([sys.executable, "-m", "dvc", "repro", "-q"], cwd=project, env=env, check=True, timeout=240)
    return project


def test_a_new_project_is_stale_throughout(tmp_path):
    project = tiny_project.make(tmp_path / "project")
    assert graph.stale(project) == ["a", "b", "c", "d"]


def test_a_built_project_is_not(built):
    assert graph.stale(built) == []
    assert graph.stale(built, "c") == []


def test_changed_code_and_a_touched_output_make_stale(built):
    code, out = built / "code.txt", built / "out" / "c.txt"
    before = code.read_text(), out.read_text()
    try:
        code.write_text("other ")
        assert graph.stale(built) == ["a", "b", "c", "d"]
        code.write_text(before[0])
        out.write_text("edited")
        assert graph.stale(built) == ["c", "d"]
        assert graph.stale(built, "b") == []
    finally:
        code.write_text(before[0])
        out.write_text(before[1])


def test_a_graph_that_dvc_cannot_read_is_a_clear_error(tmp_path):
    project = tiny_project.make(tmp_path / "project")
    (project / "dvc.yaml").write_text("stages: [")
    with pytest.raises(UserError, match="DVC cannot read the build graph"):
        graph.stale(project)


@pytest.mark.parametrize(
    "content",
    [
        '{"write": {"out/a.txt": {"pid": 1',
        # The pid lives, but it is not DVC: the number was given to another program.
        json.dumps({"write": {"{out}": {"pid": os.getpid(), "cmd": "repro a"}}, "read": {}}),
        json.dumps({"write": {}, "read": {"{out}": [{"pid": os.getpid(), "cmd": "repro a"}]}}),
    ],
    ids=["torn", "write", "read"],
)
def test_dead_path_locks_do_not_stop_a_build(tmp_path, content):
    project = tiny_project.make(tmp_path / "project")
    (project / ".dvc" / "tmp").mkdir()
    (project / ".dvc" / "tmp" / "rwlock").write_text(content.replace("{out}", str(project / "out" / "a.txt")))
    graph.drop_dead_locks(project)
    env = tiny_project.environment()
    env["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), env["PATH"]])
    command = [sys.executable, "-m", "dvc", "repro", "-q", "--single-item", "a"]
    done = subprocess.run(command, cwd=project, env=env, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr


def test_what_was_pushed_is_known_until_something_changes(built):
    assert not graph.pushed(built)
    graph.mark_pushed(built)
    assert graph.pushed(built)
    config = built / ".dvc" / "config"
    text = config.read_text()
    config.write_text(text.replace("dvc-remote", "elsewhere"))
    assert not graph.pushed(built)
    config.write_text(text)
    assert graph.remote(built) == "local"
    config.write_text(text.replace("remote = local", ""))
    assert graph.remote(built) is None
    config.write_text(text)
