"""`slipway up` on free ports: a scheduled run appears by itself and finishes; twice up is once; down leaves nothing."""

import os

import pytest
import requests

from slipway import processes
from slipway.adapters import servers
from tests import tiny_project
from tests.prefect_server import Api, address, until, up

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
def project(tmp_path_factory, prefect_database):
    project = tiny_project.make(tmp_path_factory.mktemp("scheduled") / "project")
    (project / "prefect.yaml").write_text(OFTEN)
    often = {"PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS": "2", "PREFECT_WORKER_QUERY_SECONDS": "2"}
    with up(project, prefect_database, **often):
        yield project


def test_a_scheduled_run_appears_and_finishes(project):
    api, ended = Api(address()), {"flow_runs": {"state": {"type": {"any_": ["COMPLETED", "FAILED", "CRASHED"]}}}}
    worker = project / ".slipway" / "servers" / "worker.log"
    run = until(lambda: api("POST", "flow_runs/filter", ended), worker.read_text)[0]
    assert run["state"]["type"] == "COMPLETED", run["state"]
    assert run["auto_scheduled"]
    assert run["deployment_id"]
    assert (project / "out" / "d.txt").exists()


def test_a_page_of_another_site_cannot_start_runs(project):
    with pytest.raises(requests.HTTPError) as caught:
        Api(address(), token=False)("POST", "flows/", {"name": "planted"})
    assert caught.value.response.status_code == 403


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
