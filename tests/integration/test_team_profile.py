"""The team's servers as `infra/compose.yaml` starts them, as plain processes on sqlite: login, hosts, a build.

The containers themselves are not run here.
"""

import base64
import os
import re
import shutil
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from slipway import processes
from slipway.security import mlflow as mlflow_probes
from slipway.security import prefect as prefect_probes
from slipway.security.http import Server
from tests import tiny_project

pytestmark = pytest.mark.journey

INFRA = tiny_project.ROOT / "infra"
SECRETS = {"POSTGRES_PASSWORD": "pg-secret", "MLFLOW_FLASK_SERVER_SECRET_KEY": "flask-secret"}


def profile(name):
    """Variables of a profile; those commented out are there with an empty value."""
    lines = (INFRA / "env" / name).read_text().splitlines()
    return dict(match.groups() for line in lines if (match := re.match(r"#?([A-Z_]+)=(.*)$", line)))


def compose():
    return YAML(typ="safe").load((INFRA / "compose.yaml").read_text())


def filled(value, variables):
    """A value of the compose file with its ${NAME}, ${NAME:-usual} and ${NAME:?message} put in."""
    return re.sub(r"\$\{(\w+)(?::[-?]([^}]*))?\}", lambda m: variables.get(m[1]) or m[2], str(value))


def variables():
    team = {name: value.replace("CHANGE-ME", "a-real-secret") for name, value in profile("team.env.example").items()}
    return {**team, **SECRETS}


def start(service, port, directory, **more):
    """A service's own command and environment; only port, paths and databases are of this machine."""
    declared = compose()["services"][service]
    (inside,) = (one.split(":")[-1] for one in declared["ports"])
    command = [
        sys.executable,
        "-m",
        *(part.replace("0.0.0.0", "127.0.0.1").replace(inside, str(port)) for part in declared["command"]),  # noqa: S104
    ]
    env = {
        name: filled(value, variables()).replace(f":{inside}", f":{port}")
        for name, value in declared["environment"].items()
    }
    log = directory / f"{service}.log"
    env = tiny_project.environment(**{**env, **more})
    return processes.start(command, cwd=directory, env=env, log=log), log


@pytest.fixture(scope="module")
def team(tmp_path_factory, prefect_database):
    """The client's variables, with both servers running."""
    directory = tmp_path_factory.mktemp("team")
    shutil.copy(prefect_database, directory / "prefect.db")
    ports = {"prefect": processes.free_port(), "mlflow": processes.free_port()}
    rules = (INFRA / "mlflow-auth.ini").read_text().replace("/var/lib/mlflow", str(directory))
    (directory / "auth.ini").write_text(rules)
    changed = {
        "prefect": {
            "PREFECT_HOME": str(directory / "prefect"),
            "PREFECT_API_DATABASE_CONNECTION_URL": f"sqlite+aiosqlite:///{directory}/prefect.db",
        },
        "mlflow": {
            "MLFLOW_BACKEND_STORE_URI": f"sqlite:///{directory}/mlflow.db",
            "MLFLOW_AUTH_CONFIG_PATH": str(directory / "auth.ini"),
            "MLFLOW_ARTIFACTS_DESTINATION": str(directory / "artifacts"),
        },
    }
    running = []
    try:
        for name, port in ports.items():
            running.append((name, port, *start(name, port, directory, **changed[name])))
        for name, port, process, log in running:
            health = f"http://127.0.0.1:{port}/{'api/health' if name == 'prefect' else 'health'}"
            processes.wait_healthy(name, health, process, log)
        client = {name: value for name, value in variables().items() if name in profile("local.env")}
        yield {
            **client,
            "PREFECT_API_URL": f"http://127.0.0.1:{ports['prefect']}/api",
            "MLFLOW_TRACKING_URI": f"http://127.0.0.1:{ports['mlflow']}",
        }
    finally:
        for _, _, process, _ in running:
            processes.end(process.pid)
            process.wait()


def status(url, login=None, **headers):
    if login:
        headers["Authorization"] = "Basic " + base64.b64encode(login.encode()).decode()
    try:
        request = urllib.request.Request(url, headers=headers)  # noqa: S310
        with urllib.request.urlopen(request, timeout=20) as response:  # noqa: S310
            return response.status
    except urllib.error.HTTPError as error:
        return error.code


def test_without_the_login_prefect_refuses(team):
    url = f"{team['PREFECT_API_URL']}/admin/version"
    assert status(url) == 401
    assert status(url, "slipway:wrong") == 401
    assert status(url, team["PREFECT_API_AUTH_STRING"]) == 200


def test_without_a_login_mlflow_refuses_and_a_foreign_host_is_forbidden(team):
    url = f"{team['MLFLOW_TRACKING_URI']}/api/2.0/mlflow/experiments/get?experiment_id=0"
    login = f"{team['MLFLOW_TRACKING_USERNAME']}:{team['MLFLOW_TRACKING_PASSWORD']}"
    assert status(url) == 401
    assert status(url, "admin:wrong") == 401
    assert status(url, login) == 200
    assert status(url, login, Host="attacker.example") == 403


def test_the_doctor_finds_that_both_ask_for_a_login(team):
    login = f"{team['MLFLOW_TRACKING_USERNAME']}:{team['MLFLOW_TRACKING_PASSWORD']}"
    mlflow = list(mlflow_probes.examine(Server("mlflow", team["MLFLOW_TRACKING_URI"], login)))
    prefect = list(prefect_probes.examine(Server("prefect", team["PREFECT_API_URL"], team["PREFECT_API_AUTH_STRING"])))
    answers = {answer.subject: answer for answer in [*mlflow, *prefect]}
    found = {subject: answer.verdict for subject, answer in answers.items()}
    assert len(found) == len(mlflow) + len(prefect)
    assert found.pop("mlflow pickle") == "not run", "its environment cannot be seen from outside"
    assert set(found.values()) == {"ok"}, answers
    assert "401" in answers["mlflow address"].finding
    assert "401" in answers["prefect address"].finding
    assert "without login is refused" in answers["prefect sockets"].finding
    wrong = mlflow_probes.examine(Server("mlflow", team["MLFLOW_TRACKING_URI"], "admin:wrong"))
    assert [answer.verdict for answer in wrong if answer.subject == "mlflow login"] == ["not run"]


def test_a_build_runs_under_the_team_profile(team, tmp_path):
    project = tiny_project.make(tmp_path / "project")
    remote = f"['remote \"team\"']\n    url = {tmp_path}/team-remote\n"
    (project / ".dvc" / "config.local").write_text(remote)
    tracked = (
        "import mlflow\nclient = mlflow.MlflowClient()\n"
        "hooks.start_tracking = lambda: client.create_run('0').info.run_id\n"
        "hooks.finish_tracking = lambda run_id, cached: client.set_terminated(run_id)\n"
    )
    drive = (project / "drive.py").read_text()
    (project / "drive.py").write_text(drive.replace("from flows.console", tracked + "from flows.console"))
    env = {**team, "SLIPWAY_DVC_REMOTE": "team"}
    code, output = tiny_project.run(project, **env)
    assert code == 0, output
    assert any(path.is_file() for path in (tmp_path / "team-remote").rglob("*"))

    code, output = tiny_project.run(project, "--force", "a", **{**env, "PREFECT_API_AUTH_STRING": "slipway:wrong"})
    assert code == 2
    assert "PREFECT_API_AUTH_STRING" in output


def test_both_profiles_set_the_same_variables():
    local, example = profile("local.env"), profile("team.env.example")
    assert set(local) == set(example) - set(SECRETS)


def test_no_secret_is_in_the_repository_and_every_needed_one_is_in_the_example():
    text = (INFRA / "compose.yaml").read_text()
    example = profile("team.env.example")
    used = set(re.findall(r"\$\{(\w+)", text))
    assert used <= set(example), used - set(example)
    secret = [name for name in example if re.search(r"PASSWORD|SECRET|AUTH_STRING", name)]
    assert all("CHANGE-ME" in example[name] for name in secret)
    assert "team.env" in (tiny_project.ROOT / ".gitignore").read_text()


def test_every_service_is_pinned_bound_to_localhost_and_watched():
    services = compose()["services"]
    assert set(services) == {"postgres", "store", "prefect", "mlflow", "prepare", "worker"}
    for name, service in services.items():
        assert not service["image"].endswith(":latest") or "build" in service, name
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:"), name
        if service.get("ports") or name == "postgres":
            assert service["healthcheck"]["test"], name
        for source in service.get("volumes", []):
            host = source.split(":")[0]
            assert host in compose()["volumes"] or (INFRA / host).exists(), source
        assert set(service.get("depends_on", {})) <= set(services)


def test_what_compose_and_the_image_name_exists():
    assert (INFRA / "prepare.sh").exists()
    assert (INFRA / "Dockerfile").exists()
    for source in re.findall(r"^COPY --chown=slipway (.+) \S+$", (INFRA / "Dockerfile").read_text(), re.MULTILINE):
        assert all(Path(tiny_project.ROOT / part).exists() for part in source.split())
    assert os.access(INFRA / "mlflow-auth.ini", os.R_OK)
