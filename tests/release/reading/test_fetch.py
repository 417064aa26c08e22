"""Fetching: whole and verified or not there at all; taken up after a kill; what lies here is used again."""

import os
import shutil
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from slipway.adapters.store import LocalStore, S3Store
from slipway.errors import Refusal, UserError
from slipway.release.reading import download, fetch, verify
from slipway.release.signing import signature
from slipway.release.withdrawal import yank
from tests import release_project


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch):
    monkeypatch.setenv("SLIPWAY_STATE", str(tmp_path / "state"))


@pytest.fixture
def two(site):
    site.release()
    release_project.bundle(site.root, card="# Second\n")
    site.release()
    return site


def bring(site, target, version=None, store=None, **more):
    return fetch.fetch(store or site.store, "tiny", version, target, site.public, channel="stable", **more)


def left(folder):
    """What lies beside the directory that was asked for."""
    return sorted(path.name for path in folder.iterdir())


def test_what_the_channel_names_arrives_whole(two, tmp_path):
    to = tmp_path / "to" / "tiny"
    told = []
    found = bring(two, to, begin=lambda total: lambda count: told.append((count, total)))
    assert (found.version, found.state, found.reused, found.taken_up) == ("v2", "new", 0, 0)
    assert verify.verify(LocalStore(to), "", two.public).release.version == "v2"
    assert sum(count for count, _ in told) == told[0][1] == found.sent
    assert left(to.parent) == ["tiny"]
    assert (to / "model.safetensors").stat().st_nlink == 1
    assert bring(two, tmp_path / "v1", "v1").version == "v1"


def test_what_lies_here_is_used_again(two, tmp_path):
    to = tmp_path / "tiny"
    bring(two, to, "v1")
    weights = (to / "model.safetensors").stat().st_ino
    found = bring(two, to)
    assert (found.version, found.state) == ("v2", "changed")
    assert found.reused > (to / "model.safetensors").stat().st_size
    assert (to / "model.safetensors").stat().st_ino == weights
    assert (to / "model.safetensors").stat().st_nlink == 1
    again = bring(two, to)
    assert (again.state, again.sent) == ("unchanged", 0)
    release_project.flip(to / "README.md")
    mended = bring(two, to)
    assert (mended.state, mended.sent) == ("changed", (to / "README.md").stat().st_size)
    verify.verify(LocalStore(to), "", two.public)


def test_a_directory_of_its_own_for_each_version_copies_from_the_others(two, tmp_path):
    bring(two, tmp_path / "tiny-v1", "v1")
    (tmp_path / "tiny-mine").mkdir()
    (tmp_path / "tiny-mine" / "notes.txt").write_text("mine")
    release_project.flip(tmp_path / "tiny-v1" / "records" / "train.json")
    beside = sorted(tmp_path.glob("tiny-*"))
    found = bring(two, lambda version: tmp_path / f"tiny-{version}", beside=beside)
    assert found.directory == str(tmp_path / "tiny-v2")
    weights = tmp_path / "tiny-v2" / "model.safetensors"
    assert found.reused > weights.stat().st_size > 0
    assert weights.stat().st_nlink == 1, "whoever edits one must not change the other"
    assert found.sent > (tmp_path / "tiny-v2" / "records" / "train.json").stat().st_size
    verify.verify(LocalStore(tmp_path / "tiny-v2"), "", two.public)


@pytest.mark.parametrize("what", ["file", "folder", "added", "link", "other name", "other key"])
def test_what_is_not_ours_is_not_touched(two, tmp_path, what):
    to = tmp_path / "tiny"
    if what == "file":
        to.write_text("mine")
    elif what == "folder":
        to.mkdir()
        (to / "mine.txt").write_text("mine")
    elif what == "link":
        (tmp_path / "real").mkdir()
        to.symlink_to(tmp_path / "real")
        (tmp_path / "real" / "mine.txt").write_text("mine")
    else:
        bring(two, to, "v1")
        if what == "added":
            (to / "mine.txt").write_text("mine")
        elif what == "other name":
            (to / "manifest.json").write_text((to / "manifest.json").read_text().replace("tiny", "other"))
        else:
            release_project.flip(to / "model.sig")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(Refusal, match=r"nothing was changed"):
        bring(two, to)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_the_refusals(two, tmp_path):
    to = tmp_path / "tiny"
    with pytest.raises(Refusal, match="expired"):
        bring(two, to, now=datetime.now(UTC) + timedelta(days=91))
    with pytest.raises(UserError, match=r"v9: no such release"):
        bring(two, to, "v9")
    old = two.store.read("channels/tiny/stable.json")
    bring(two, to)
    shutil.rmtree(to)
    cause = yank.Cause("bad")
    yank.yank(two.store, "tiny", "v2", two.signer, cause=cause, preferred="stable", expires_days=90)
    with pytest.raises(Refusal, match=r"v2 was withdrawn on .*: bad; use v1 instead"):
        bring(two, to, "v2")
    assert bring(two, to).version == "v1"
    shutil.rmtree(to)
    two.store.swap("channels/tiny/stable.json", old[0], two.store.read("channels/tiny/stable.json")[1])
    for version in (None, "v2"):
        with pytest.raises(Refusal, match="rolled back"):
            bring(two, to, version)
    assert not to.exists()


@pytest.mark.parametrize("name", ["model.safetensors", "README.md", "statement.json", "manifest.json", "model.sig"])
def test_an_altered_file_is_refused_and_nothing_is_left_under_the_name(two, tmp_path, name):
    release_project.flip(two.store.root / "releases" / "tiny" / "v2" / name)
    with pytest.raises(Refusal, match=rf"v2/{name}"):
        bring(two, tmp_path / "tiny")
    assert not (tmp_path / "tiny").exists()


def test_added_missing_and_swapped_files_are_refused(two, tmp_path):
    place = two.store.root / "releases" / "tiny"
    (place / "v2" / "evil.py").write_text("x")
    with pytest.raises(Refusal, match=r"evil\.py: not covered by the signature"):
        bring(two, tmp_path / "tiny")
    (place / "v2" / "evil.py").unlink()
    (place / "v2" / "config.json").unlink()
    with pytest.raises(Refusal, match=r"config\.json: signed, but missing here"):
        bring(two, tmp_path / "tiny")
    shutil.rmtree(place / "v2")
    shutil.copytree(place / "v1", place / "v2")
    for version in (None, "v2"):
        with pytest.raises(Refusal, match="not the one that was asked for"):
            bring(two, tmp_path / "tiny", version)
    assert not (tmp_path / "tiny").exists()


class Pieces:
    """A store that reads ranges, counts what was read, and breaks off or lies where it is told to."""

    def __init__(self, store, stop_after=None):
        self._store, self.url, self.read_bytes, self._left = store, store.url, 0, stop_after

    def __getattr__(self, name):
        return getattr(self._store, name)

    def open_range(self, key, start, length):
        import io

        if self._left is not None:
            self._left -= 1
            if self._left < 0:
                raise ConnectionError("gone")
        self.read_bytes += length
        data = self._store.read(key)[0][start : start + length]
        return io.BytesIO(data)


def get(store, folder, wanted, **more):
    return download.Download(store, folder, lambda _: None, piece=1000).run(wanted, {}, **more)


@pytest.fixture
def big(tmp_path):
    """A store with a file of 10 pieces and one of 2."""
    from slipway.files import sha256_bytes

    store = LocalStore(tmp_path / "store")
    wanted = []
    for name, size in (("a", 9_500), ("b", 1_001), ("c", 0), ("d/e", 17)):
        data = bytes(i * 7 % 251 for i in range(size))
        store.create(f"x/{name}", data)
        wanted.append(download.Wanted(name, sha256_bytes(data), size, f"x/{name}"))
    return store, wanted


def test_pieces_are_taken_up_after_a_break(big, tmp_path):
    store, wanted = big
    with pytest.raises(ConnectionError):
        get(Pieces(store, 6), tmp_path / "work", wanted, workers=2)
    assert not (tmp_path / "work" / "tree" / "a").exists()
    counted = Pieces(store)
    tally = get(counted, tmp_path / "work", wanted, workers=2)
    assert tally.taken_up in {5000, 6000}, "the piece of the other worker may have been on its way"
    assert counted.read_bytes == 9_500 + 1_001 - tally.taken_up
    assert sorted(p.name for p in (tmp_path / "work" / "tree").rglob("*") if p.is_file()) == ["a", "b", "c", "e"]
    assert not list((tmp_path / "work" / "parts").iterdir())


def test_pieces_that_were_damaged_meanwhile_cost_that_file_again_and_no_more(big, tmp_path):
    store, wanted = big
    with pytest.raises(ConnectionError):
        get(Pieces(store, 6), tmp_path / "work", wanted, workers=1)
    part = tmp_path / "work" / "parts" / download._name(wanted[0])
    with part.open("r+b") as stream:
        stream.write(b"\xff")
    tally = get(Pieces(store), tmp_path / "work", wanted, workers=1)
    assert tally.sent + tally.reused == (9_500 - 6_000) + 9_500 + 1_001 + 17
    assert (tmp_path / "work" / "tree" / "a").read_bytes() == store.read("x/a")[0]


def test_a_file_that_is_never_as_signed_is_refused(big, tmp_path):
    store, wanted = big
    wrong = [wanted[0]._replace(sha256="00" * 32)]
    with pytest.raises(Refusal, match=r"x/a: sha256 is .* but 0000"):
        get(Pieces(store), tmp_path / "work", wrong)
    short = [wanted[1]._replace(bytes=2_000)]
    with pytest.raises(Refusal, match=r"x/b: ends 999 bytes before"):
        get(Pieces(store), tmp_path / "work", short)


def test_two_files_with_one_content_are_both_read(two, tmp_path):
    """Else a file that was altered in the store would pass for its twin, and the nightly look would not see it."""
    place = two.store.root / "releases" / "tiny" / "v2"
    assert (place / "inputs.lock").read_bytes() == (place / "config.json").read_bytes()
    release_project.flip(place / "config.json")
    with pytest.raises(Refusal, match=r"config\.json: sha256 is"):
        bring(two, tmp_path / "tiny")


def test_no_room_is_told_before_anything_is_fetched(two, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(1, 1, 1000))
    with pytest.raises(UserError, match=r"bytes are to be fetched, but the disk has 1,000 free"):
        bring(two, tmp_path / "tiny")


def test_only_one_fetch_at_a_time(two, tmp_path):
    from filelock import FileLock

    (tmp_path / ".tiny.fetching").mkdir()
    with FileLock(tmp_path / ".tiny.fetching" / "lock"), pytest.raises(UserError, match="another `slipway fetch`"):
        bring(two, tmp_path / "tiny")


CODE = """
import sys, time
from pathlib import Path
from slipway.adapters.store import LocalStore
from slipway.release.reading import download, fetch
store = LocalStore(sys.argv[1])
class Slow:
    url = store.url
    def __getattr__(self, name):
        return getattr(store, name)
    def open_range(self, key, start, length):
        time.sleep(0.02)
        stream = store.open(key)
        stream.seek(start)
        return stream
download.PIECE = 2000
download.Download.__init__.__defaults__ = (2000,)
fetch.fetch(Slow(), "tiny", None, Path(sys.argv[2]), Path(sys.argv[3]).read_bytes(), channel="stable")
print("done")
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_killed_anywhere_the_name_is_whole_or_absent_and_a_rerun_carries_on(two, tmp_path, how):
    to = tmp_path / "tiny"
    (tmp_path / "key.pub").write_bytes(two.public)
    arguments = [sys.executable, "-c", CODE, str(two.store.root), str(to), str(tmp_path / "key.pub")]
    environment = dict(os.environ) | {"PYTHONPATH": str(Path(__file__).parents[2])}
    for delay in (0.3, 0.45, 0.6, 0.75):
        running = subprocess.Popen(arguments, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        time.sleep(delay)
        running.send_signal(how)
        running.wait(timeout=20)
        if to.exists():
            verify.verify(LocalStore(to), "", two.public)
            shutil.rmtree(to)
    bring(two, to)
    verify.verify(LocalStore(to), "", two.public)
    assert left(tmp_path) == sorted(["key.pub", "project", "state", "store", "tiny"])


def test_from_s3_in_pieces(two, tmp_path, monkeypatch):
    import boto3
    from moto import mock_aws

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.setattr(download.Download.__init__, "__defaults__", (5000,))
    with mock_aws():
        client = boto3.client("s3")
        client.create_bucket(Bucket="models")
        for key in two.store.list():
            if not key.startswith("."):
                client.put_object(Bucket="models", Key=f"team/{key}", Body=two.store.read(key)[0])
        found = bring(two, tmp_path / "tiny", store=S3Store("models", "team"))
        assert (found.version, found.state) == ("v2", "new")
        verify.verify(LocalStore(tmp_path / "tiny"), "", two.public)
        body = client.get_object(Bucket="models", Key="team/releases/tiny/v2/config.json")["Body"].read()
        client.put_object(Bucket="models", Key="team/releases/tiny/v2/config.json", Body=body[:-1] + b"x")
        with pytest.raises(Refusal, match=r"v2/config\.json: sha256 is"):
            bring(two, tmp_path / "other", store=S3Store("models", "team"))


def test_a_release_that_is_withdrawn_meanwhile_does_not_arrive(two, tmp_path):
    def begin(_):
        cause = yank.Cause("bad")
        yank.yank(two.store, "tiny", "v2", two.signer, cause=cause, preferred="stable", expires_days=90)
        return lambda _: None

    with pytest.raises(Refusal, match=r"v2 was withdrawn on .*: bad; use v1 instead"):
        bring(two, tmp_path / "tiny", begin=begin)
    assert not (tmp_path / "tiny").exists()


def test_a_workplace_that_somebody_else_can_write_is_refused(two, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    work = tmp_path / ".tiny.fetching"
    work.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Refusal, match=r"\.tiny\.fetching: a link, or others may write there"):
        bring(two, tmp_path / "tiny")
    work.unlink()
    work.mkdir()
    work.chmod(0o777)
    with pytest.raises(Refusal, match="others may write there"):
        bring(two, tmp_path / "tiny")
    assert not (tmp_path / "tiny").exists()
    assert not any((tmp_path / "elsewhere").iterdir())


def test_what_lay_there_comes_back_after_a_kill_between_the_two_moves(two, tmp_path):
    to = tmp_path / "tiny"
    bring(two, to, "v1")
    (tmp_path / ".tiny.fetching").mkdir(mode=0o700)
    to.replace(tmp_path / ".tiny.fetching" / "old")
    with pytest.raises(RuntimeError, match="no network"):
        bring(two, to, begin=failing)
    assert verify.verify(LocalStore(to), "", two.public).release.version == "v1"


def failing(_):
    raise RuntimeError("no network")


def test_a_signed_name_outside_of_the_release_is_refused(two, tmp_path):
    """Only the publisher could sign it; but a file system is not what his key is trusted with."""
    place = two.store.root / "releases" / "tiny" / "v2"
    signed = verify.signed_files(two.store, "releases/tiny/v2", two.public)
    statement = signature._statement("v2", signed | {"../evil.py": "00" * 32})
    (place / "model.sig").write_bytes(signature._bundle(statement, two.signer))

    class Flat(LocalStore):
        """As S3 lists it, which knows no folders."""

        def list(self, prefix=""):
            return super().list(prefix) | ({f"{prefix}/../evil.py": 1} if prefix.endswith("v2") else {})

    with pytest.raises(Refusal, match=r"its signature names '../evil.py', which is not inside the release"):
        bring(two, tmp_path / "tiny", store=Flat(two.store.root))
    assert not (tmp_path / "evil.py").exists()
