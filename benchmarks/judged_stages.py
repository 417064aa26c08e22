"""`evaluate` and `safety` of a built project, as whole processes, so imports and reports count.

    python benchmarks/judged_stages.py PROJECT [--rounds 5]     # PROJECT has been built; its reports are written anew

`together`: both at once, as `slipway build` runs them, which is what the goal of 60 s on two cores is about; then each
alone. One JSON line on stdout.
"""

import argparse
import datetime as dt
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

STAGES = ("evaluate", "safety")


def run(stages: Sequence[str], project: Path) -> tuple[float, dict[str, tuple[float, float, int]]]:
    """Start `stages` at once; wall seconds until the last has ended, and of each wall, CPU seconds and peak MB."""
    started, running = time.perf_counter(), {}
    for stage in stages:
        command = [sys.executable, "-m", f"pipelines.{stage}"]
        environment = os.environ | {"SLIPWAY_FORCED": "1"}
        process = subprocess.Popen(command, cwd=project, stdout=subprocess.DEVNULL, env=environment)
        running[process.pid] = stage
    found = {}
    while running:
        pid, status, usage = os.wait3(0)
        stage = running.pop(pid)
        if code := os.waitstatus_to_exitcode(status):
            sys.exit(f"{stage} ended with {code}")
        found[stage] = (time.perf_counter() - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss // 1024)
    return time.perf_counter() - started, found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("project", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    together: list[float] = []
    alone: dict[str, list[tuple[float, float, int]]] = {stage: [] for stage in STAGES}
    for _ in range(arguments.rounds):
        together.append(run(STAGES, arguments.project)[0])
        for stage in STAGES:
            alone[stage].append(run([stage], arguments.project)[1][stage])
    line = {
        "benchmark": "judged_stages",
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "machine": f"{platform.machine()}, {len(os.sched_getaffinity(0))} cores",
        "load_at_end": round(os.getloadavg()[0], 1),
        "rounds": arguments.rounds,
        "together_wall_s": round(statistics.median(together), 1),
        "together_wall_s_all": [round(value, 1) for value in together],
    }
    for stage, runs in alone.items():
        wall, cpu, peak = (statistics.median(column) for column in zip(*runs, strict=True))
        line[stage] = {"wall_s": round(wall, 1), "cpu_s": round(cpu, 1), "peak_mb": peak}
    print(json.dumps(line))


if __name__ == "__main__":
    main()
