"""The local servers: refused when a port is taken, cleaned up when one does not start, up, idle, down.

A scheduled run on them is in tests/integration/test_schedules.py.
"""

import os
import signal
import socket
import subprocess
import sys

import pytest

from slipway import processes
from slipway.adapters import servers
from slipway.errors import UserError


@pytest.fixture
def project(tmp_path, monkeypatch):
    for name in [name for name in os.environ if name.startswith(("PREFECT_", "MLFLOW_TRACKING"))]:
        monkeypatch.delenv(name)
    for name in ("PREFECT", "MLFLOW"):
        monkeypatch.setenv(f"SLIPWAY_{name}_PORT", str(processes.free_port()))
    yield tmp_path
    servers.down(tmp_path)


def test_a_port_in_use_is_named_and_nothing_is_started(project, monkeypatch):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        monkeypatch.setenv("SLIPWAY_MLFLOW_PORT", str(port))
        with pytest.raises(
            UserError, match=rf"port {port} for mlflow is used by pid {os.getpid()} .*SLIPWAY_MLFLOW_PORT="
        ):
            servers.up(project)
    assert not (project / ".slipway").exists()


@pytest.mark.parametrize("value", ["http", "0", "70000", ""])
def test_a_port_that_is_none(project, monkeypatch, value):
    monkeypatch.setenv("SLIPWAY_PREFECT_PORT", value)
    with pytest.raises(UserError, match=f"SLIPWAY_PREFECT_PORT={value}: not a port"):
        servers.up(project)


@pytest.mark.journey
def test_a_server_that_does_not_start_takes_the_others_down_and_says_why(project, monkeypatch):
    # MLflow could start; Prefect cannot open its database.
    monkeypatch.setenv("PREFECT_API_DATABASE_CONNECTION_URL", "sqlite+aiosqlite:////proc/none/prefect.db")
    with pytest.raises(
        UserError, match=r"prefect server ended with exit code \d+ while it started; (.|\n)*unable to open"
    ):
        servers.up(project)
    assert [line.split()[1] for line in servers.status(project)] == ["down", "down", "down"]
    assert processes.port_user(int(os.environ["SLIPWAY_MLFLOW_PORT"])) is None


def test_down_without_up_is_no_error(project):
    servers.down(project)
    assert servers.status(project) == ["prefect  down", "mlflow   down", "worker   down"]


def test_a_record_of_another_process_with_that_pid_is_not_taken_for_ours(tmp_path):
    note = tmp_path / "note.json"
    processes.record(note, os.getpid(), url="x")
    assert processes.recorded(note)["url"] == "x"
    note.write_text(note.read_text().replace('"started": ', '"started": 1'))
    assert processes.recorded(note) is None


def test_the_end_reaches_grandchildren_in_other_sessions_and_the_stubborn(tmp_path):
    code = (
        "import signal, subprocess, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(300)'], start_new_session=True)\n"
        "print('ready', flush=True)\ntime.sleep(300)\n"
    )
    process = processes.start([sys.executable, "-c", code], cwd=tmp_path, env=dict(os.environ))
    assert process.stdout.readline() == "ready\n"
    import psutil

    tree = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    assert len(tree) == 2
    processes.end(process.pid, grace=0.5)
    assert process.wait() == -signal.SIGKILL
    assert not [one for one in tree if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]


def test_a_process_dies_with_its_owner(tmp_path):
    owner = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"])
    code = f"from slipway.processes import die_with; die_with({owner.pid}); import time; time.sleep(300)"
    process = processes.start([sys.executable, "-c", code], cwd=tmp_path, env=dict(os.environ))
    owner.kill()
    owner.wait()
    assert process.wait(timeout=60) == 70
