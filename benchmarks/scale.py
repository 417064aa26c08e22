"""The band join from one to fifty million documents: time, memory and scratch, and whether every planted pair is found.

    python benchmarks/scale.py --millions 1 5 10 20 50 --directory /path/with/space

The signatures are synthetic: random keys; one document in five is a copy of another that shares each band with it
as often as two documents of Jaccard index 0.9 do; one in two hundred is boilerplate, all in one bucket. Which pairs
share a band follows from how they were planted, without the join; the join must find exactly these. Generation and
check are not in the figures. Per size one JSON line on stdout: wall seconds, CPU seconds of the items and of the
process that asks, peak resident bytes of the largest worker (pages of mapped key files count) and of the process that
asks, bytes of keys, of scratch and of the pairs.
"""

import argparse
import datetime as dt
import json
import os
import platform
import resource
import shutil
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np

from slipway.adapters import engine
from slipway.data.clean import bands, sketch

SHARD = 500_000  # documents
COPIES, BOILERPLATE = 5, 200  # one in so many
JACCARD = 0.9
_ODD = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))


def mixed(values: np.ndarray, salt: int) -> np.ndarray:
    """64 random bits per value (splitmix64)."""
    x = values.astype(np.uint64) + np.uint64((salt * 0x9E3779B97F4A7C15) % 2**64)
    x = (x ^ x >> np.uint64(30)) * _ODD[0]
    x = (x ^ x >> np.uint64(27)) * _ODD[1]
    return x ^ x >> np.uint64(31)


class Plan:
    """What every document is, by its number: originals, of which the last are boilerplate, then copies."""

    def __init__(self, documents: int, shape: sketch.Bands) -> None:
        self.documents, self.shape = documents, shape
        self.first_copy = documents - documents // COPIES
        self.boilerplate = range(self.first_copy - documents // BOILERPLATE, self.first_copy)

    def originals(self, copies: np.ndarray) -> np.ndarray:
        return (mixed(copies, 1) % np.uint64(self.boilerplate.start)).astype(np.int64)

    def shares(self, copies: np.ndarray, band: int) -> np.ndarray:
        """Whether a copy has the key of its original in a band."""
        return mixed(copies, 1000 + band) < np.uint64(int(JACCARD**self.shape.rows * 2**64))

    def keys(self, numbers: np.ndarray) -> np.ndarray:
        out = np.empty((len(numbers), self.shape.bands), np.uint64, order="F")
        late = numbers >= self.first_copy
        copies = numbers[late]
        for band in range(self.shape.bands):
            whose = numbers.copy()
            whose[late] = np.where(self.shares(copies, band), self.originals(copies), copies)
            out[:, band] = mixed(whose, 2000 + band)
        out[(numbers >= self.boilerplate.start) & ~late, 0] = np.uint64(2**64 - 1)
        return out

    def pairs(self) -> np.ndarray:
        """The pairs that share a band, int64 (pairs, 2), sorted."""
        copies = np.arange(self.first_copy, self.documents)
        masks = np.zeros(len(copies), np.uint64)
        for band in range(self.shape.bands):
            masks |= self.shares(copies, band).astype(np.uint64) << np.uint64(band)
        originals = self.originals(copies)
        found = [np.stack([originals, copies], 1)[masks > 0]]
        order = np.argsort(originals, kind="stable")
        for step in range(1, len(copies)):
            first, second = order[:-step], order[step:]
            same = originals[first] == originals[second]
            if not same.any():
                break
            first, second = first[same], second[same]
            both = (masks[first] & masks[second]) > 0
            found.append(np.stack([copies[first[both]], copies[second[both]]], 1))
        plain = np.arange(self.boilerplate.start, self.boilerplate.stop)
        reach = bands.REACH if len(plain) > bands.BUCKET else len(plain)
        found += [np.stack([plain[:-step], plain[step:]], 1) for step in range(1, min(reach + 1, len(plain)))]
        every = np.concatenate(found)
        return every[np.lexsort((every[:, 1], every[:, 0]))]


def metered(function, item):
    """The result, with the CPU seconds it took and the peak resident bytes of the process it ran in."""
    before = time.process_time()
    result = function(item)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return result, time.process_time() - before, peak, os.getpid()


def generate(plan: Plan, directory: Path, shard: int) -> Path:
    path = directory / f"keys-{shard:05d}.npy"
    bands.write_keys(path, plan.keys(np.arange(shard * SHARD, min((shard + 1) * SHARD, plan.documents))))
    return path


def size_of(directory: Path) -> int:
    return sum(path.stat().st_size for path in directory.rglob("*.npy"))


def join(keys: list[Path], scratch: Path) -> tuple[list[Path], dict[str, float | int]]:
    """The files of pairs, and the figures."""
    chosen = engine.choose()
    cpu, peaks, items, peak_scratch = 0.0, {0}, 0, 0

    def spread(function, work):
        nonlocal cpu, items, peak_scratch
        for result, seconds, peak, process in chosen(partial(metered, function), work):
            items += 1
            if process != os.getpid():
                cpu += seconds
                peaks.add(peak)
            yield result
        peak_scratch = max(peak_scratch, size_of(scratch))

    started, own = time.perf_counter(), time.process_time()
    files = bands.candidate_files(keys, scratch, spread)
    wall = time.perf_counter() - started
    cpu += time.process_time() - own
    chosen.close()
    return files, {
        "wall_s": round(wall, 1),
        "cpu_s": round(cpu, 1),
        "items": items,
        "worker_peak_bytes": max(peaks),
        "own_peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "scratch_bytes": peak_scratch,
        "pair_bytes": sum(path.stat().st_size for path in files),
    }


def measure(documents: int, shape: sketch.Bands, directory: Path) -> dict:
    """Generate, join, check."""
    plan = Plan(documents, shape)
    keys_directory, scratch = directory / "keys", directory / "scratch"
    keys_directory.mkdir(parents=True)
    chosen = engine.choose()
    started = time.perf_counter()
    keys = list(chosen(partial(generate, plan, keys_directory), range(-(-documents // SHARD))))
    chosen.close()
    generated = time.perf_counter() - started
    files, figures = join(keys, scratch)
    planted, position = plan.pairs(), 0
    for path in files:
        found = np.load(path)
        if not np.array_equal(found, planted[position : position + len(found)]):
            sys.exit(f"{documents} documents: the pairs in {path} are not those planted")
        position += len(found)
    if position != len(planted):
        sys.exit(f"{documents} documents: {position} pairs found, {len(planted)} planted")
    key_bytes = size_of(keys_directory)
    shutil.rmtree(directory)
    return {
        "benchmark": "scale",
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "machine": f"{platform.machine()}, {len(os.sched_getaffinity(0))} cores",
        "engine": os.environ.get("SLIPWAY_ENGINE", "local"),
        "workers": os.environ.get("SLIPWAY_WORKERS", "all cores"),
        "documents": documents,
        "bands": shape.bands,
        "rows": shape.rows,
        "key_bytes": key_bytes,
        "generate_s": round(generated, 1),
        **figures,
        "pairs": position,
        "pairs_planted": len(planted),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--millions", type=float, nargs="+", default=[1.0, 5.0])
    parser.add_argument("--threshold", type=float, default=0.5, help="Jaccard index that the bands must find")
    parser.add_argument("--directory", type=Path, help="where keys and scratch lie; 0.4 GB per million documents")
    options = parser.parse_args()
    shape = sketch.bands_for(options.threshold)
    for millions in options.millions:
        # A process of its own each, so that peaks are its own.
        child = os.fork()
        if child == 0:
            directory = Path(tempfile.mkdtemp(prefix="slipway-scale-", dir=options.directory))
            print(json.dumps(measure(int(millions * 1_000_000), shape, directory)), flush=True)
            os._exit(0)
        if os.waitpid(child, 0)[1]:
            sys.exit(1)


if __name__ == "__main__":
    main()
