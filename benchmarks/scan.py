"""The scan on the hostile corpus and on clean bundles, each path as a command of its own; numbers; mutated files.

    PYTHONPATH=. python benchmarks/scan.py [--mutations 10000] [--gigabytes 1] [--picklescan PYTHON] \
        >> benchmarks/results/scan.jsonl

A case counts as refused if `slipway scan PATH` ends with 1 and says REFUSE; anything else (a traceback, a timeout) is a
miss. Memory is the largest resident set of the command and of what it starts (wait4), time is its wall clock, both on a
machine that may be busy. picklescan wants an environment of its own; it reads the same directories with `--strict`, and
whatever it does not call clean counts as flagged. Architectures are all those of which the installed library makes a
small model by its general settings; they are judged in process.
"""

import argparse
import datetime as dt
import json
import os
import platform
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[1]
SLIPWAY = [sys.executable, "-c", "import sys; from slipway.cli import main; sys.exit(main())"]
SECONDS = 60


class Ran(NamedTuple):
    """One command."""

    code: int
    out: str
    wall_s: float
    cpu_s: float
    peak_mb: float


MEASURE = """
import json, os, subprocess, sys, time
seconds, command = float(sys.argv[1]), sys.argv[2:]
began = time.perf_counter()
child = subprocess.Popen(command, stderr=subprocess.STDOUT)
while True:
    ended, status, used = os.wait4(child.pid, os.WNOHANG)
    wall = time.perf_counter() - began
    if ended:
        break
    if wall > seconds:
        child.kill()
    time.sleep(0.005)
code = 124 if wall > seconds else os.waitstatus_to_exitcode(status)
print(json.dumps([code, wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024]), file=sys.stderr)
"""
"""Linux counts the memory of whoever starts a process as the process's own; so a small one starts it."""


def run(command: Sequence[str]) -> Ran:
    """Run a command to its end, or kill it after `SECONDS`; code 124 then."""
    small = [sys.executable, "-S", "-c", MEASURE, str(SECONDS), *command]
    done = subprocess.run(small, capture_output=True, cwd=ROOT, check=True)
    code, wall, cpu, peak = json.loads(done.stderr)
    return Ran(code, done.stdout.decode("utf-8", "replace"), wall, cpu, peak)


def spread(values: Sequence[float]) -> dict[str, float]:
    return {"median": round(statistics.median(values), 2), "max": round(max(values), 2)}


def costs(ran: Sequence[Ran]) -> dict[str, Any]:
    return {
        "wall_s": spread([one.wall_s for one in ran]),
        "cpu_s": spread([one.cpu_s for one in ran]),
        "peak_mb": spread([one.peak_mb for one in ran]),
    }


def hostile(folder: Path, jobs: int, every: int, picklescan: str | None) -> dict[str, Any]:
    """Every hostile case, or every n-th."""
    from tests.scan.corpus.hostile import corpus

    mark = folder / "mark"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        whole = corpus(mark)
    cases = whole[::every]
    paths = []
    for number, case in enumerate(cases):
        path = folder / f"{number:04}"
        path.mkdir()
        paths.append(str(case.write(path)))
    with ThreadPoolExecutor(jobs) as pool:
        ran = list(pool.map(lambda path: run([*SLIPWAY, "scan", path]), paths))
    refused = [one.code == 1 and ": REFUSE" in one.out for one in ran]
    found = {
        "corpus": len(whole),
        "cases": len(cases),
        "categories": len({case.category for case in cases}),
        "refused": sum(refused),
        "missed": [f"{case.category}: {case.id}" for case, right in zip(cases, refused, strict=True) if not right],
        "payloads_run": int(mark.exists()),
        **costs(ran),
    }
    if picklescan:
        # Not `-m picklescan`, which ends with 0 whatever it found.
        entry = "import sys; from picklescan.cli import main; sys.exit(main())"
        command = [picklescan, "-c", entry, "--strict", "--path"]
        with ThreadPoolExecutor(jobs) as pool:
            peer = list(pool.map(lambda path: run([*command, path]), paths))
        found["picklescan_strict_flagged"] = sum(one.code != 0 for one in peer)
        pickles = [
            n for n, case in enumerate(cases) if re.match(r"pickle|broken pickle|joblib|torch|numpy", case.category)
        ]
        found["pickle_cases"] = len(pickles)
        found["picklescan_strict_flagged_of_those"] = sum(peer[n].code != 0 for n in pickles)
    return found


def clean(folder: Path, jobs: int) -> dict[str, Any]:
    """Every clean bundle."""
    from tests.scan.corpus.clean import bundles

    made = bundles(folder)
    with ThreadPoolExecutor(jobs) as pool:
        ran = list(pool.map(lambda path: run([*SLIPWAY, "scan", str(path)]), made.values()))
    refused = [name for name, one in zip(made, ran, strict=True) if one.code != 0]
    return {"bundles": len(made), "refused": len(refused), "which": refused, **costs(ran)}


def numbers(folder: Path, gigabytes: float) -> dict[str, Any]:
    """NaN, infinity and zeros in weights of one file that the page cache holds; in process, three rounds."""
    import numpy as np

    from slipway.scan import safetensors, values
    from slipway.scan.subject import Subject

    size = int(gigabytes * 1e9) // 8192 * 8192
    path = folder / "model.safetensors"
    found: dict[str, Any] = {"bytes": size}
    for dtype, width in (("BF16", 2), ("F32", 4)):
        head = {"w": {"dtype": dtype, "shape": [size // width // 1024, 1024], "data_offsets": [0, size]}}
        raw = json.dumps(head).encode()
        with path.open("wb") as out:
            out.write(len(raw).to_bytes(8, "little") + raw)
            block = np.random.default_rng(1).integers(0, 0x7000, 1 << 20, dtype="u2").tobytes()
            for _ in range(size // len(block)):
                out.write(block)
            out.write(block[: size % len(block)])
        subject = Subject(path, path.name, path.stat().st_size)
        tensors: list[values.Tensor] = []
        began = time.perf_counter()
        list(safetensors.judge_structure(subject, tensors))
        structure = time.perf_counter() - began
        before, rounds = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, []
        for _ in range(3):
            wall, cpu = time.perf_counter(), time.process_time()
            if list(values.check(subject, tensors)):
                raise SystemExit("random numbers below infinity were not judged finite")
            rounds.append((time.perf_counter() - wall, time.process_time() - cpu))
        more = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        wall_s, cpu_s = (statistics.median(column) for column in zip(*rounds, strict=True))
        whole = run([*SLIPWAY, "scan", str(path)])
        found[dtype] = {
            "structure_s": round(structure, 4),
            "values_s": round(wall_s, 3),
            "values_cpu_s": round(cpu_s, 3),
            "gb_per_cpu_s": round(size / 1e9 / cpu_s, 2),
            "more_memory_mb": round(more / 1024, 1),
            "command_s": round(whole.wall_s, 2),
            "command_cpu_s": round(whole.cpu_s, 2),
            "command_peak_mb": round(whole.peak_mb),
        }
        if whole.code:
            raise SystemExit(f"slipway scan of {dtype} ended with {whole.code}: {whole.out}")
    return found


def mutated(folder: Path, count: int) -> dict[str, Any]:
    """Mutated files through every parser, in process."""
    from slipway.adapters.store import LocalStore
    from tests import mutating, mutations, release_project
    from tests.release.conftest import Site

    (folder / "torch").mkdir()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        site = Site(release_project.make(folder / "project"), LocalStore(folder / "store"))
        targets = [
            *mutations.scan_targets(folder / "scan"),
            *mutations.release_targets(site),
            *mutations.foreign_targets(folder / "torch"),
        ]
        began = time.perf_counter()
        outcomes, crashes = mutating.run(targets, count, seed=6)
    failed = Counter(crash.name for crash in crashes)
    return {
        "files": count,
        "parsers": len(targets),
        **outcomes,
        "crashes_and_hangs": len(crashes),
        "where": dict(failed),
        "wall_s": round(time.perf_counter() - began, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mutations", type=int, default=10_000)
    parser.add_argument("--gigabytes", type=float, default=1.0)
    parser.add_argument("--jobs", type=int, default=2, help="commands at a time")
    parser.add_argument("--every", type=int, default=1, help="only each n-th hostile case")
    parser.add_argument("--picklescan", metavar="PYTHON", help="interpreter of an environment with picklescan")
    arguments = parser.parse_args()
    os.environ["PYTHONPATH"] = str(ROOT)
    sys.path.insert(0, str(ROOT))
    from tests.scan import architectures

    line: dict[str, Any] = {
        "benchmark": "scan",
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "command": f"python benchmarks/scan.py --jobs {arguments.jobs} --every {arguments.every}",
        "load_before": round(os.getloadavg()[0], 1),
        "start_of_the_command": costs([run([*SLIPWAY, "--version"]) for _ in range(3)]),
    }
    parts = {
        "hostile": lambda folder: hostile(folder, arguments.jobs, arguments.every, arguments.picklescan),
        "clean": lambda folder: clean(folder, arguments.jobs),
        "architectures": architectures.refused,
        "numbers": lambda folder: numbers(folder, arguments.gigabytes),
        "mutations": lambda folder: mutated(folder, arguments.mutations),
    }
    for name, part in parts.items():
        with tempfile.TemporaryDirectory() as folder:
            line[name] = part(Path(folder))
        print(f"{name}: done", file=sys.stderr, flush=True)
    print(json.dumps(line))


if __name__ == "__main__":
    main()
