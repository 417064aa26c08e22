"""`slipway up` on free ports: a scheduled run appears by itself and finishes; twice up is once; down leaves nothing."""

import json
import os
import time
import urllib.request

import pytest

from slipway import processes
from slipway.adapters import servers
from tests import tiny_project

pytestmark = pytest.mark.journey

OFTEN = """
name: tiny
pull:
  - prefect.deployments.steps.set_working_directory:
      directory: "{{ $SLIPWAY_ROOT }}"
deployments:
  - name: often
    entrypoint: tiny.py:build
    work_pool: {name: local, job_variables: {working_dir: "{{ $SLIPWAY_ROOT }}"}}
    schedules: [{interval: 10}]
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    project = tiny_project.make(tmp_path_factory.mktemp("scheduled") / "project")
    (project / "prefect.yaml").write_text(OFTEN)
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update(
        tiny_project.environment(
            SLIPWAY_PREFECT_PORT=str(processes.free_port()),
            SLIPWAY_MLFLOW_PORT=str(processes.free_port()),
            PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS="2",
            PREFECT_WORKER_QUERY_SECONDS="2",
        )
    )
    try:
        servers.up(project)
        yield project
    finally:
        servers.down(project)
        os.environ.clear()
        os.environ.update(before)


def ask(path, body=None, **headers):
    """A request to the server's API; with a body it is a POST."""
    url = f"http://127.0.0.1:{os.environ['SLIPWAY_PREFECT_PORT']}/api/{path}"
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json", **headers})
    with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310
        return json.load(response)


def runs():
    # A token against requests of other sites, as Prefect's own client fetches it.
    token = {"Prefect-Csrf-Client": "test", "Prefect-Csrf-Token": ask("csrf-token?client=test")["token"]}
    ended = {"flow_runs": {"state": {"type": {"any_": ["COMPLETED", "FAILED", "CRASHED"]}}}}
    return ask("flow_runs/filter", ended, **token)


def test_a_scheduled_run_appears_and_finishes(project):
    deadline = time.monotonic() + 90
    while not (found := runs()):
        assert time.monotonic() < deadline, (project / ".slipway" / "servers" / "worker.log").read_text()
        time.sleep(1)
    run = found[0]
    assert run["state"]["type"] == "COMPLETED", run["state"]
    assert run["auto_scheduled"]
    assert run["deployment_id"]
    assert (project / "out" / "d.txt").exists()


def test_a_page_of_another_site_cannot_start_runs(project):
    with pytest.raises(urllib.error.HTTPError) as caught:
        ask("flows/", {"name": "planted"})
    assert caught.value.code == 403


def test_up_again_starts_nothing_and_a_build_uses_the_server(project, capsys):
    before = [processes.recorded(path)["pid"] for path in sorted((project / ".slipway" / "servers").glob("*.json"))]
    servers.up(project)
    assert capsys.readouterr().out.startswith("already up\n")
    after = [processes.recorded(path)["pid"] for path in sorted((project / ".slipway" / "servers").glob("*.json"))]
    assert after == before
    (project / "code.txt").write_text("2 ")
    code, output = tiny_project.run(project)
    assert code == 0, output
    assert not (project / ".slipway" / "prefect" / "server.log").exists()


def test_down_leaves_no_process_and_frees_the_ports(project):
    servers.down(project)
    assert [line.split()[1] for line in servers.status(project)] == ["down", "down", "down"]
    assert tiny_project.pids(project) == set()
    for name in ("PREFECT", "MLFLOW"):
        assert processes.port_user(int(os.environ[f"SLIPWAY_{name}_PORT"])) is None
