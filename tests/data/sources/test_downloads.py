"""Downloads: kept by content, whole or not at all, checked each time, one at a time."""

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from slipway.data.sources.downloads import Downloads
from slipway.errors import Refusal, UserError
from slipway.files import Listed, sha256_bytes
from tests.data.sources.places import Place

ROOT = Path(__file__).parents[3]
DATA = b"some rows\n"
FILE = Listed("s3://b/rows.jsonl", len(DATA), sha256_bytes(DATA))


def kept(root):
    return sorted(path.name for path in (root / ".slipway" / "inputs").iterdir() if path.name != ".lock")


def test_what_is_kept_is_not_fetched_again_and_progress_is_told(tmp_path):
    place, told = Place({FILE.path: DATA}), []
    downloads = Downloads(tmp_path, {"s3": place}, lambda *note: told.append(note))
    assert downloads.locked(FILE, place).read_bytes() == DATA
    assert downloads.locked(FILE, place).read_bytes() == DATA
    assert len(place.fetched) == 1
    assert told == [(len(DATA), len(DATA), FILE.path)]
    assert kept(tmp_path) == [FILE.sha256]


def test_a_kept_file_that_was_damaged_is_fetched_again(tmp_path):
    place = Place({FILE.path: DATA})
    downloads = Downloads(tmp_path, {"s3": place})
    downloads.locked(FILE, place).write_bytes(b"SOME rows\n")
    assert downloads.locked(FILE, place).read_bytes() == DATA


def test_other_bytes_are_refused_with_both_digests_and_not_taken_for_the_locked_ones(tmp_path):
    place = Place({FILE.path: b"other row\n"})
    with pytest.raises(Refusal) as error:
        Downloads(tmp_path, {"s3": place}).locked(FILE, place)
    assert FILE.sha256 in str(error.value)
    assert sha256_bytes(b"other row\n") in str(error.value)
    assert "accept it: slipway lock" in str(error.value)
    assert FILE.sha256 not in kept(tmp_path)


def test_a_full_disk_is_said_before_anything_is_fetched(tmp_path):
    place = Place()
    with pytest.raises(UserError, match=r"s3://b/huge: has 1,[0,]+ bytes, but .* has [\d,]+ free"):
        Downloads(tmp_path, {"s3": place}).take(Listed("s3://b/huge", 10**18), place)
    assert not place.fetched


def test_two_runs_at_once_fetch_once(tmp_path):
    class Slow(Place):
        def fetch(self, *arguments):
            time.sleep(0.2)
            super().fetch(*arguments)

    place, found = Slow({FILE.path: DATA}), []
    runs = [
        threading.Thread(target=lambda: found.append(Downloads(tmp_path, {"s3": place}).locked(FILE, place)))
        for _ in range(3)
    ]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    assert [path.read_bytes() for path in found] == [DATA] * 3
    assert len(place.fetched) == 1


KILLED = """
import os, sys, signal
from pathlib import Path
from slipway.data.sources.downloads import Downloads
from tests.data.sources.places import Place
from slipway.files import Listed

class Dying(Place):
    def fetch(self, file, revision, target, note):
        target.write_bytes(self.files[file.path][:4])
        (target.parent / ".part.Ab1").write_bytes(b"half of a range")
        (target.parent / ".part.hub" / "cache").mkdir(parents=True)
        os.kill(os.getpid(), signal.SIGKILL)

place = Dying({"s3://b/rows.jsonl": b"some rows\\n"})
Downloads(Path(sys.argv[1]), {"s3": place}).take(Listed("s3://b/rows.jsonl", 10), place)
"""


def test_after_a_kill_the_next_run_cleans_up_and_fetches(tmp_path):
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], cwd=ROOT, check=False)
    assert done.returncode == -9
    assert kept(tmp_path) == [".part", ".part.Ab1", ".part.hub"]
    place = Place({FILE.path: DATA})
    assert Downloads(tmp_path, {"s3": place}).locked(FILE, place).read_bytes() == DATA
    assert kept(tmp_path) == [FILE.sha256]
