"""What sealing hashed is not hashed again before it is sent, unless anything about the file is not as it was then."""

import os
import shutil
import threading
import time

import pytest

from slipway.adapters.store import LocalStore
from slipway.errors import Refusal
from slipway.files import copy_tree, sha256_file
from slipway.release.publishing import noted, publish
from slipway.release.reading import verify
from tests.counting_store import Counting


def send(site, claim, staged):
    return publish.publish(site.store, claim, staged, site.signer, channel="stable", expires_days=90)


def sealed(site):
    """A sealed release whose files are older than the notes on them, by the clock's own grain."""
    claim = site.seal()
    time.sleep(0.02)
    path = noted.path_of(site.staged(claim))
    path.chmod(0o600)  # sets its time
    return claim, site.staged(claim)


def test_what_was_hashed_for_the_signature_is_not_read_before_it_is_sent(site):
    claim, staged = sealed(site)
    counting = Counting(staged)
    assert send(site, claim, counting).pointer == "moved"
    # What sealing made after the copy; all of it is small.
    assert set(counting.opened) == {"statement.json", "model.sig", "GATE.html"}
    verify.verify_channel(site.store, "tiny", "stable", site.public)


def alter(path):
    """One byte, in place; the times of the file are set back to what they were."""
    before = path.stat()
    with path.open("r+b") as stream:
        first = stream.read(1)
        stream.seek(0)
        stream.write(bytes([first[0] ^ 1]))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)


def replace(path):
    """Another file of this size in its place, with its times."""
    before = path.stat()
    other = path.with_name("other")
    other.write_bytes(bytes(before.st_size))
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.replace(path)


def through_a_link(path):
    """Through another name, which is removed again."""
    other = path.with_name("other")
    os.link(path, other)
    alter(other)
    other.unlink()


@pytest.mark.parametrize("how", [alter, replace, through_a_link])
def test_a_change_whose_time_was_set_back_is_refused_before_anything_is_sent(site, how):
    claim, staged = sealed(site)
    how(staged / "model.safetensors")
    with pytest.raises(Refusal, match=r"model\.safetensors: sha256 is .*Nothing was sent"):
        send(site, claim, LocalStore(staged))
    assert site.store.list("releases") == {}
    assert site.store.list("channels") == {}


def test_a_copy_of_the_staged_directory_is_hashed_for_it_is_other_files(site, tmp_path):
    claim, staged = sealed(site)
    counting = Counting(shutil.copytree(staged, tmp_path / "copy"))
    shutil.copy2(noted.path_of(staged), noted.path_of(counting.root))
    assert noted.unchanged(counting.root) == {}
    send(site, claim, counting)
    assert "model.safetensors" in counting.opened


@pytest.mark.parametrize(
    "notes", [None, b"", b"[]", b'{"model.safetensors": 5}', b'{"model.safetensors": {}}', b"\xff"]
)
def test_without_notes_that_can_be_read_all_is_hashed(site, notes):
    claim, staged = sealed(site)
    noted.path_of(staged).unlink()
    if notes is not None:
        noted.path_of(staged).write_bytes(notes)
    counting = Counting(staged)
    send(site, claim, counting)
    assert "model.safetensors" in counting.opened


def test_a_wrong_digest_in_the_notes_releases_nothing(site):
    """Whoever can write the notes can make us send a wrong byte; it is read back before the manifest is written."""
    claim, staged = sealed(site)
    good = sha256_file(staged / "model.safetensors")
    alter(staged / "model.safetensors")
    copies = {"model.safetensors": noted.Copied(good, noted.identity(staged / "model.safetensors"))}
    time.sleep(0.02)
    noted.write(staged, copies)
    with pytest.raises(Refusal, match=r"model\.safetensors: sha256 is .*The channel was not moved"):
        send(site, claim, LocalStore(staged))
    assert site.store.list("channels") == {}
    assert "releases/tiny/v1/manifest.json" not in site.store.list("releases")


def test_a_file_as_young_as_the_notes_is_hashed(site):
    """Its times would not show a change that follows at once."""
    claim, staged = sealed(site)
    copies = copy_tree(site.root / "bundle", staged)
    young = noted.path_of(staged)
    noted.write(staged, copies)
    newest = max((staged / path).stat().st_ctime_ns for path in copies)
    found = noted.unchanged(staged)
    late = {path for path in copies if (staged / path).stat().st_ctime_ns >= young.stat().st_ctime_ns}
    assert found.keys() == copies.keys() - late
    assert newest <= young.stat().st_ctime_ns
    assert claim.version == "v1"


def test_what_is_changed_while_it_is_copied_is_not_taken_for_what_was_hashed(tmp_path):
    """The identity is that of the end of the copy: a later change shows, an earlier one is in the digest or shows."""
    source = tmp_path / "from"
    source.mkdir()
    (source / "big").write_bytes(bytes(8 << 20))
    target = tmp_path / "to"
    stop = threading.Event()

    def meddle() -> None:
        while not stop.is_set():
            if (target / "big").exists():
                with (target / "big").open("r+b") as stream:
                    stream.write(b"evil")
            time.sleep(0.001)

    thread = threading.Thread(target=meddle)
    thread.start()
    copies = copy_tree(source, target)
    time.sleep(0.05)
    stop.set()
    thread.join()
    noted.write(target, copies)
    assert noted.unchanged(target) == {}
