"""Publishing 2 GB in 4 shards to an endpoint on loopback, against boto3's `upload_file` to the same endpoint.

Interleaved, each in a process of its own; seconds and CPU seconds are the client's, from the first request to the last
answer. `send` is what stands against `upload_file`: the shards arrive, nothing else. `check_and_send` is publishing
until it begins to read back: the signature is checked, every file is compared with it (those that sealing hashed and
that are as they were, by all that the file system says, without reading them), and sent. `hash_and_send` is the same
where that cannot be said, e.g. of a copy: all is hashed. `publish` is all of it, to an endpoint that keeps what it
gets: checked, sent, read back and hashed, the channel moved. `again` is the same release once more. Sealing, which
copies and hashes once for the signature, is in none of them; benchmarks/seal.py measures it.

    python benchmarks/publish.py [--rounds 5] [--folder /var/tmp] >> benchmarks/results/publish.jsonl
"""

import argparse
import datetime as dt
import http.client
import json
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from slipway.adapters.store import LocalStore
    from slipway.release.publishing.claim import Claim
    from tests.release.conftest import Site

ROOT = Path(__file__).parents[1]
SHARDS, SHARD = 4, 512 << 20


def measured(work: Callable[[], object]) -> dict[str, float]:
    """Wall and CPU seconds of this process, and its largest memory."""
    began, cpu = time.perf_counter(), time.process_time()
    work()
    took = {"wall_s": time.perf_counter() - began, "cpu_s": time.process_time() - cpu}
    return took | {"peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def shards(folder: Path) -> list[Path]:
    """The shards, made on the first call."""
    paths = [folder / "shards" / f"model-{number + 1:05d}-of-{SHARDS:05d}.safetensors" for number in range(SHARDS)]
    for path in paths:
        if not path.exists():
            path.parent.mkdir(exist_ok=True)
            with path.open("wb") as stream:
                for _ in range(SHARD >> 20):
                    stream.write(os.urandom(1 << 20))
    return paths


def boto3_upload(folder: Path, name: str) -> dict[str, float]:
    """`upload_file` of each shard, as it comes."""
    import boto3

    client = boto3.client("s3")
    client.list_objects_v2(Bucket="bench", Prefix=name)  # connected, as ours is

    def work() -> None:
        for path in shards(folder):
            client.upload_file(str(path), "bench", f"{name}/{path.name}")

    return measured(work)


def sending(folder: Path, name: str) -> dict[str, float]:
    """The store's `create` of each shard."""
    from slipway.adapters.store import S3Store

    store = S3Store("bench", name, journal=folder / "uploads")
    store.capabilities()

    def work() -> None:
        for path in shards(folder):
            store.create(path.name, path, sha256="00" * 32)

    return measured(work)


def sealed(folder: Path, name: str) -> "tuple[Site, Claim, LocalStore]":
    """A project whose release of these shards is sealed, for an endpoint that has nothing of it yet."""
    from slipway.adapters.store import LocalStore, S3Store
    from slipway.release.bundle import manifest
    from tests import release_project
    from tests.release.conftest import Site

    root = release_project.make(folder / "projects" / name)
    site = Site(root, S3Store("bench", name, journal=folder / "uploads"))
    for path in shards(folder):
        os.link(path, root / "bundle" / path.name)
    (root / "bundle" / manifest.NAME).unlink()
    manifest.write(root / "bundle", "tiny")
    claim = site.seal()
    return site, claim, LocalStore(site.staged(claim))


def arriving(folder: Path, name: str, *, noted: bool) -> dict[str, float]:
    """Publishing until all is to be read back; without what sealing had `noted`, all is hashed before."""
    from slipway.release.publishing import noted as notes
    from slipway.release.publishing import publish

    site, claim, staged = sealed(folder, name)
    if not noted:
        notes.path_of(staged.root).unlink()

    class Arrived(Exception):
        """All has been sent; now it would be read back."""

    def stop(_: str) -> None:
        raise Arrived

    def work() -> None:
        site.store.open = stop
        with suppress(Arrived):
            publish.publish(site.store, claim, staged, site.signer, channel="stable", expires_days=90)

    before = _received()
    found = measured(work)
    if _received() - before < SHARDS * SHARD:
        raise SystemExit("the shards did not arrive")
    return found


def whole(folder: Path, name: str) -> dict[str, dict[str, float]]:
    """Publish a release of these shards, and once more."""
    from slipway.release.publishing import publish

    site, claim, staged = sealed(folder, name)
    told = {"channel": "stable", "expires_days": 90, "seen": folder / "seen"}
    got = []

    def work() -> None:
        got.append(publish.publish(site.store, claim, staged, site.signer, **told))

    first = measured(work)
    received = _received()
    second = measured(work)
    if got[0].sent_bytes < SHARDS * SHARD or got[1].sent_bytes:
        raise SystemExit(f"not what was to be measured: {got}")
    return {"publish": first, "again": second | {"sent_bytes": float(_received() - received)}}


def _received() -> int:
    connection = http.client.HTTPConnection(os.environ["AWS_ENDPOINT_URL"].removeprefix("http://"))
    connection.request("POST", "/_count", b"")
    return int(connection.getresponse().read())


def child(what: str) -> dict:
    """Run one measurement in a process of its own."""
    code = f"from benchmarks import publish as p; from pathlib import Path; import json; print(json.dumps({what}))"
    environment = os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'src'}"}
    done = subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.PIPE, env=environment, cwd=ROOT)
    found: dict = json.loads(done.stdout.splitlines()[-1])
    return found


def sink(*arguments: str) -> subprocess.Popen:
    """Start an endpoint and point boto3 at it; it ends with this process."""
    command = [sys.executable, str(ROOT / "benchmarks" / "publish_sink.py"), *arguments]
    started = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    port = started.stdout.readline().strip() if started.stdout else ""
    os.environ["AWS_ENDPOINT_URL"] = f"http://127.0.0.1:{port}"
    return started


def one_round(folder: Path, number: int) -> dict[str, dict[str, float]]:
    """Each once, one after the other; name -> what it took."""
    at, found = f"Path({str(folder)!r})", {}
    throwing = sink()
    found["boto3"] = child(f"p.boto3_upload({at}, 'b{number}')")
    found["send"] = child(f"p.sending({at}, 's{number}')")
    for name, noted in (("check_and_send", True), ("hash_and_send", False)):
        found[name] = child(f"p.arriving({at}, '{name}{number}', noted={noted})")
        shutil.rmtree(folder / "projects")
    throwing.kill()
    keeping = sink("--keep", str(folder / "kept"))
    found |= child(f"p.whole({at}, 'w{number}')")
    keeping.kill()
    for name in ("projects", "kept"):
        shutil.rmtree(folder / name)
    return found


def main() -> None:
    """Measure; one JSON line on stdout."""
    parser = argparse.ArgumentParser(description="Publishing against boto3's upload_file.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    arguments = parser.parse_args()
    os.environ |= {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_DEFAULT_REGION": "us-east-1"}
    with tempfile.TemporaryDirectory(dir=arguments.folder) as temporary:
        folder, runs = Path(temporary), defaultdict(list)
        shards(folder)
        for number in range(arguments.rounds):
            for name, took in one_round(folder, number).items():
                runs[name].append(took)
    print(json.dumps(summary(runs, arguments.rounds)))


def summary(runs: dict[str, list[dict[str, float]]], rounds: int) -> dict:
    """Medians of all rounds, and how they compare with boto3's."""
    medians = {
        name: {key: round(statistics.median(run[key] for run in found), 3) for key in found[0]}
        for name, found in runs.items()
    }
    ratios = {
        name: {key: round(medians["boto3"][key] / medians[name][key], 2) for key in ("wall_s", "cpu_s")}
        for name in ("send", "check_and_send", "hash_and_send", "publish")
    }
    return {
        "benchmark": "publish", "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "command": " ".join(["python", *sys.argv]), "bytes": SHARDS * SHARD, "shards": SHARDS, "rounds": rounds,
        "medians": medians, "boto3_over_ours": ratios,
        "walls_s": {name: [round(run["wall_s"], 2) for run in found] for name, found in runs.items()},
        "machine": f"{platform.machine()}, {os.cpu_count()} cores", "python": platform.python_version(),
        "boto3": version("boto3"), "awscrt": find_spec("awscrt") is not None,
    }  # fmt: skip


if __name__ == "__main__":
    main()
