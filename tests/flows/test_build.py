"""The build flow: order, side by side, cached, failing, cancelled, killed; with real Prefect, DVC and processes."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from slipway.graph import stages
from tests import prefect_server, tiny_project


@pytest.fixture(scope="module")
def api(tmp_path_factory, prefect_database):
    """One Prefect server for all builds of this file; each would else start its own."""
    with prefect_server.running(tmp_path_factory.mktemp("prefect"), prefect_database) as url:
        yield url


@pytest.fixture
def project(tmp_path):
    return tiny_project.make(tmp_path / "project")


@pytest.fixture(scope="module")
def built(tmp_path_factory, api):
    """A project that was built once, with b and c each waiting until the other has begun; and what that build wrote."""
    project = tiny_project.make(tmp_path_factory.mktemp("built") / "project")
    (project / "control" / "b").write_text("until log/c")
    (project / "control" / "c").write_text("until log/b")
    code, output = tiny_project.run(project, PREFECT_API_URL=api)
    assert code == 0, output
    return project, output


def spans(project, name):
    lines = [line.split() for line in (project / "log" / name).read_text().splitlines()]
    return [float(moment) for _, moment, _ in lines]


def wait_for(condition, limit=240.0):
    deadline = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def table(output):
    """stage -> result, from the table at the end."""
    rows = [line.split() for line in output.splitlines() if not line.startswith("[")]
    return {row[0]: row[1] for row in rows if len(row) == 3 and row[2][0].isdigit()}


def test_every_stage_runs_once_in_order_and_independent_ones_overlap(built):
    project, output = built
    assert table(output) == dict.fromkeys(["a", "b", "c", "d", "push"], "ran")
    (a0, a1), (b0, b1), (c0, c1), (d0, _) = (spans(project, name) for name in "abcd")
    assert a0 < a1 < min(b0, c0)
    assert max(b0, c0) < min(b1, c1)
    assert max(b1, c1) < d0


def test_lines_come_with_the_name_of_their_stage_and_without_noise(built):
    _, output = built
    console = [line for line in output.splitlines() if line.startswith("[")]
    assert {f"[{name}] {name} {what}" for name in "abcd" for what in ("begins", "ends")} <= set(console)
    assert not [
        line for line in output.splitlines() if "dvc push" in line or "Traceback" in line or "lock file" in line
    ]


def test_nothing_stale_needs_no_prefect_and_no_second(built):
    project, _ = built
    before = {name: spans(project, name) for name in "abcd"}
    code, output = tiny_project.run(project, PREFECT_API_URL="http://127.0.0.1:9/api")
    assert code == 0, output
    assert table(output) == dict.fromkeys("abcd", "cached")
    assert {name: spans(project, name) for name in "abcd"} == before


def test_the_results_were_pushed_and_a_lost_output_is_restored(built, api):
    project, _ = built
    assert len([path for path in (project / ".slipway" / "dvc-remote").rglob("*") if path.is_file()]) == 4
    before = spans(project, "d")
    (project / "out" / "d.txt").unlink()
    code, output = tiny_project.run(project, PREFECT_API_URL=api)
    assert code == 0, output
    assert table(output) == {"a": "cached", "b": "cached", "c": "cached", "d": "restored"}
    assert spans(project, "d") == before


def test_a_failing_stage_lets_siblings_finish_and_is_named_with_its_last_lines(project, api):
    (project / "control" / "b").write_text("fail")
    code, output = tiny_project.run(project, PREFECT_API_URL=api)
    assert code == 2
    assert table(output) == {"a": "ran", "b": "failed", "c": "ran", "d": "skipped"}
    ending = output[output.index("slipway build: ") :]
    assert "b failed:" in ending
    assert "the reason why" in ending
    assert "skipped: d" in ending
    assert "Traceback" not in output

    (project / "control" / "b").unlink()
    code, output = tiny_project.run(project, PREFECT_API_URL=api)
    assert code == 0, output
    assert table(output) == {"a": "cached", "b": "ran", "c": "cached", "d": "ran", "push": "ran"}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stopped_build_leaves_no_process(project, api, number):
    for name in "bc":
        (project / "control" / name).write_text("sleep 300")
    build = tiny_project.start(project, PREFECT_API_URL=api)
    wait_for(lambda: all((project / "log" / name).exists() for name in "bc"))
    build.send_signal(number)
    build.communicate(timeout=120)
    assert build.returncode != 0
    assert tiny_project.pids(project) == set()
    assert not list((project / ".slipway" / "running").iterdir())


def test_a_killed_build_ends_its_stages_and_the_next_one_finishes(project, api):
    (project / "control" / "a").write_text("sleep 300")
    build = tiny_project.start(project, PREFECT_API_URL=api)
    wait_for((project / "log" / "a").exists)
    build.kill()
    build.wait()
    wait_for(lambda: not tiny_project.pids(project))

    (project / "control" / "a").unlink()
    code, output = tiny_project.run(project, PREFECT_API_URL=api)
    assert code == 0, output
    assert table(output) == dict.fromkeys(["a", "b", "c", "d", "push"], "ran")


@pytest.mark.journey
def test_the_next_build_ends_what_a_killed_one_left_at_once(project, api):
    (project / "control" / "a").write_text("sleep 300")
    build = tiny_project.start(project, PREFECT_API_URL=api)
    wait_for((project / "log" / "a").exists)
    # The process that runs the stage is stopped, so that it cannot notice the death of the flow by itself.
    frozen = tiny_project.pids(project) - {build.pid}
    for pid in frozen:
        os.kill(pid, signal.SIGSTOP)
    build.kill()
    build.wait()
    (project / "control" / "a").unlink()
    code, output = tiny_project.run(project, PREFECT_API_URL=api)
    assert code == 0, output
    assert not frozen & tiny_project.pids(project)


@pytest.mark.journey
def test_a_second_build_names_the_first_and_waits(project, api):
    (project / "control" / "a").write_text("until control/go")
    first = tiny_project.start(project, PREFECT_API_URL=api)
    wait_for((project / "log" / "a").exists)
    second = tiny_project.start(project, PREFECT_API_URL=api)
    told = next(line for line in second.stdout if "another build runs here" in line)
    assert f"(pid {first.pid})" in told
    (project / "control" / "go").touch()
    first.communicate(timeout=240)
    output = second.stdout.read()
    assert (first.returncode, second.wait()) == (0, 0)
    assert table(output) == dict.fromkeys("abcd", "cached")


def test_force_runs_a_stage_again_and_refuses_a_name_that_is_none(built, api):
    project, _ = built
    runs = len(spans(project, "c"))
    code, output = tiny_project.run(project, "--force", "c", PREFECT_API_URL=api)
    assert code == 0, output
    assert table(output)["c"] == "ran"
    assert len(spans(project, "c")) == runs + 2
    code, output = tiny_project.run(project, "--force", "trian", PREFECT_API_URL=api)
    assert code == 2
    assert "--force trian: no such stage in dvc.yaml; there are a, " in output


@pytest.mark.journey
def test_without_a_server_the_build_brings_its_own_and_ends_it(project):
    code, output = tiny_project.run(project)
    assert code == 0, output
    assert table(output) == dict.fromkeys(["a", "b", "c", "d", "push"], "ran")
    strange = [
        line for line in output.splitlines() if not line.startswith(("[", "stage ", "a ", "b ", "c ", "d ", "push "))
    ]
    assert strange == []
    assert tiny_project.pids(project) == set()


@pytest.mark.journey
def test_a_server_that_does_not_start_says_why(project):
    code, output = tiny_project.run(
        project, PREFECT_API_DATABASE_CONNECTION_URL="sqlite+aiosqlite:////proc/none/prefect.db"
    )
    assert code == 2
    assert "Prefect's temporary server ended with exit code" in output
    assert "unable to open database file" in output


def test_an_address_that_does_not_answer_is_named(project):
    code, output = tiny_project.run(project, PREFECT_API_URL="http://127.0.0.1:9/api")
    assert code == 2
    assert "PREFECT_API_URL=http://127.0.0.1:9/api does not answer" in output


def test_plain_dvc_builds_the_same_bytes(built, tmp_path):
    project, _ = built
    other = tiny_project.make(tmp_path / "other")
    for name, value in {"b": "log/c", "c": "log/b"}.items():
        (other / "control" / name).write_text(f"as {value}")  # DVC runs one after the other, so neither waits
    env = tiny_project.environment()
    env["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), env["PATH"]])
    subprocess.run([sys.executable, "-m", "dvc", "repro", "-q"], cwd=other, env=env, check=True, timeout=240)
    theirs, ours = (YAML(typ="safe").load((one / "dvc.lock").read_text()) for one in (other, project))
    assert theirs == ours
    # Ours stands in the order of the graph, whichever of b and c ended first.
    assert list(ours["stages"]) == list(stages(project / "dvc.yaml"))
