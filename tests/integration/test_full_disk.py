"""`acquire` on a disk that fills up: a clear message, and nothing half-written. Needs Linux and user namespaces."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]

SCRIPT = """
import sys
from pathlib import Path
from slipway.data.sources import acquire, fetch, write_lock
from slipway.errors import UserError
from slipway.recipe import load
from slipway.settings import Acquire

root = Path(sys.argv[1])
recipe = load(Path(sys.argv[2]) / "params.yaml")
source = {"kind": "jsonl", "name": "mine", "path": "rows.jsonl.gz", "licence": "MIT"}
section = Acquire.model_validate({"sources": (source,), "shard_characters": int(sys.argv[3])})
recipe = recipe.model_copy(update={"acquire": section})
write_lock(recipe, root, {})
try:
    acquire(recipe, root, fetch(recipe, root, {}), lambda *_: None)
except UserError as error:
    print(error)
print(sorted(path.name for path in (root / "data").rglob("*")))
"""


@pytest.mark.journey
@pytest.mark.parametrize("shard_characters", [10_000, 10_000_000])
def test_a_full_disk_is_told_and_nothing_is_half_written(tmp_path, shard_characters):
    import gzip
    import random

    words = random.Random(1)
    rows = (json.dumps({"text": f"{n} {words.getrandbits(4000):x}"}) for n in range(4000))
    (tmp_path / "rows.jsonl.gz").write_bytes(gzip.compress("\n".join(rows).encode()))
    (tmp_path / "run.py").write_text(SCRIPT)
    (tmp_path / "disk").mkdir()
    mount = f"mount -t tmpfs -o size=4m tmpfs {tmp_path}/disk && cp {tmp_path}/rows.jsonl.gz {tmp_path}/disk"
    script = f"{mount} && {sys.executable} {tmp_path}/run.py {tmp_path}/disk {PROJECT} {shard_characters}"
    done = subprocess.run(
        ["unshare", "--mount", "--map-root-user", "sh", "-ec", script], capture_output=True, text=True, check=False
    )
    if "unshare" in done.stderr or "mount:" in done.stderr:
        pytest.skip(f"no file system of our own here: {done.stderr.strip()}")
    said, _, left = done.stdout.strip().rpartition("\n")
    assert "the disk is full" in said, done
    assert left == "[]"
