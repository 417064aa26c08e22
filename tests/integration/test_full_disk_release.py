"""Sealing and publishing on a disk that fills up: told, the release before stays whole, and with space it goes on.

Needs Linux and user namespaces.
"""

import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]

SCRIPT = """
import sys
from pathlib import Path

from slipway.adapters.store import LocalStore
from slipway.errors import UserError
from slipway.release.reading import verify
from slipway.release.signing import keys
from slipway.release.bundle import manifest
from tests import publishers, release_project

full, here = Path(sys.argv[1]) / "disk", Path(sys.argv[1]) / "project"
which = sys.argv[2]
root = release_project.make(here)
public = keys.public_of(keys.signer(root))
store = LocalStore(full / "store")
work = here / "work" if which == "store" else full / "work"


def release():
    claim, staged = publishers.seal(root, store, "auto", work)
    publishers.publish.publish(
        store, claim, LocalStore(staged), keys.signer(root), channel="stable", expires_days=90
    )
    publishers.sealing.discard(work)


release()
(root / "bundle" / "model.safetensors").write_bytes(bytes(range(256)) * 16000)
manifest.write(root / "bundle", "tiny")
ballast = full / "ballast"
ballast.write_bytes(b"x" * (7 << 20))
try:
    release()
    print("released")
except (UserError, OSError) as error:
    print(type(error).__name__, error)
assert verify.verify_channel(store, "tiny", "stable", public).release.version == "v1"
assert "releases/tiny/v2/manifest.json" not in store.list("releases")
assert not [path for path in (full / "store" / ".tmp").iterdir()], "half a file was left"
ballast.unlink()
release()
assert verify.verify_channel(store, "tiny", "stable", public).release.version == "v2"
print("then released")
"""


@pytest.mark.journey
@pytest.mark.parametrize("which", ["work", "store"])
def test_a_full_disk_leaves_the_release_before_whole_and_is_told(tmp_path, which):
    (tmp_path / "run.py").write_text(SCRIPT)
    (tmp_path / "disk").mkdir()
    mount = f"mount -t tmpfs -o size=10m tmpfs {tmp_path}/disk"
    script = f"{mount} && {sys.executable} {tmp_path}/run.py {tmp_path} {which}"
    done = subprocess.run(
        ["unshare", "--mount", "--map-root-user", "sh", "-ec", script], capture_output=True, text=True, check=False,
        env={"PYTHONPATH": str(PROJECT), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}, cwd=tmp_path,
    )  # fmt: skip
    if "unshare" in done.stderr or "mount:" in done.stderr:
        pytest.skip(f"no file system of our own here: {done.stderr.strip()}")
    assert done.returncode == 0, done
    told = done.stdout.strip().splitlines()
    assert told[-1] == "then released", done
    assert "disk is full" in done.stdout or "No space left on device" in done.stdout, done
