"""A four-stage project (a → b, c → d) in a directory, whose stages wait, fail or write as files in `control/` say.

`sleep SECONDS` and `until PATH` wait, `fail` fails; what stands behind the first word goes into the output.

Real `dvc.yaml`, real DVC, real processes; only the wiring to MLflow and the lock of inputs (`flows.hooks`) is
replaced by functions that do nothing.
"""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]

STAGE = """
import os, sys, time
from pathlib import Path
from slipway.processes import die_with

name, *before = sys.argv[1:]
if pid := os.environ.get("SLIPWAY_SUPERVISOR_PID"):
    die_with(int(pid))
control = Path("control") / name
action, _, value = (control.read_text() if control.exists() else "").partition(" ")
with open(f"log/{name}", "a") as log:
    log.write(f"start {time.monotonic()} {os.getpid()}\\n")
print(f"{name} begins", flush=True)
if action == "sleep":
    time.sleep(float(value))
if action == "until":
    deadline = time.monotonic() + 240
    while not Path(value).exists():
        time.sleep(0.02)
        if time.monotonic() > deadline:
            sys.exit(f"{value} did not come")
if action == "fail":
    print("the reason why", file=sys.stderr)
    sys.exit(2)
text = Path("code.txt").read_text() + "".join(Path(f"out/{b}.txt").read_text() for b in before) + value + name
Path("out").mkdir(exist_ok=True)
Path(f"out/{name}.txt").write_text(text)
print(f"{name} ends", flush=True)
with open(f"log/{name}", "a") as log:
    log.write(f"end {time.monotonic()} {os.getpid()}\\n")
"""

DRIVER = """
import sys, types
hooks = types.ModuleType("flows.hooks")
hooks.preflight = lambda: None
hooks.start_tracking = lambda: None
hooks.finish_tracking = lambda run_id, cached: None
hooks.fail_tracking = lambda run_id: None
hooks.check_architecture = lambda: None
sys.modules["flows.hooks"] = hooks
"""

GRAPH = {"a": [], "b": ["a"], "c": ["a"], "d": ["b", "c"]}


def make(directory: Path) -> Path:
    """Write the project into `directory`."""
    for name in (".dvc", "control", "log"):
        (directory / name).mkdir(parents=True)
    (directory / ".dvc" / "config").write_text(
        "[core]\n    no_scm = true\n    analytics = false\n    check_update = false\n    remote = local\n"
        "['remote \"local\"']\n    url = ../.slipway/dvc-remote\n"
    )
    (directory / "code.txt").write_text("1 ")
    (directory / "stage.py").write_text(STAGE)
    (directory / "drive.py").write_text(
        DRIVER + "from flows.console import main\nif __name__ == '__main__':\n    sys.exit(main())\n"
    )
    (directory / "tiny.py").write_text(DRIVER + "from flows.build import build\n")
    lines = ["stages:"]
    for name, before in GRAPH.items():
        lines += [
            f"  {name}:",
            f"    cmd: {' '.join(['python stage.py', name, *before])}",
            "    deps:",
            "      - code.txt",
        ]
        lines += [f"      - out/{b}.txt" for b in before] + ["    outs:", f"      - out/{name}.txt"]
    (directory / "dvc.yaml").write_text("\n".join(lines) + "\n")
    return directory


def environment(**more: str) -> dict[str, str]:
    """The environment of a terminal in the project, with this checkout's flows on the path."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "SLIPWAY_", "MLFLOW_"))
    }
    return {**kept, "PYTHONPATH": str(ROOT), **more}


def start(project: Path, *arguments: str, **more: str) -> subprocess.Popen:
    """`slipway build` in the project, as a process."""
    return subprocess.Popen(
        [sys.executable, "drive.py", *arguments],
        cwd=project,
        env=environment(**more),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def run(project: Path, *arguments: str, **more: str) -> tuple[int, str]:
    """Exit code and output of `slipway build`."""
    process = start(project, *arguments, **more)
    output, _ = process.communicate(timeout=400)
    return process.returncode, output


def pids(project: Path) -> set[int]:
    """Processes whose working directory is the project: nobody may be left after a build."""
    import psutil

    found = set()
    for process in psutil.process_iter():
        try:
            if Path(process.cwd()) == project and process.status() != psutil.STATUS_ZOMBIE:
                found.add(process.pid)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found
