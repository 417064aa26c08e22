"""The local servers of one project: Prefect with scheduler and worker, and MLflow; up, down and status.

For one person on one machine: both listen on 127.0.0.1 only and need no password. Their state, logs and
records lie under `.slipway/`. A team's servers are described in `infra/`.
"""

import os
import sys
from pathlib import Path
from subprocess import Popen

from slipway import ENVIRONMENT, processes
from slipway.errors import UserError

POOL = "local"
ORDER = ("prefect", "mlflow", "worker")


def _ports() -> dict[str, int]:
    ports = {}
    for name, usual in {"prefect": 4200, "mlflow": 5000}.items():
        variable = f"SLIPWAY_{name.upper()}_PORT"
        value = os.environ.get(variable, str(usual))
        if not value.isdecimal() or not 1 <= int(value) <= 65535:
            raise UserError(f"{variable}={value}: not a port; give a number from 1 to 65535 (usual: {usual})")
        ports[name] = int(value)
    return ports


def _folder(root: Path) -> Path:
    return root / ".slipway" / "servers"


def _note(root: Path, name: str) -> Path:
    return _folder(root) / f"{name}.json"


def environment(root: Path, prefect_url: str) -> dict[str, str]:
    """What the servers, the worker and the flows it starts get; values already set win, except the address."""
    state = root / ".slipway"
    usual = {
        **ENVIRONMENT,
        "PREFECT_HOME": str(state / "prefect"),
        # Another site in the browser must not be able to start or change runs.
        "PREFECT_SERVER_API_CSRF_PROTECTION_ENABLED": "true",
        "SLIPWAY_ROOT": str(root),
    }
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    # `flows` is no installed package; it is imported from the checkout.
    python_path = os.pathsep.join(filter(None, [str(root), os.environ.get("PYTHONPATH", "")]))
    return {**usual, **os.environ, "PATH": path, "PYTHONPATH": python_path, "PREFECT_API_URL": prefect_url}


def _mlflow_command(root: Path, port: int) -> list[str]:
    state = root / ".slipway"
    store = ["--backend-store-uri", f"sqlite:///{state / 'mlflow.db'}"]
    artifacts = ["--artifacts-destination", (state / "mlartifacts").as_uri()]
    where = ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    # A page that rebinds its own name to 127.0.0.1 is refused by its Host header.
    hosts = ["--allowed-hosts", f"localhost:{port},127.0.0.1:{port}"]
    return [sys.executable, "-m", "mlflow", "server", *store, *artifacts, *where, *hosts]


def up(root: Path, prefect_file: str = "prefect.yaml") -> None:
    """Start what is not running yet, deploy `prefect_file`, and print the addresses.

    Raises:
        UserError: a port is taken (nothing was started then), or a server did not start (all were ended again).
    """
    running = {name: facts for name in ORDER if (facts := processes.recorded(_note(root, name)))}
    if len(running) == len(ORDER):
        print("already up")
    else:
        ports = _ports()
        for name, port in ports.items():
            if name not in running and (user := processes.port_user(port)):
                raise UserError(
                    f"port {port} for {name} is used by {user}; end that, or choose another port: "
                    f"SLIPWAY_{name.upper()}_PORT=… slipway up"
                )
        (root / ".slipway" / "prefect").mkdir(parents=True, exist_ok=True)
        (root / ".slipway").chmod(0o700)
        try:
            _start(root, running, ports, prefect_file)
        except BaseException:
            down(root)
            raise
    for line in status(root):
        print(line)


def _start(root: Path, running: dict[str, dict], ports: dict[str, int], prefect_file: str) -> None:
    url = running["prefect"]["url"] if "prefect" in running else f"http://127.0.0.1:{ports['prefect']}/api"
    mlflow_url = running["mlflow"]["url"] if "mlflow" in running else f"http://127.0.0.1:{ports['mlflow']}"
    env = {**environment(root, url), "MLFLOW_TRACKING_URI": mlflow_url}
    # Only the worker's flows sign; whoever breaks into a server must find no key in its environment.
    bare = {name: value for name, value in env.items() if name not in processes.SECRETS}
    prefect = [sys.executable, "-m", "prefect"]
    serve = [*prefect, "server", "start", "--host", "127.0.0.1", "--port", str(ports["prefect"])]
    started = {}
    if "prefect" not in running:
        started["prefect"] = (_launch(root, "prefect", serve, bare, url), f"{url}/health")
    if "mlflow" not in running:
        command = _mlflow_command(root, ports["mlflow"])
        started["mlflow"] = (_launch(root, "mlflow", command, bare, mlflow_url), f"{mlflow_url}/health")
    for name, (process, health) in started.items():
        processes.wait_healthy(f"the {name} server", health, process, _folder(root) / f"{name}.log")
    if "worker" not in running:
        _finish(root, "pool", [*prefect, "work-pool", "create", POOL, "--type", "process", "--overwrite"], env)
        _finish(root, "deploy", [*prefect, "--no-prompt", "deploy", "--all", "--prefect-file", prefect_file], env)
        work = [*prefect, "worker", "start", "--pool", POOL, "--type", "process", "--name", POOL]
        _launch(root, "worker", work, env, url)


def _launch(root: Path, name: str, command: list[str], env: dict[str, str], url: str) -> Popen:
    process = processes.start(command, cwd=root, env=env, log=_folder(root) / f"{name}.log")
    processes.record(_note(root, name), process.pid, url=url)
    return process


def _finish(root: Path, name: str, command: list[str], env: dict[str, str]) -> None:
    log = _folder(root) / f"{name}.log"
    process = processes.start(command, cwd=root, env=env, log=log)
    try:
        code = process.wait(timeout=180)
    finally:
        processes.end(process.pid)
    if code:
        raise UserError(
            f"`{' '.join(command[1:])}` ended with exit code {code}; last lines of {log}:\n{processes.tail(log)}"
        )


def down(root: Path) -> None:
    """End the worker with the runs it started, then the servers, and check that nothing is left of them."""
    for name in reversed(ORDER):
        if facts := processes.recorded(_note(root, name)):
            processes.end(facts["pid"])
            print(f"{name} ended")
        _note(root, name).unlink(missing_ok=True)


def running(root: Path) -> dict[str, tuple[str, int]]:
    """Address and process id of each server that `up` started and that still runs."""
    found = {name: processes.recorded(_note(root, name)) for name in ("prefect", "mlflow")}
    return {name: (str(facts["url"]), int(facts["pid"])) for name, facts in found.items() if facts}


def status(root: Path) -> list[str]:
    """One line per server: its address and whether it answers."""
    lines = []
    for name in ORDER:
        facts = processes.recorded(_note(root, name))
        if facts is None:
            lines.append(f"{name:8} down")
        elif name == "worker":
            lines.append(f"{name:8} pid {facts['pid']}, runs what is scheduled in the pool {POOL}")
        else:
            address = facts["url"].removesuffix("/api")
            health = "answers" if processes.answers(f"{facts['url']}/health") else "does not answer"
            lines.append(f"{name:8} {address}  {health}, pid {facts['pid']}, log {_folder(root) / name}.log")
    return lines
