"""Near duplicates against rensa alone, datasketch and datatrove: the same texts, threshold and shingles, one thread.

    python benchmarks/near_duplicates.py                                  # 200,000 documents; about 15 minutes
    python benchmarks/near_duplicates.py --documents 10000 --datatrove 1000 --rounds 1

The peers run in an environment of their own, made in a temporary directory (or given by --peers); datatrove
works on fewer documents, as its time per document does not depend on their number. Recall and precision are those
of the pairs found among the first documents, against the exact Jaccard index of all of them. One JSON line
on stdout: medians over the rounds.
"""

import argparse
import datetime as dt
import itertools
import json
import os
import platform
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from near_duplicates_peers import THRESHOLD, measured, shingles  # type: ignore[import-not-found]

from slipway.data.clean import duplicates, similar, sketch
from slipway.data.clean.bands import candidates, write_keys
from slipway.data.clean.words import starts_of
from slipway.spread import here

PEERS = ("rensa==0.5.0", "datasketch==2.0.0", "datatrove[processing]==0.10.1", "xxhash==3.5.0", "regex", "spacy")
SHARD, ROWS = 32768, 2048


def corpus(count: int, seed: int = 1) -> list[str]:
    """Documents of about 130 words; one in five is an earlier one with up to six words replaced."""
    draw = random.Random(seed)  # noqa: S311 - made-up text
    vocabulary = ["".join(draw.choices("abcdefghijklmnoprstuvw", k=draw.randint(2, 10))) for _ in range(20_000)]
    weights = list(itertools.accumulate(1 / (rank + 10) for rank in range(len(vocabulary))))
    texts: list[str] = []
    for number in range(count):
        if number > 10 and draw.random() < 0.2:
            words = texts[draw.randrange(number)].split(" ")
            for place in draw.sample(range(len(words)), draw.randint(0, 6)):
                words[place] = draw.choice(vocabulary)
        else:
            words = draw.choices(vocabulary, cum_weights=weights, k=draw.randint(80, 180))
        texts.append(" ".join(words))
    return texts


def pairs(texts: list[str], scratch: Path) -> tuple[np.ndarray, np.ndarray]:
    """Pairs at or above the threshold, as the stage finds them: shard by shard, then the join."""
    bands = sketch.bands_for(THRESHOLD)
    keys, sets = [], []
    for shard, start in enumerate(range(0, len(texts), SHARD)):
        parts = [
            sketch.of_texts(texts[first : min(first + ROWS, start + SHARD)], bands)
            for first in range(start, min(start + SHARD, len(texts)), ROWS)
        ]
        keys.append(scratch / f"keys-{shard}.npy")
        write_keys(keys[-1], np.concatenate([table for _, table in parts]))
        hashes = np.concatenate([found.sets for found, _ in parts])
        sizes = np.concatenate([np.diff(found.set_starts) for found, _ in parts])
        at = similar.Sets(scratch / f"shingles-{shard}.npy", scratch / f"sets-{shard}.npy")
        sets.append(similar.save_sets(at, hashes, starts_of(sizes)))
    return similar.similar(candidates(keys, scratch, here), sets, THRESHOLD, here)


def slipway(texts: list[str]) -> int:
    """Documents removed: all but one of each connected component."""
    with tempfile.TemporaryDirectory() as scratch:
        found, jaccard = pairs(texts, Path(scratch))
        return len(duplicates.near(found, jaccard, np.arange(len(texts))).documents)


def quality(texts: list[str]) -> dict[str, float]:
    """Recall and precision of the pairs, against string shingles of all pairs that share one."""
    sets = [set(shingles(text)) for text in texts]
    where: dict[str, list[int]] = {}
    for number, one in enumerate(sets):
        for shingle in one:
            where.setdefault(shingle, []).append(number)
    shared = Counter(pair for numbers in where.values() for pair in itertools.combinations(numbers, 2))
    truth = {
        (i, j) for (i, j), common in shared.items() if common / (len(sets[i]) + len(sets[j]) - common) >= THRESHOLD
    }
    with tempfile.TemporaryDirectory() as scratch:
        found = {(int(i), int(j)) for i, j in pairs(texts, Path(scratch))[0]}
    both = len(found & truth)
    return {"pairs": len(truth), "recall": round(both / len(truth), 4), "precision": round(both / len(found), 4)}


def environment(work: Path) -> Path:
    """An environment with the peers; its interpreter."""
    subprocess.run([sys.executable, "-m", "venv", str(work / "peers")], check=True)
    python = work / "peers" / "bin" / "python"
    subprocess.run([str(python), "-m", "pip", "install", "--quiet", *PEERS], check=True, stdout=sys.stderr)
    return python


def peer(python: Path, name: str, texts: Path, count: int) -> dict[str, float]:
    script = Path(__file__).with_name("near_duplicates_peers.py")
    done = subprocess.run(
        [str(python), str(script), name, str(texts), str(count)], check=True, stdout=subprocess.PIPE, text=True
    )
    return json.loads(done.stdout.splitlines()[-1])


def ours(texts: Path) -> dict[str, float]:
    """This file again in a process of its own, so that memory is measured from the texts on."""
    command = [sys.executable, __file__, "--ours", str(texts)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, default=200_000)
    parser.add_argument("--datatrove", type=int, default=5_000, help="documents for datatrove")
    parser.add_argument("--sample", type=int, default=5_000, help="documents for recall and precision")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peers", type=Path, help="interpreter of an environment that holds the peers")
    parser.add_argument("--ours", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.ours:
        with options.ours.open(encoding="utf-8") as stream:
            texts = [json.loads(line) for line in stream]
        slipway(texts[:20])
        print(json.dumps(measured(slipway, texts)))
        return
    os.environ |= {"OMP_NUM_THREADS": "1", "RAYON_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    work = Path(tempfile.mkdtemp(prefix="slipway-near-duplicates-"))
    texts = corpus(options.documents)
    (work / "texts.jsonl").write_text("".join(json.dumps(text) + "\n" for text in texts))
    python = options.peers or environment(work)
    counts = dict.fromkeys(("rensa", "rensa_at_once", "datasketch"), options.documents)
    counts["datatrove"] = min(options.datatrove, options.documents)
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in ("slipway", *counts)}
    for _ in range(options.rounds):
        runs["slipway"].append(ours(work / "texts.jsonl"))
        for name, count in counts.items():
            runs[name].append(peer(python, name, work / "texts.jsonl", count))
    figures = {
        name: {key: statistics.median(run[key] for run in many) for key in many[0]} for name, many in runs.items()
    }
    speed = figures["slipway"]["documents_per_cpu_s"]
    print(
        json.dumps(
            {
                "benchmark": "near_duplicates",
                "date": dt.datetime.now(dt.UTC).date().isoformat(),
                "machine": f"{platform.machine()}, {len(os.sched_getaffinity(0))} cores",
                "rounds": options.rounds,
                "threshold": THRESHOLD,
                "bands": vars(sketch.bands_for(THRESHOLD)),
                **figures,
                "times_as_fast_as": {name: round(speed / figures[name]["documents_per_cpu_s"], 2) for name in counts},
                "sample": quality(texts[: options.sample]),
            }
        )
    )
    shutil.rmtree(work)


if __name__ == "__main__":
    main()
