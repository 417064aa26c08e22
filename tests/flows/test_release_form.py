"""Approval from the form of a paused run: a real Prefect server and worker, answered through the API as the UI does."""

import json
import os
import subprocess
import sys
import time

import pytest
import requests
from requests.adapters import HTTPAdapter
from urllib3 import Retry

from slipway import processes
from slipway.adapters import servers
from slipway.release.bundle import manifest
from slipway.release.reading import verify
from slipway.release.signing import keys
from tests import release_project, tiny_project

pytestmark = pytest.mark.journey

CODE = "import sys; from slipway.cli import main; sys.exit(main())"
DEPLOYED = """
name: tiny
pull:
  - prefect.deployments.steps.set_working_directory:
      directory: "{{ $SLIPWAY_ROOT }}"
deployments:
  - name: release
    entrypoint: tiny.py:release
    work_pool: &pool {name: local, job_variables: {working_dir: "{{ $SLIPWAY_ROOT }}"}}
  - name: outer
    entrypoint: tiny.py:outer
    work_pool: *pool
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory, database):
    """Released by nobody yet; server and worker run."""
    tmp_path = tmp_path_factory.mktemp("form")
    root = release_project.make(tmp_path / "project")
    (root / ".slipway").mkdir()
    (root / ".slipway" / "mlflow.db").write_bytes(database.read_bytes())
    (root / "tiny.py").write_text(
        "from prefect import flow\nfrom flows.release import release\n\n@flow\ndef outer():\n    release()\n"
    )
    (root / "prefect.yaml").write_text(DEPLOYED)
    for name in ("ana", "ben"):
        release_project.key_pair(tmp_path / "people" / f"{name}.key")
        (root / f"{name}.pub").write_bytes((tmp_path / "people" / f"{name}.pub").read_bytes())
    policy = {"required": 1, "approvers": {"ana": "ana.pub"}}
    (root / "params.yaml").write_text(json.dumps(release_project.values(approval=policy)))
    release_project.bundle(root)
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update(
        tiny_project.environment(
            SLIPWAY_PREFECT_PORT=str(processes.free_port()),
            SLIPWAY_MLFLOW_PORT=str(processes.free_port()),
            PREFECT_WORKER_QUERY_SECONDS="1",
        )
    )
    try:
        servers.up(root)
        yield root
    finally:
        servers.down(root)
        os.environ.clear()
        os.environ.update(before)


class Api:
    """The server's API, with a token against requests of other sites; asked again, as by Prefect, while it is busy."""

    def __init__(self):
        self.url = f"http://127.0.0.1:{os.environ['SLIPWAY_PREFECT_PORT']}/api"
        self.session = requests.Session()
        busy = Retry(status=8, backoff_factor=0.25, status_forcelist=[503], allowed_methods=None)
        self.session.mount("http://", HTTPAdapter(max_retries=busy))
        token = self("GET", "csrf-token?client=test")["token"]
        self.session.headers.update({"Prefect-Csrf-Client": "test", "Prefect-Csrf-Token": token})

    def __call__(self, method, path, body=None):
        response = self.session.request(method, f"{self.url}/{path}", json=body, timeout=20)
        response.raise_for_status()
        return response.json()

    def wait(self, run, *types, beside=()):
        """The run's state once it is of one of `types` and not the one of a time in `beside`."""
        deadline = time.monotonic() + 150
        while True:
            state = self("GET", f"flow_runs/{run}")["state"]
            if state["type"] in types and state["timestamp"] not in beside:
                return state
            assert time.monotonic() < deadline, state
            assert state["type"] not in ("FAILED", "CRASHED", "COMPLETED"), state
            time.sleep(0.5)

    def form(self, run, state):
        keyset = state["state_details"]["run_input_keyset"]
        deadline = time.monotonic() + 20
        while True:
            try:
                return self("GET", f"flow_runs/{run}/input/{keyset['description']}")
            except requests.HTTPError:
                assert time.monotonic() < deadline
                time.sleep(0.2)


def signed(project, form, name, *more):
    """The command that the form shows, run on a machine that has nothing of the project but the key."""
    (command,) = (line.strip() for line in form.splitlines() if line.strip().startswith("slipway approve"))
    arguments = (
        command.replace("NAME", name).replace("FILE", str(project.parent / "people" / f"{name}.key")).split()[1:]
    )
    done = subprocess.run(
        [sys.executable, "-c", CODE, *arguments, "--yes", *more],
        cwd=project.parent / "people", capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "PRIVATE" not in done.stdout
    return done.stdout.strip()


def test_a_paused_run_goes_on_with_a_signed_line_and_with_nothing_else(project):
    api = Api()
    deployment = api("GET", "deployments/name/release/release")["id"]
    run = api("POST", f"deployments/{deployment}/create_flow_run", {})["id"]
    seen = []

    def asked():
        state = api.wait(run, "PAUSED", beside=seen)
        seen.append(state["timestamp"])
        return api.form(run, state)

    def answer(line):
        told = api("POST", f"flow_runs/{run}/resume", {"run_input": {"line": line}})
        assert told["status"] == "ACCEPT", told

    form = asked()
    digest = manifest.digest(project / "bundle")
    assert digest in form
    assert "gate **GO**" in form
    assert "That approved nothing" not in form
    answer("ana")
    form = asked()
    assert "That approved nothing:** 'ana' is no signed decision" in form
    answer(signed(project, form, "ben"))
    form = asked()
    assert "'ben', who is not among release.approval.approvers" in form
    assert versions(project) == []
    answer(signed(project, form, "ana"))
    state = api.wait(run, "COMPLETED")
    assert state["type"] == "COMPLETED"
    from slipway.adapters.store import LocalStore

    store = LocalStore(project / ".slipway" / "store")
    assert verify.verify_channel(store, "tiny", "stable", keys.public_key(project)).release.version == "v1"
    assert b"ana" in (store.root / "releases" / "tiny" / "v1" / "GATE.html").read_bytes()


def versions(project):
    return sorted(path.name for path in (project / ".slipway" / "store" / "releases").glob("*/*"))


def test_inside_another_flow_it_waits_in_place(project):
    before = versions(project)
    release_project.bundle(project, card="# Inside another\n")
    api = Api()
    deployment = api("GET", "deployments/name/outer/outer")["id"]
    outer = api("POST", f"deployments/{deployment}/create_flow_run", {})["id"]
    deadline = time.monotonic() + 150
    while not (found := api("POST", "flow_runs/filter", {"flow_runs": {"state": {"type": {"any_": ["PAUSED"]}}}})):
        assert time.monotonic() < deadline, api("GET", f"flow_runs/{outer}")["state"]
        time.sleep(0.5)
    inner = found[0]
    assert inner["id"] != outer
    line = signed(project, api.form(inner["id"], inner["state"]), "ana")
    api("POST", f"flow_runs/{inner['id']}/resume", {"run_input": {"line": line}})
    api.wait(outer, "COMPLETED")
    assert len(versions(project)) == len(before) + 1


def test_a_pasted_veto_ends_the_run_and_nothing_is_released(project):
    before = versions(project)
    release_project.bundle(project, card="# Not yet\n")
    api = Api()
    deployment = api("GET", "deployments/name/release/release")["id"]
    run = api("POST", f"deployments/{deployment}/create_flow_run", {})["id"]
    state = api.wait(run, "PAUSED")
    line = signed(project, api.form(run, state), "ana", "--reject", "--reason", "not yet")
    api("POST", f"flow_runs/{run}/resume", {"run_input": {"line": line}})
    deadline = time.monotonic() + 120
    while (state := api("GET", f"flow_runs/{run}")["state"])["type"] != "FAILED":
        assert time.monotonic() < deadline, state
        time.sleep(0.5)
    assert "rejected by ana: not yet" in state["message"]
    assert versions(project) == before
