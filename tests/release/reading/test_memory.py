"""What a reader has seen is not unseen: rolled-back and forked pointers are refused, hidden tombstones found."""

import json
import shutil
import threading
from datetime import UTC, datetime, timedelta

import pytest

from slipway.adapters.store import LocalStore
from slipway.errors import Refusal, UserError
from slipway.files import sha256_bytes
from slipway.release.publishing import moving, pointer
from slipway.release.reading import memory
from slipway.release.signing import keyring, keys, rotation
from slipway.release.withdrawal import tombstone, yank
from tests import release_project


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch):
    monkeypatch.setenv("SLIPWAY_STATE", str(tmp_path / "state"))
    return tmp_path / "state" / "seen.json"


@pytest.fixture
def two(site):
    """Two releases, and the pointer as it was after the first."""
    site.release()
    site.old = site.store.read("channels/tiny/stable.json")[0]
    release_project.bundle(site.root, card="# Second\n")
    site.release()
    return site


def follow(site, store=None, **more):
    store = store or site.store
    found = memory.follow(store, "tiny", "stable", site.public, **more)
    memory.note(store, site.public, found)
    return found


def put(site, data):
    site.store.swap("channels/tiny/stable.json", data, site.store.read("channels/tiny/stable.json")[1])


def test_an_old_pointer_is_refused_once_a_later_one_was_seen(two):
    present = two.store.read("channels/tiny/stable.json")[0]
    put(two, two.old)
    assert follow(two).version == "v1", "who has seen nothing cannot know"
    put(two, present)
    assert follow(two).version == "v2"
    put(two, two.old)
    with pytest.raises(Refusal, match=r"at change 1 \(v1\), but change 2 \(v2\) was seen .*rolled back.*SLIPWAY_STATE"):
        follow(two)
    assert [seen["serial"] for seen in json.loads(memory.place().read_text())["channels"].values()] == [2]


def test_a_slow_reader_is_no_rollback(two):
    """It read the pointer, then fetched for an hour; another one read a later pointer meanwhile and noted it."""
    present = two.store.read("channels/tiny/stable.json")[0]
    put(two, two.old)
    slow = memory.follow(two.store, "tiny", "stable", two.public)
    put(two, present)
    assert follow(two).version == "v2"
    memory.note(two.store, two.public, slow)
    assert [seen["serial"] for seen in json.loads(memory.place().read_text())["channels"].values()] == [2]


def test_going_back_after_a_withdrawal_is_no_rollback(two):
    follow(two)
    cause = yank.Cause("bad")
    yank.yank(two.store, "tiny", "v2", two.signer, cause=cause, preferred="stable", expires_days=90)
    assert follow(two).version == "v1"


def test_two_pointers_for_one_place_are_refused(two, tmp_path):
    follow(two)
    held = pointer.read_pointer(two.store, "tiny", "stable", two.public)
    mirror = LocalStore(tmp_path / "mirror")
    fork = held.model_copy(update={"version": "v1", "manifest_sha256": "00" * 32})
    assert moving.swap_pointer(mirror, fork, two.signer, None)
    with pytest.raises(Refusal, match=r"the same change named v2 .*two pointers were signed for one place"):
        follow(two, mirror)


def test_a_pointer_that_cannot_be_used_is_refused_and_says_why(two):
    with pytest.raises(Refusal, match="expired"):
        follow(two, now=datetime.now(UTC) + timedelta(days=91))
    with pytest.raises(Refusal, match=r"none\.json: the pointer is missing.*Channels of tiny here: stable"):
        memory.follow(two.store, "tiny", "none", two.public)


def test_another_key_another_memory(two, tmp_path):
    follow(two)
    other = release_project.key_pair(tmp_path / "other.key").with_suffix(".pub").read_bytes()
    assert len(json.loads(memory.place().read_text())["channels"]) == 1
    with pytest.raises(Refusal, match="does not fit the public key"):
        memory.follow(two.store, "tiny", "stable", other)


def test_a_hidden_tombstone_is_found_by_the_pointer_and_by_memory(two):
    memory.check_version(two.store, "tiny", "v2", two.public)
    cause = yank.Cause("bad")
    yank.yank(two.store, "tiny", "v2", two.signer, cause=cause, preferred="stable", expires_days=90)
    gone = two.store.root / "releases" / "tiny" / "v2" / "yanked.json"
    kept = gone.read_bytes()
    gone.unlink()
    with pytest.raises(Refusal, match=r"says its channel stable, but its tombstone is missing here; someone hides it"):
        memory.check_version(two.store, "tiny", "v2", two.public)
    memory.note_withdrawn(tombstone.read(kept, keyring.read(two.store, two.public)), two.public)
    (two.store.root / "channels" / "tiny" / "stable.json").unlink()
    with pytest.raises(Refusal, match=r"v2 was withdrawn \(bad\), as was seen here before"):
        memory.check_version(two.store, "tiny", "v2", two.public)
    assert memory.check_version(two.store, "tiny", "v1", two.public) == []


def test_a_place_that_cannot_be_written_is_a_warning(two, tmp_path, monkeypatch, capsys):
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("SLIPWAY_STATE", str(tmp_path / "file" / "below"))
    assert follow(two).version == "v2"
    assert "cannot be written (Not a directory)" in capsys.readouterr().err


def test_a_memory_that_was_cut_is_refused(two, state):
    follow(two)
    state.write_bytes(state.read_bytes()[:20])
    with pytest.raises(UserError, match=r"seen\.json: is no memory of what was seen"):
        follow(two)


def test_many_at_once_lose_nothing(two):
    held = pointer.read_pointer(two.store, "tiny", "stable", two.public)
    copies = [held.model_copy(update={"channel": f"c{number}"}) for number in range(24)]
    threads = [threading.Thread(target=memory.note, args=(two.store, two.public, copy)) for copy in copies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(json.loads(memory.place().read_text())["channels"]) == 24
    assert memory.place().stat().st_mode & 0o777 == 0o600


def test_where_it_lies(tmp_path, monkeypatch):
    monkeypatch.delenv("SLIPWAY_STATE")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert memory.place() == tmp_path / "slipway" / "seen.json"


def ask(store, public):
    return memory.ask(store, "tiny", None, public, channel="stable")


def test_a_hidden_key_log_is_found_by_memory(two, tmp_path):
    """Who stole a retired key signs anew with it, and hides the event that retired it: no signature tells."""
    mirror = LocalStore(tmp_path / "mirror")
    shutil.copytree(two.store.root, mirror.root)
    assert ask(mirror, two.public).log == ()
    new = keys.file_signer(release_project.key_pair(tmp_path / "new.key"))
    rotation.rotate(two.store, two.signer, new)
    assert len(ask(two.store, two.public).log) == 1
    held = pointer.read_pointer(mirror, "tiny", "stable", two.public)
    later = held.model_copy(update={"serial": held.serial + 5})
    assert moving.swap_pointer(mirror, later, two.signer, mirror.read("channels/tiny/stable.json")[1])
    for version in (None, "v1"):
        with pytest.raises(Refusal, match=r"0 key events, but 1 were seen before.*hides that a key was retired"):
            memory.ask(mirror, "tiny", version, two.public, channel="stable")
    other = keys.file_signer(release_project.key_pair(tmp_path / "thief.key"))
    rotation.rotate(mirror, two.signer, other)
    with pytest.raises(Refusal, match="1 key events, but 1 were seen before"):
        ask(mirror, two.public)


def test_another_store_of_the_present_key_may_begin_its_own_log(two, tmp_path):
    new = keys.file_signer(release_project.key_pair(tmp_path / "new.key"))
    public = keys.public_of(new)
    rotation.rotate(two.store, two.signer, new)
    ask(two.store, public)
    fresh = LocalStore(tmp_path / "rehearsal")
    assert memory.follow_log(fresh, public) == ()
    rotation.revoke(two.store, new, sha256_bytes(public), reason="lost", trusted={}, last=True)
    assert len(memory.follow_log(two.store, public)) == 2
    with pytest.raises(Refusal, match="hides that a key was retired or revoked"):
        memory.follow_log(fresh, public)


def test_a_copy_of_the_log_shows_what_the_store_hides(two, tmp_path):
    mirror = LocalStore(tmp_path / "mirror")
    shutil.copytree(two.store.root, mirror.root)
    rotation.rotate(two.store, two.signer, keys.file_signer(release_project.key_pair(tmp_path / "new.key")))
    log = keyring.read(two.store, two.public).log
    assert memory.ask(mirror, "tiny", None, two.public, channel="stable", log=log).log == log
    with pytest.raises(Refusal, match="0 key events, but 1 were seen before"):
        ask(mirror, two.public)


def test_a_version_is_not_used_where_a_channel_that_was_seen_is_hidden(two):
    follow(two)
    (two.store.root / "channels" / "tiny" / "stable.json").write_bytes(b"{}")
    with pytest.raises(Refusal, match=r"channel stable of tiny was seen before.*may say that v1 was withdrawn"):
        memory.check_version(two.store, "tiny", "v1", two.public)
    (two.store.root / "channels" / "tiny" / "stable.json").unlink()
    with pytest.raises(Refusal, match="channel stable of tiny was seen before"):
        memory.check_version(two.store, "tiny", "v1", two.public)
