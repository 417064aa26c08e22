"""Scan, hash and sign 1 GB, beside `dvc add` with hard links and then `model_signing sign` of the same files.

    python benchmarks/seal.py                          # 1 GB in 4 shards, 5 rounds; about three minutes on two cores
    python benchmarks/seal.py --megabytes 64 --rounds 1

Each round runs every side once, one after the other, in processes of their own; start-up and imports count. Ours is
what a release does with a bundle before it publishes: every file is scanned, copied to where nobody else writes, hashed
while copied, and signed with a statement. The peers scan nothing; they hash twice (md5, then sha256) and copy nothing.
The weights are random finite numbers in F32. `no values` leaves out the look for NaN and for zeros.

One JSON line on stdout for each side, and one that compares.
"""

import argparse
import datetime as dt
import json
import multiprocessing
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
LIMIT = 50_000_000_000


def make(root: Path, megabytes: int, shards: int) -> None:
    """A project whose bundle holds weights of this size."""
    import numpy as np
    from safetensors.numpy import save_file

    from slipway.release.bundle import manifest
    from slipway.release.signing import keys
    from tests import release_project

    release_project.make(root)
    keys.generate(root / ".slipway" / "keys" / "release.key")
    bundle, rng = root / "bundle", np.random.default_rng(7)
    (bundle / "model.safetensors").unlink()
    index: dict[str, str] = {}
    rows = megabytes * 1_000_000 // shards // 4 // 4096
    for shard in range(1, shards + 1):
        name = f"model-{shard:05d}-of-{shards:05d}.safetensors"
        tensors = {f"w{shard}.{part}": rng.standard_normal((rows // 4, 4096), np.float32) for part in range(4)}
        save_file(tensors, bundle / name, metadata={"format": "pt"})
        index |= dict.fromkeys(tensors, name)
    total = sum((bundle / name).stat().st_size for name in set(index.values()))
    told = {"metadata": {"total_size": total}, "weight_map": index}
    (bundle / "model.safetensors.index.json").write_text(json.dumps(told))
    manifest.write(bundle, "tiny")


def ours(root: Path, *, values: bool = True) -> None:
    """Scan and seal; the body of a process of its own."""
    from slipway.adapters.store import LocalStore
    from slipway.release import statement
    from slipway.release.bundle import manifest
    from slipway.release.publishing import sealing
    from slipway.release.publishing.claim import claim_version
    from slipway.release.signing import keys
    from slipway.scan import values as numbers
    from slipway.scan.verdict import scan

    if not values:
        numbers.check = lambda *_: iter(())
    began, signer, bundle = time.perf_counter(), keys.signer(root), root / "bundle"
    digest = manifest.digest(bundle)
    report = scan(bundle, LIMIT, digest)
    if not report.passed:
        raise SystemExit(f"the bundle does not pass its own scan: {report.findings[:3]}")
    scanned = time.perf_counter()
    store = LocalStore(root / "store")
    claim = claim_version(store, "tiny", "auto", digest, signer)

    def compose(identity: statement.Identity) -> bytes:
        return statement.write(root, identity, signer, created="2026-01-01T00:00:00+00:00", gate=None, approvals={})

    sealing.seal_release(store, claim, bundle, root / "work", signer, predecessor=None, compose=compose)
    print(json.dumps({"scan": scanned - began, "seal": time.perf_counter() - scanned}))


def measured(command: list[str], cwd: Path) -> dict[str, float]:
    """Wall and processor seconds, and the largest resident size in MB, of a command and what it starts."""
    began = time.perf_counter()
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(command, cwd=cwd, stdout=output, stderr=subprocess.STDOUT)
        _, status, used = os.wait4(process.pid, 0)
        wall = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        said = output.read()
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}:\n{said}")
    found = {"wall": wall, "cpu": used.ru_utime + used.ru_stime, "peak_mb": used.ru_maxrss / 1024}
    return found | (json.loads(said) if said.startswith('{"scan"') else {})


def peers(root: Path, scratch: Path) -> Callable[[], dict[str, float]]:
    """A fresh DVC directory with hard links, `dvc add`, then model signing with the same key."""

    def once() -> dict[str, float]:
        place = scratch / "dvc"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        for command in (["dvc", "init", "-q", "--no-scm"], ["dvc", "config", "cache.type", "hardlink"]):
            subprocess.run(command, cwd=place, check=True)
        shutil.copytree(root / "bundle", place / "bundle")
        added = measured(["dvc", "add", "-q", "bundle"], place)
        key = root / ".slipway" / "keys" / "release.key"
        sign = [sys.executable, "-m", "model_signing", "sign", "key", "bundle", "--private_key", str(key)]
        signed = measured([*sign, "--signature", "model.sig"], place)
        return {
            **{name: added[name] + signed[name] for name in ("wall", "cpu")},
            "peak_mb": max(added["peak_mb"], signed["peak_mb"]),
            "dvc_cpu": added["cpu"],
            "signing_cpu": signed["cpu"],
        }

    return once


def sides(root: Path, scratch: Path) -> dict[str, Callable[[], dict[str, float]]]:
    """Name -> one run of it."""

    def own(*options: str) -> Callable[[], dict[str, float]]:
        def once() -> dict[str, float]:
            for name in ("work", "store"):
                shutil.rmtree(root / name, ignore_errors=True)
            return measured([sys.executable, __file__, "--one", str(root), *options], ROOT)

        return once

    return {"slipway": own(), "dvc + model_signing": peers(root, scratch), "slipway, no values": own("--no-values")}


def rows(measures: dict[str, list[dict[str, float]]], facts: dict[str, Any]) -> list[dict[str, Any]]:
    """Medians of each side, and the comparison."""
    medians = {
        side: {name: round(statistics.median(one[name] for one in runs), 3) for name in runs[0]}
        for side, runs in measures.items()
    }
    found = [
        facts
        | {"side": side}
        | {name if name == "peak_mb" else f"{name}_seconds": value for name, value in values.items()}
        for side, values in medians.items()
    ]
    mine, theirs = medians["slipway"], medians["dvc + model_signing"]
    pairs = zip(measures["slipway"], measures["dvc + model_signing"], strict=True)
    compared = {
        "reach": "wall <= 6 s; cpu ratio <= 0.75",
        "wall_seconds": mine["wall"],
        "cpu_ratio": round(mine["cpu"] / theirs["cpu"], 3),
        "cpu_ratio_of_each_round": [round(own["cpu"] / peer["cpu"], 3) for own, peer in pairs],
    }
    return [*found, facts | {"side": "compared"} | compared]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=1000)
    parser.add_argument("--shards", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--one", metavar="ROOT", help=argparse.SUPPRESS)
    parser.add_argument("--no-values", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        ours(Path(given.one), values=not given.no_values)
        return
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "project"
        # In a process of its own: what a child uses at most counts its parent's memory from before it began.
        maker = multiprocessing.get_context("spawn").Process(target=make, args=(root, given.megabytes, given.shards))
        maker.start()
        maker.join()
        if maker.exitcode:
            raise SystemExit("the bundle could not be made; see above")
        os.sync()
        measures: dict[str, list[dict[str, float]]] = {}
        for _ in range(given.rounds):
            for side, once in sides(root, Path(folder)).items():
                measures.setdefault(side, []).append(once())
        size = sum(path.stat().st_size for path in (root / "bundle").rglob("*") if path.is_file())
    facts = {
        "benchmark": "seal", "date": dt.datetime.now(tz=dt.UTC).date().isoformat(),
        "command": " ".join(["seal.py", *sys.argv[1:]]),
        "processor": platform.processor() or platform.machine(), "cpus": os.cpu_count(),
        "load": round(os.getloadavg()[1], 1), "bytes": size, "shards": given.shards, "rounds": given.rounds,
    }  # fmt: skip
    for row in rows(measures, facts):
        print(json.dumps(row))


if __name__ == "__main__":
    main()
