"""Approval from the form of a paused run: a real Prefect server and worker, answered through the API as the UI does."""

import json
import subprocess
import sys

import pytest
import requests

from slipway.release.bundle import manifest
from slipway.release.reading import verify
from slipway.release.signing import keys
from tests import release_project
from tests.prefect_server import Api, address, until, up

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
def project(tmp_path_factory, database, prefect_database):
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
    with up(root, prefect_database, PREFECT_WORKER_QUERY_SECONDS="1"):
        yield root


@pytest.fixture(scope="module")
def api(project):
    return Api(address())


def form_of(api, run, state):
    """What the form of a paused run says; the server has it a moment after the state."""
    keyset = state["state_details"]["run_input_keyset"]

    def shown():
        try:
            return api("GET", f"flow_runs/{run}/input/{keyset['description']}")
        except requests.HTTPError as error:
            if error.response.status_code != 404:
                raise
            return None

    return until(shown, lambda: state)


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


def test_a_paused_run_goes_on_with_a_signed_line_and_with_nothing_else(project, api):
    deployment = api("GET", "deployments/name/release/release")["id"]
    run = api("POST", f"deployments/{deployment}/create_flow_run", {})["id"]
    seen = []

    def asked():
        state = api.wait(run, "PAUSED", beside=seen)
        seen.append(state["timestamp"])
        return form_of(api, run, state)

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


def test_inside_another_flow_it_waits_in_place(project, api):
    before = versions(project)
    release_project.bundle(project, card="# Inside another\n")
    deployment = api("GET", "deployments/name/outer/outer")["id"]
    outer = api("POST", f"deployments/{deployment}/create_flow_run", {})["id"]
    paused = {"flow_runs": {"state": {"type": {"any_": ["PAUSED"]}}}}
    inner = until(lambda: api("POST", "flow_runs/filter", paused), lambda: api("GET", f"flow_runs/{outer}")["state"])[0]
    assert inner["id"] != outer
    line = signed(project, form_of(api, inner["id"], inner["state"]), "ana")
    api("POST", f"flow_runs/{inner['id']}/resume", {"run_input": {"line": line}})
    api.wait(outer, "COMPLETED")
    assert len(versions(project)) == len(before) + 1


def test_a_pasted_veto_ends_the_run_and_nothing_is_released(project, api):
    before = versions(project)
    release_project.bundle(project, card="# Not yet\n")
    deployment = api("GET", "deployments/name/release/release")["id"]
    run = api("POST", f"deployments/{deployment}/create_flow_run", {})["id"]
    state = api.wait(run, "PAUSED")
    line = signed(project, form_of(api, run, state), "ana", "--reject", "--reason", "not yet")
    api("POST", f"flow_runs/{run}/resume", {"run_input": {"line": line}})
    state = api.wait(run, "FAILED")
    assert "rejected by ana: not yet" in state["message"]
    assert versions(project) == before
