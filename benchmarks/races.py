"""64 publishers at once on one store, and readers who follow the channel all the while.

    python benchmarks/races.py                         # 64 publishers, 10,000 polls of each store; see the results
    python benchmarks/races.py --publishers 8 --polls 500 --stores local

Three races on each store (a local directory; an S3 server, moto, in a process of its own): all want the same version
for different bundles; all take the next version; all release the same bundle. Every publisher is a process that signs
and publishes for real. Four readers look at pointer, manifest and listing at each poll, and at every byte at each 25th;
polls before the first release do not count. A small machine leaves them few polls beside 64 processes, so a fourth
race follows, on empty stores again and again until they have polled `--polls` times in all: as many publishers, each
taking the next version, but few at a time, so that the channel moves all the while.

One JSON line on stdout for each race, and one for the readers.
"""

import argparse
import datetime as dt
import json
import os
import platform
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))
from slipway.release.reading import verify
from slipway.release.signing import keys
from tests import counting_s3, publishers, racers

KINDS = ("one version", "next version", "same bundle")
STREAM = "next version, four at a time"
AT_ONCE = 4
READERS = 4


@contextmanager
def place(folder: Path, store: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Address below which stores may be made, and the environment that reaches it."""
    if store == "local":
        yield str(folder / "stores"), {}
        return
    with counting_s3.running(folder / "server") as server:
        os.environ.update(server.environment)
        yield f"s3://{counting_s3.BUCKET}", server.environment


def expect(holds: bool, what: object) -> None:
    """End the benchmark if something did not hold."""
    if not holds:
        raise SystemExit(f"did not hold: {what}")


def one(
    folder: Path, url: str, environment: dict[str, str], count: int, kind: str
) -> tuple[racers.Race, dict[str, Any]]:
    """One race on an empty store, and what it came to; ends the benchmark if it came to something else."""
    jobs = racers.field(folder, count, url, environment, same=kind == "same bundle")
    version, few = "v1" if kind == "one version" else "auto", AT_ONCE if kind == STREAM else None
    race = racers.race(jobs, version, at_once=few, readers=READERS)
    public, again = keys.public_key(jobs[0].root), time.monotonic()
    if kind == "same bundle":  # who was told to run it again does
        for few in (jobs[start : start + AT_ONCE] for start in range(0, count, AT_ONCE)):
            for publisher in [publishers.Publisher(job) for job in few]:
                publisher.finished()
    claims = racers.standing(url, public)
    named = verify.verify_channel(publishers.store_of(url), publishers.NAME, publishers.CHANNEL, public).release
    expect(named.sequence == len(claims) == (count if kind.startswith("next version") else 1), (named, len(claims)))
    expect(kind == "same bundle" or len(race.published) == len(claims), race.told)
    return race, {
        "publishers": count, "won": len(race.published), "told": len(race.told),
        "told_as": dict(Counter(told.partition(":")[0] for told in race.told)), "releases": len(claims),
        "channel_at": named.sequence, "channel_moves_seen": len(race.sequences), "polls": race.polls,
        "seconds": round(race.seconds, 1), "run_again_seconds": round(time.monotonic() - again, 1),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--publishers", type=int, default=64)
    parser.add_argument("--polls", type=int, default=10_000)
    parser.add_argument("--stores", nargs="+", choices=("local", "s3"), default=("local", "s3"))
    parser.add_argument("--races", nargs="*", choices=KINDS, default=KINDS, help="before the one that is repeated")
    given = parser.parse_args()
    facts = {
        "benchmark": "races", "date": dt.datetime.now(tz=dt.UTC).date().isoformat(),
        "command": " ".join(["races.py", *sys.argv[1:]]),
        "processor": platform.processor() or platform.machine(), "cpus": os.cpu_count(),
    }  # fmt: skip
    polls, full = Counter[str](), Counter[str]()
    with tempfile.TemporaryDirectory() as folder:
        for store in given.stores:
            with place(Path(folder, store), store) as (base, environment):
                number = 0
                while number < len(given.races) or polls[store] < given.polls:
                    kind = given.races[number] if number < len(given.races) else STREAM
                    at, url = Path(folder, store, str(number)), f"{base}/{number}"
                    race, row = one(at, url, environment, given.publishers, kind)
                    polls[store] += race.polls
                    full[store] += race.full
                    number += 1
                    print(json.dumps(facts | {"store": store, "race": kind} | row), flush=True)
                    shutil.rmtree(at)
    reader = {
        "race": "readers", "readers": READERS, "reach": ">= 10,000 polls of each store, only complete releases seen",
        "polls_by_store": dict(polls), "every_byte_verified": dict(full), "incomplete_seen": 0,
    }  # fmt: skip
    print(json.dumps(facts | reader))


if __name__ == "__main__":
    main()
