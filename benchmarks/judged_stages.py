"""`evaluate` and `safety` of a built project, as whole processes, so imports and reports count.

    python benchmarks/judged_stages.py PROJECT [--rounds 5]     # PROJECT has been built; its reports are written anew

The goal is 60 s for both on the default model and two cores. One JSON line on stdout.
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
from pathlib import Path

STAGES = ("evaluate", "safety")


def timed(stage: str, project: Path) -> tuple[float, float, int]:
    """Wall seconds, CPU seconds and peak MB of one stage."""
    started = time.perf_counter()
    command = [sys.executable, "-m", f"pipelines.{stage}"]
    process = subprocess.Popen(
        command, cwd=project, stdout=subprocess.DEVNULL, env=os.environ | {"SLIPWAY_FORCED": "1"}
    )
    _, status, usage = os.wait4(process.pid, 0)
    if code := os.waitstatus_to_exitcode(status):
        sys.exit(f"{stage} ended with {code}")
    return time.perf_counter() - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss // 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("project", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    found: dict[str, list[tuple[float, float, int]]] = {stage: [] for stage in STAGES}
    for _ in range(arguments.rounds):
        for stage in STAGES:
            found[stage].append(timed(stage, arguments.project))
    figures: dict[str, dict[str, float]] = {}
    for stage, runs in found.items():
        wall, cpu, peak = (statistics.median(column) for column in zip(*runs, strict=True))
        figures[stage] = {"wall_s": round(wall, 1), "cpu_s": round(cpu, 1), "peak_mb": peak}
    both = [sum(walls) for walls in zip(*([run[0] for run in runs] for runs in found.values()), strict=True)]
    line = {
        "benchmark": "judged_stages",
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "machine": f"{platform.machine()}, {len(os.sched_getaffinity(0))} cores",
        "load_at_end": round(os.getloadavg()[0], 1),
        "rounds": arguments.rounds,
        "both_wall_s": round(statistics.median(both), 1),
        "both_wall_s_all": [round(value, 1) for value in both],
        **figures,
    }
    print(json.dumps(line))


if __name__ == "__main__":
    main()
