"""The main job with a stopwatch: install, release, release again, and a second clean build of the same commit.

    python benchmarks/journey.py            # about 15 minutes on two cores; one JSON line on stdout

It clones the checkout it stands in (what is not committed is not measured) into a temporary directory, so it
sees what a new user sees. The second build has its own clone and state and shares only the installed packages.
"""

import datetime as dt
import json
import os
import platform
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]


def timed(command: list[str], directory: Path, log: Path) -> dict[str, float]:
    """Wall and CPU seconds of a command with all its children; stops with its log's end if it fails."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    with log.open("w") as stream:
        code = subprocess.call(command, cwd=directory, stdout=stream, stderr=subprocess.STDOUT)
    wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    if code:
        sys.exit(f"{' '.join(command)} ended with {code}:\n{log.read_text()[-3000:]}")
    cpu = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return {"wall_s": round(wall, 1), "cpu_s": round(cpu, 1)}


def clone(directory: Path) -> Path:
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(directory)], check=True)
    return directory


def result(project: Path, stage: str) -> dict:
    return json.loads((project / "reports" / f"{stage}.json").read_text())["result"]


def main() -> None:
    work = Path(tempfile.mkdtemp(prefix="slipway-journey-"))
    one = clone(work / "one")
    figures: dict = {
        "benchmark": "journey",
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "machine": f"{platform.machine()}, {len(os.sched_getaffinity(0))} cores",
        "install": timed(["make", ".venv/.core"], one, work / "install.log"),
        "release": timed(["make", "release"], one, work / "release.log"),
        "second_release": timed(["make", "release"], one, work / "second.log"),
    }
    two = clone(work / "two")
    (two / ".venv").symlink_to(one / ".venv")
    figures["second_clean_build"] = timed(["make", "build"], two, work / "two.log")
    digests = [result(project, "bundle")["bundle_digest"] for project in (one, two)]
    evaluation = result(one, "evaluate")
    figures |= {
        "bundle_digests_equal": digests[0] == digests[1],
        "bundle_digest": digests[0],
        "tasks": {
            name: [round(entry["measure"][key], 4) for key in ("value", "low", "high")]
            for name, entry in evaluation["tasks"].items()
        },
        "references": {
            name: round(entry["value"], 4) for name, entry in evaluation["tasks"]["bits_per_byte"]["references"].items()
        },
        "largest_process_mb": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024,
    }
    print(json.dumps(figures))
    shutil.rmtree(work)


if __name__ == "__main__":
    main()
