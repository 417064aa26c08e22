"""`slipway doctor --security`: each default on real servers, as `slipway up` starts them and as nobody should.

Those of a team are in tests/integration/test_team_profile.py.
"""

import os
import shutil
import socket
import subprocess
import sys
import threading

import psutil
import pytest

import slipway
from slipway import processes, security
from slipway.adapters import servers
from slipway.cli import running
from slipway.doctor import Answer
from slipway.security import machine
from slipway.security import mlflow as mlflow_probes
from slipway.security import prefect as prefect_probes
from slipway.security.http import Server
from tests import prefect_server, tiny_project

CODE = "import sys; from slipway.cli import main; sys.exit(main(['doctor', '--security']))"


@pytest.fixture
def alone(tmp_path, monkeypatch):
    """A project without a server, and an environment that is Slipway's own."""
    for name, value in slipway.ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    for name in ("SLIPWAY_KEY", "HF_TOKEN_PATH", "MLFLOW_AUTH_CONFIG_PATH", *machine.NEVER):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path / "site"))
    return tmp_path


def of(subject, answers):
    (found,) = (answer for answer in answers if answer.subject == subject)
    return found


def test_what_does_not_run_is_never_ok(alone):
    def store():
        return Answer("ok", "store", "x")

    found = list(security.examine(alone, {"prefect": None, "mlflow": None}, store))
    assert [of(name, found).verdict for name in ("prefect", "mlflow", "secrets")] == ["not run"] * 3
    gone = Server("mlflow", f"http://127.0.0.1:{processes.free_port()}")
    (answer,) = mlflow_probes.examine(gone)
    assert answer.verdict == "not run"
    assert "does not answer" in answer.finding


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "true"),
        ("TORCH_FORCE_WEIGHTS_ONLY_LOAD", "0"),
        ("PREFECT_RESULTS_DEFAULT_SERIALIZER", "pickle"),
        ("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "true"),
        ("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1"),
        ("MLFLOW_SERVER_DISABLE_SECURITY_MIDDLEWARE", "true"),
    ],
)
def test_a_variable_that_lets_code_in_is_a_fault(alone, monkeypatch, name, value):
    assert of("environment", machine.examine(alone)).verdict == "ok"
    monkeypatch.setenv(name, value)
    found = of("environment", machine.examine(alone))
    assert found.verdict == "fault"
    assert name in found.finding


def test_torch_is_asked_and_not_only_its_variable(alone):
    code = (
        "from pathlib import Path\nfrom slipway.security.machine import examine\n"
        "print(*(a.verdict for a in examine(Path('.')) if a.subject == 'torch'))"
    )
    for value, expected in (("1", "ok"), ("0", "fault")):
        env = {**os.environ, "TORCH_FORCE_WEIGHTS_ONLY_LOAD": value}
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=alone, env=env, capture_output=True, text=True, check=True
        )
        assert done.stdout.split() == [expected]


def test_an_offline_hub_that_was_switched_on_is_told(alone, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    found = of("telemetry", machine.examine(alone))
    assert (found.verdict, "HF_HUB_OFFLINE=0" in found.finding) == ("note", True)


def test_files_that_others_may_read_or_write(alone):
    keys, site = alone / ".slipway" / "keys", alone / "site"
    keys.mkdir(parents=True, mode=0o700)
    (alone / ".slipway").chmod(0o700)
    (keys / "release.key").write_text("x")
    (keys / "release.key").chmod(0o600)
    site.mkdir(mode=0o700)
    token = alone / "hf" / "token"
    token.parent.mkdir()
    token.write_text("x")
    token.chmod(0o600)
    subjects = ("keys", ".slipway", "dvc cache", "hub token")
    assert [of(name, machine.examine(alone)).verdict for name in subjects] == ["ok"] * 4
    (keys / "release.key").chmod(0o640)
    (alone / ".slipway").chmod(0o770)
    site.chmod(0o777)
    token.chmod(0o644)
    found = list(machine.examine(alone))
    assert [of(name, found).verdict for name in subjects] == ["fault"] * 4
    assert all("chmod" in of(name, found).finding for name in subjects)


def test_a_secret_in_git_is_found_and_not_repeated(alone):
    secret = "AKIA" + "ABCDEFGHIJKLMNOP"
    (alone / "notes.txt").write_text(f"one\nid {secret}\n")
    (alone / "tests").mkdir()
    (alone / "tests" / "made_up.py").write_text(f'KEY = "{secret}"\n')
    for arguments in (["init", "-q"], ["add", "-A"]):
        subprocess.run(["git", *arguments], cwd=alone, check=True)
    found = of("secrets", machine.examine(alone))
    assert found.verdict == "fault"
    assert "notes.txt:2" in found.finding
    assert secret not in found.finding
    subprocess.run(["git", "rm", "-q", "--cached", "notes.txt"], cwd=alone, check=True)
    assert of("secrets", machine.examine(alone)).finding.startswith("none in what git keeps; 1 in tests/")


def test_a_key_that_is_named_and_not_there_was_not_looked_at(alone, monkeypatch):
    monkeypatch.setenv("SLIPWAY_KEY", "gone.key")
    assert of("keys", machine.examine(alone)).verdict == "not run"
    monkeypatch.setenv("SLIPWAY_KEY", "pkcs11:token=x;object=y")
    assert of("keys", machine.examine(alone)).verdict == "ok"


def test_what_speaks_no_http_is_not_run():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        answering = threading.Thread(target=lambda: listener.accept()[0].sendall(b"SSH-2.0-x\r\n"))
        answering.start()
        (answer,) = prefect_probes.examine(Server("prefect", f"http://127.0.0.1:{listener.getsockname()[1]}/api"))
        answering.join()
    assert answer.verdict == "not run"


def test_a_password_in_an_address_is_a_login_and_is_not_printed(alone, monkeypatch, capsys):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://ana:pass%40word@127.0.0.1:{processes.free_port()}")
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    assert running._apart("https://ana:pass%40word@host:5000/x") == ("https://host:5000/x", "ana:pass@word")
    assert running._apart("http://host/api") == ("http://host/api", None)
    (alone / "params.yaml").write_text("{}\n")
    running._report(running._secure(alone), 16)
    shown = capsys.readouterr().out
    assert "does not answer" in shown
    assert "pass%40" not in shown


def test_accounts_of_mlflow_may_do_nothing_at_first(alone):
    assert of("mlflow accounts", machine.examine(tiny_project.ROOT)).verdict == "ok"
    (alone / "infra").mkdir()
    (alone / "infra" / "mlflow-auth.ini").write_text("[mlflow]\ndefault_permission = READ\n")
    assert of("mlflow accounts", machine.examine(alone)).verdict == "fault"


@pytest.mark.journey
def test_what_up_starts_has_every_default(tmp_path, prefect_database):
    project = tiny_project.make(tmp_path / "project")
    (project / "prefect.yaml").write_text(
        "name: tiny\ndeployments: [{name: never, entrypoint: 'tiny.py:build', work_pool: {name: local}}]\n"
    )
    (project / "params.yaml").write_text("{}\n")
    with prefect_server.up(project, prefect_database, SLIPWAY_KEY_PASSWORD="opens a key"):
        seen = {name: psutil.Process(pid).environ() for name, (_, pid) in servers.running(project).items()}
        done = subprocess.run(
            [sys.executable, "-c", CODE],
            cwd=project, capture_output=True, text=True, check=False,
            env={**os.environ, "DVC_SITE_CACHE_DIR": str(tmp_path / "site")},
        )  # fmt: skip
    for name in ("prefect", "mlflow"):
        assert seen[name]["PREFECT_API_URL"]
        assert "SLIPWAY_KEY_PASSWORD" not in seen[name], "a server signs nothing"
        lines = [
            line for line in done.stdout.splitlines() if line[2:].startswith(f"{name} ") and "accounts" not in line
        ]
        assert len(lines) >= 4, done.stdout + done.stderr
        assert all(line.startswith("✓") for line in lines if "sockets" not in line), done.stdout
    assert "· prefect sockets  a page of another site may open the socket" in done.stdout, "no login on loopback"
    assert "✓ .slipway         yours alone" in done.stdout
    assert "✗" not in done.stdout, done.stdout


@pytest.mark.journey
def test_servers_without_the_defaults_are_found_out(tmp_path, prefect_database):
    careless = {
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "true",
        "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "true",
        "MLFLOW_SERVER_DISABLE_SECURITY_MIDDLEWARE": "true",
        "PREFECT_SERVER_API_CSRF_PROTECTION_ENABLED": "false",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "true",
        "PREFECT_HOME": str(tmp_path / "prefect"),
    }
    (tmp_path / "prefect").mkdir()
    shutil.copy(prefect_database, tmp_path / "prefect" / "prefect.db")
    ports = {name: processes.free_port() for name in ("mlflow", "prefect")}
    everywhere = "0.0.0.0"  # noqa: S104  that is the fault
    store = ["--backend-store-uri", f"sqlite:///{tmp_path}/mlflow.db"]
    commands = {
        "mlflow": ["mlflow", "server", *store, "--host", everywhere, "--port", str(ports["mlflow"]), "--workers", "1"],
        "prefect": ["prefect", "server", "start", "--host", everywhere, "--port", str(ports["prefect"])],
    }
    env, running = tiny_project.environment(**careless), {}
    env.pop("DO_NOT_TRACK", None)
    try:
        for name, command in commands.items():
            log = tmp_path / f"{name}.log"
            running[name] = processes.start([sys.executable, "-m", *command], cwd=tmp_path, env=env, log=log)
        for name, process in running.items():
            url = f"http://127.0.0.1:{ports[name]}{'/api' if name == 'prefect' else ''}"
            processes.wait_healthy(name, f"{url}/health", process, tmp_path / f"{name}.log")
        mlflow = list(
            mlflow_probes.examine(Server("mlflow", f"http://127.0.0.1:{ports['mlflow']}", None, running["mlflow"].pid))
        )
        prefect = list(prefect_probes.examine(Server("prefect", f"http://127.0.0.1:{ports['prefect']}/api")))
    finally:
        for process in running.values():
            processes.end(process.pid)
            process.wait()
    faults = {answer.subject for answer in [*mlflow, *prefect] if answer.verdict == "fault"}
    assert faults >= {
        "mlflow hosts",
        "mlflow origins",
        "mlflow jobs",
        "mlflow pickle",
        "prefect CSRF",
        "prefect telemetry",
    }
    from slipway.security.http import _own_addresses

    if _own_addresses():
        assert {"mlflow address", "prefect address"} <= faults, [*mlflow, *prefect]
