"""The data half on the default corpus, `acquire` to `tokenize`, against an earlier checkout, interleaved.

    git worktree add ../before COMMIT       # one that runs with the same installed packages
    python benchmarks/data_half.py --before ../before --rounds 5

Stages run as the build runs them: `acquire`, then `validate` beside `prepare` and `tokenize`. One JSON line on
stdout: medians of wall seconds from the first start to the last end, CPU seconds of all processes, and per stage.
"""

import argparse
import datetime as dt
import json
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
OUTPUTS = ("data", "models", "reports")


def stage(project: Path, name: str, walls: dict[str, float]) -> None:
    """Run one stage as DVC does; stops with its output if it fails."""
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", f"pipelines.{name}"],
        cwd=project,
        env=os.environ | {"PYTHONPATH": f"{project / 'src'}{os.pathsep}{project}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    walls[name] = time.perf_counter() - started
    if done.returncode:
        sys.exit(f"{project}: {name} ended with {done.returncode}:\n{done.stdout[-3000:]}")


def half(project: Path) -> dict[str, float]:
    """Wall seconds of the four stages and of the whole, and CPU seconds of the whole."""
    for name in OUTPUTS:
        shutil.rmtree(project / name, ignore_errors=True)
    walls: dict[str, float] = {}
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    stage(project, "acquire", walls)
    beside = threading.Thread(target=stage, args=(project, "validate", walls))
    beside.start()
    stage(project, "prepare", walls)
    stage(project, "tokenize", walls)
    beside.join()
    wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return {"wall_s": wall, "cpu_s": cpu, **{f"{name}_s": value for name, value in sorted(walls.items())}}


def copy(project: Path, target: Path) -> Path:
    """What is committed at `project`, without its outputs; what is not committed is not measured."""
    subprocess.run(["git", "clone", "--quiet", str(project), str(target)], check=True)
    return target


def medians(runs: list[dict[str, float]]) -> dict[str, float]:
    return {name: round(statistics.median(run[name] for run in runs), 2) for name in runs[0]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--before", type=Path, required=True, help="checkout of the earlier commit")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    work = Path(tempfile.mkdtemp(prefix="slipway-data-half-"))
    projects = {"before": copy(options.before, work / "before"), "now": copy(ROOT, work / "now")}
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in projects}
    for _ in range(options.rounds):
        for name, project in projects.items():
            runs[name].append(half(project))
    figures = {name: medians(many) for name, many in runs.items()}
    print(
        json.dumps(
            {
                "benchmark": "data_half",
                "date": dt.datetime.now(dt.UTC).date().isoformat(),
                "machine": f"{platform.machine()}, {len(os.sched_getaffinity(0))} cores",
                "rounds": options.rounds,
                **figures,
                "wall_ratio": round(figures["now"]["wall_s"] / figures["before"]["wall_s"], 3),
                "cpu_ratio": round(figures["now"]["cpu_s"] / figures["before"]["cpu_s"], 3),
            }
        )
    )
    shutil.rmtree(work)


if __name__ == "__main__":
    main()
