"""Releases under fire: single bits flipped, and SIGKILL between any two steps and at any time.

    python benchmarks/faults.py                        # 1,000 flips, 120 + 30 kills on each store; ten minutes or more
    python benchmarks/faults.py --flips 100 --kills 10 --moments 3

Flips go through every file of a release with ledger and verdict, its pointer, a key log, an approval and a tombstone,
one at a time. Kills hit a publisher, or who withdraws a release, in a process of its own, once per trial, on a local
store and on an S3 server (moto, in a process of its own): `--kills` at a file operation or request drawn from all of
them, `--moments` at a time drawn from the whole duration. After each a reader verifies what the channel names, the
release before must still verify, and a rerun must end with the same claim and one whole release; otherwise the trial
counts as failed and is printed.

One JSON line on stdout for each case.
"""

import argparse
import datetime as dt
import json
import os
import platform
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))
from slipway.adapters.store import LocalStore
from slipway.errors import UserError
from tests import bit_flips, kill_trials, release_project
from tests.release.conftest import Site


def flips(folder: Path, count: int) -> dict[str, Any]:
    """Bits flipped and noticed."""
    site = Site(release_project.make(folder / "project"), LocalStore(folder / "store"))
    subjects = bit_flips.subjects(site)
    began = time.process_time()
    missed = bit_flips.missed(subjects, count, seed=1)
    return {
        "case": "single-bit flips", "reach": "all detected", "flips": count, "files": len(subjects),
        "detected": count - len(missed), "missed": missed, "cpu_seconds": round(time.process_time() - began, 2),
    }  # fmt: skip


def kills(folder: Path, kind: str, points: int, moments: int) -> dict[str, Any]:
    """Trials on one store."""
    clock, outcomes, failed = random.Random(1), [], []  # noqa: S311

    def trial(once: Callable[[], kill_trials.Outcome], what: str) -> None:
        try:
            outcomes.append(once())
        except (AssertionError, UserError) as error:
            failed.append(f"{what}: {type(error).__name__}: {str(error)[:300]}")
            print(f"FAILED {failed[-1]}", file=sys.stderr, flush=True)

    began = time.monotonic()
    with kill_trials.trials(folder, kind) as trials:
        for point, case in trials.chosen(points, seed=1):
            trial(lambda at=point, of=case: trials.at(at, of), f"point {point} of {case}")
        for _ in range(moments):
            moment, case = clock.uniform(0.0, trials.seconds), clock.choice(kill_trials.CASES)
            trial(lambda at=moment, of=case: trials.after(at, of), f"{moment:.3f} s into {case}")
    return {
        "case": f"SIGKILL, {kind} store", "reach": "0 failed; at most one part sent again",
        "trials": points + moments, "killed": sum(one.killed for one in outcomes), "failed": failed,
        "points": trials.events, "seen_after_the_kill": dict(Counter(one.saw for one in outcomes)),
        "trials_with_parts_held": sum(one.parts_held > 0 for one in outcomes),
        "parts_again": max(one.parts_again for one in outcomes),
        "trials_with_parts_again": sum(one.parts_again > 0 for one in outcomes),
        "trials_that_left_parts": sum(one.left > 0 for one in outcomes), "seconds": round(time.monotonic() - began),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--flips", type=int, default=1000)
    parser.add_argument("--kills", type=int, default=120)
    parser.add_argument("--moments", type=int, default=30)
    parser.add_argument("--stores", nargs="+", choices=("local", "s3"), default=("local", "s3"))
    given = parser.parse_args()
    facts = {
        "benchmark": "faults", "date": dt.datetime.now(tz=dt.UTC).date().isoformat(),
        "command": " ".join(["faults.py", *sys.argv[1:]]),
        "processor": platform.processor() or platform.machine(), "cpus": os.cpu_count(),
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(facts | flips(Path(folder, "flips"), given.flips)), flush=True)
        for kind in given.stores:
            print(json.dumps(facts | kills(Path(folder, kind), kind, given.kills, given.moments)), flush=True)


if __name__ == "__main__":
    main()
