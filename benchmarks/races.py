"""64 publishers at once on one store, and a reader who follows the channel all the while.

    python benchmarks/races.py                         # 64 publishers, 10,000 polls; about five minutes on two cores
    python benchmarks/races.py --publishers 8 --polls 500 --stores local

Three races on each store (a local directory; an S3 server, moto, in a process of its own): all want the same version
for different bundles; all take the next version; all release the same bundle. Every publisher is a process that signs
and publishes for real. The reader checks pointer, manifest and the listing at each poll and every byte at each 25th; it
polls until the publishers are done, and races are repeated on empty stores until it has polled `--polls` times in all.

One JSON line on stdout for each race, and one for the reader.
"""

import argparse
import datetime as dt
import json
import os
import platform
import sys
import tempfile
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
    race = racers.race(jobs, "v1" if kind == "one version" else "auto")
    public = keys.public_key(jobs[0].root)
    if kind == "same bundle":
        for job in jobs:  # who was told to run it again does
            publishers.Publisher(job).finished()
    claims = racers.standing(url, public)
    named = verify.verify_channel(publishers.store_of(url), publishers.NAME, publishers.CHANNEL, public).release
    expect(named.sequence == len(claims) == (count if kind == "next version" else 1), (named, len(claims)))
    expect(kind == "same bundle" or len(race.published) == len(claims), race.told)
    return race, {
        "publishers": count, "won": len(race.published), "told": len(race.told),
        "told_as": dict(Counter(told.partition(":")[0] for told in race.told)), "releases": len(claims),
        "channel_at": named.sequence, "channel_moves_seen": len(race.sequences), "polls": race.polls,
        "seconds": round(race.seconds, 1),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--publishers", type=int, default=64)
    parser.add_argument("--polls", type=int, default=10_000)
    parser.add_argument("--stores", nargs="+", choices=("local", "s3"), default=("local", "s3"))
    given = parser.parse_args()
    facts = {
        "benchmark": "races", "date": dt.datetime.now(tz=dt.UTC).date().isoformat(),
        "command": " ".join(["races.py", *sys.argv[1:]]),
        "processor": platform.processor() or platform.machine(), "cpus": os.cpu_count(),
    }  # fmt: skip
    polls, full, rounds = Counter[str](), Counter[str](), 0
    with tempfile.TemporaryDirectory() as folder:
        while not rounds or polls.total() < given.polls:
            stores = given.stores if not rounds else given.stores[:1]
            for store in stores:
                with place(Path(folder, store, str(rounds)), store) as (base, environment):
                    for number, kind in enumerate(KINDS):
                        at = Path(folder, store, str(rounds), str(number))
                        race, row = one(at, f"{base}/{rounds}-{number}", environment, given.publishers, kind)
                        polls[store] += race.polls
                        full[store] += race.full
                        print(json.dumps(facts | {"store": store, "race": kind} | row), flush=True)
            rounds += 1
    reader = {
        "race": "reader", "reach": ">= 10,000 polls, only complete releases seen", "polls": polls.total(),
        "polls_by_store": dict(polls), "every_byte_verified": dict(full), "incomplete_seen": 0,
    }  # fmt: skip
    print(json.dumps(facts | reader))


if __name__ == "__main__":
    main()
