"""A publisher's memory: an old pointer put back is not carried on; a restored store goes on after all that was seen."""

import json
import shutil

import pytest

from slipway.adapters.store import LocalStore
from slipway.errors import Refusal, UserError
from slipway.files import sha256_bytes
from slipway.release.publishing import claim as claiming
from slipway.release.publishing import moving, pointer, recall
from slipway.release.reading import book, memory
from slipway.release.signing import keys, rotation
from slipway.release.withdrawal import yank
from tests import release_project

KEY = "channels/tiny/stable.json"


@pytest.fixture
def three(site):
    """Three releases, the last one withdrawn; and the channel as it was at each change."""
    site.past = {}
    for card in ("# One\n", "# Two\n", "# Three\n"):
        release_project.bundle(site.root, card=card)
        site.release()
        keep(site)
    withdraw(site, "v3")
    keep(site)
    return site


def keep(site):
    site.past[named(site).serial] = site.store.read(KEY)[0]


def put(site, serial):
    """What whoever may write to the store can do: an earlier state of the channel, correctly signed."""
    (site.store.root / KEY).write_bytes(site.past[serial])


def withdraw(site, version):
    cause = yank.Cause("bad")
    return yank.yank(site.store, "tiny", version, site.signer, cause=cause, preferred="stable", expires_days=90)


def named(site, channel="stable"):
    return pointer.read_pointer(site.store, "tiny", channel, site.public)


def release(site, card="# Next\n"):
    release_project.bundle(site.root, card=card)
    return site.release()


def test_an_old_pointer_put_back_stops_the_next_release_before_it_claims(three):
    put(three, 3)
    held = three.store.read(KEY)
    with pytest.raises(
        Refusal, match=r"is at change 3 \(v3\), but change 4 \(v2\) was here on .*SLIPWAY_RESTORED=tiny/stable@3"
    ):
        release(three)
    with pytest.raises(Refusal, match="nothing was signed over it"):
        recall.held(three.store, "tiny", "stable", three.public)
    assert three.store.read(KEY) == held
    assert len(three.store.list("claims")) == 3
    put(three, 4)
    assert release(three).version == "v4"
    assert named(three).withdrawn == ("v3",)


def test_a_withdrawal_signs_over_no_old_pointer_and_withdraws_all_the_same(three):
    put(three, 2)
    done = withdraw(three, "v1")
    assert done.channels == ()
    assert ["is at change 2 (v2), but change 4" in fault for fault in done.unlike] == [True]
    assert "releases/tiny/v1/yanked.json" in three.store.list("releases/tiny/v1")
    assert named(three).serial == 2, "it was not signed anew"
    put(three, 4)
    assert (withdraw(three, "v1").unlike, named(three).withdrawn) == ((), ("v1", "v3"))


def test_a_replacement_that_is_known_to_be_withdrawn_is_not_recommended(three):
    """Pointer and tombstone of the withdrawn release are gone; only the memory knows."""
    release(three)
    (three.store.root / "releases/tiny/v3/yanked.json").unlink()
    assert named(three).history == ("v1", "v2")
    held = named(three).model_copy(update={"history": ("v1", "v2", "v3")})
    assert moving.swap_pointer(
        three.store, held.model_copy(update={"serial": 6}), three.signer, three.store.read(KEY)[1]
    )
    assert withdraw(three, "v4").yanked.replaced_by == "v2"


def test_a_channel_that_is_hidden_is_not_begun_anew(three):
    (three.store.root / KEY).unlink()
    with pytest.raises(Refusal, match=r"the pointer is missing, but change 4 \(v2\).*tiny/stable@0"):
        release(three)
    done = withdraw(three, "v2")
    assert ["the pointer is missing" in fault for fault in done.unlike] == [True]


def test_a_new_channel_knows_what_was_withdrawn_though_the_others_are_hidden(three):
    (three.store.root / KEY).unlink()
    second = claiming.claims(three.store, "tiny", three.public)[1]
    moving.move_pointer(three.store, second, three.signer, channel="beta", expires_days=90)
    assert named(three, "beta").withdrawn == ("v3",)


def test_a_later_pointer_that_forgot_a_withdrawal_is_refused(three, monkeypatch):
    """As a publisher signs it who had read a replayed one and remembers nothing."""
    later = named(three).model_copy(update={"serial": 9, "withdrawn": ()})
    sealed = pointer_bytes(three, later)
    (three.store.root / KEY).write_bytes(sealed)
    with pytest.raises(Refusal, match="does not list v3 as withdrawn any more"):
        release(three)
    monkeypatch.setenv(recall.RESTORED, "tiny/stable@9")
    assert recall.held(three.store, "tiny", "stable", three.public).restored
    monkeypatch.delenv(recall.RESTORED)
    with pytest.raises(Refusal, match="does not list v3"):  # saying that it is meant makes nobody forget
        recall.held(three.store, "tiny", "stable", three.public)
    monkeypatch.setenv(recall.RESTORED, "tiny/stable@9")
    release(three)
    assert (named(three).serial, named(three).withdrawn) == (10, ("v3",))


def pointer_bytes(site, value):
    from slipway.release.signing.envelope import seal

    return seal(json.loads(value.to_json()), pointer.POINTER, site.signer)


def test_two_pointers_of_one_change_and_fewer_key_events_are_refused(three):
    fork = named(three).model_copy(update={"version": "v1", "manifest_sha256": "00" * 32})
    (three.store.root / KEY).write_bytes(pointer_bytes(three, fork))
    with pytest.raises(Refusal, match=r"names v1 by its change 4, but change 4 \(v2\)"):
        release(three)
    with book.changed() as held:
        (at,) = held.published
        held.published[at] = held.published[at].model_copy(update={"keys": 1})
    put(three, 4)
    with pytest.raises(Refusal, match=r"signed after 0 key events, but .* knew of 1"):
        release(three)


def test_a_store_that_was_restored_goes_on_after_all_that_was_seen(three, monkeypatch):
    """A backup of the second release: the third, its claim and its withdrawal are lost; readers remember them."""
    reader = three.public
    memory.note(three.store, reader, named(three))
    put(three, 2)
    for gone in ("claims/tiny/000003.json", "releases/tiny/v3", "advisories"):
        path = three.store.root / gone
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    monkeypatch.setenv(recall.RESTORED, "tiny/stable@1")
    with pytest.raises(Refusal, match="SLIPWAY_RESTORED=tiny/stable@2"):
        release(three)
    monkeypatch.setenv(recall.RESTORED, "tiny/stable@2")
    made = release(three)
    assert (made.version, made.sequence) == ("v4", 4), "v3 was another bundle, and somebody may have it"
    held = named(three)
    assert (held.version, held.serial, held.withdrawn) == ("v4", 5, ("v3",))
    assert memory.follow(three.store, "tiny", "stable", reader).version == "v4", "no reader takes it for a rollback"
    monkeypatch.delenv(recall.RESTORED)
    assert release(three, "# After\n").version == "v5"


def test_a_restored_channel_is_signed_anew_though_its_release_is_the_same(three, monkeypatch):
    put(three, 2)
    monkeypatch.setenv(recall.RESTORED, "other/stable@1, tiny/stable@2")
    second = claiming.claims(three.store, "tiny", three.public)[1]
    assert moving.move_pointer(three.store, second, three.signer, channel="stable", expires_days=90) == "renewed"
    assert (named(three).version, named(three).serial, named(three).withdrawn) == ("v2", 5, ("v3",))


def test_a_restored_channel_that_names_a_withdrawn_release_goes_back_by_withdrawing_it_again(three, monkeypatch):
    put(three, 3)
    monkeypatch.setenv(recall.RESTORED, "tiny/stable@3")
    done = withdraw(three, "v3")
    assert (done.unlike, done.new) == ((), False)
    assert (named(three).version, named(three).serial, named(three).withdrawn) == ("v2", 5, ("v3",))


def test_a_copy_elsewhere_under_the_same_key_is_another_store(three, tmp_path):
    rehearsal = LocalStore(tmp_path / "rehearsal")
    shutil.copytree(three.store.root, rehearsal.root)
    (rehearsal.root / KEY).write_bytes(three.past[3])
    assert recall.held(rehearsal, "tiny", "stable", three.public).pointer.serial == 3
    fresh = LocalStore(tmp_path / "fresh")
    assert recall.held(fresh, "tiny", "stable", three.public) == (None, None, 0, 0, frozenset(), False)


def test_a_rotation_carries_no_old_pointer_on_and_the_new_key_remembers_what_the_old_one_wrote(three, tmp_path):
    new = keys.file_signer(release_project.key_pair(tmp_path / "new.key"))
    put(three, 3)
    with pytest.raises(Refusal, match="is at change 3"):
        rotation.rotate(three.store, three.signer, new)
    assert not three.store.list("keys")
    put(three, 4)
    rotation.rotate(three.store, three.signer, new)
    public = keys.public_of(new)
    assert recall.held(three.store, "tiny", "stable", public).serial == 5
    put(three, 4)  # for a while after a rotation it still counts
    with pytest.raises(Refusal, match="is at change 4"):
        recall.held(three.store, "tiny", "stable", public)
    with book.changed() as held:  # another machine, which wrote with the old key and has not seen the rotation
        for at in [at for at, seen in held.published.items() if seen.serial == 5]:
            del held.published[at]
    put(three, 3)
    with pytest.raises(Refusal, match="is at change 3"):
        recall.held(three.store, "tiny", "stable", public)


def test_a_channel_that_moves_while_it_is_read_is_no_rollback(three):
    """Another process on this machine moves it and remembers that, between this one's reading and comparing."""
    first = claiming.claims(three.store, "tiny", three.public)[0]

    class Overtaken:
        def __getattr__(self, name):
            return getattr(three.store, name)

        def read(self, key):
            found = three.store.read(key)
            if key == KEY:
                release(three)
            return found

    assert recall.held(Overtaken(), "tiny", "stable", three.public).pointer.serial == 4
    assert recall.held(three.store, "tiny", "stable", three.public).pointer.serial == 5
    assert moving.move_pointer(three.store, first, three.signer, channel="stable", expires_days=90) == "superseded"


def test_a_memory_that_was_cut_stops_publishing(three):
    place = book.place()
    place.write_bytes(place.read_bytes()[:30])
    with pytest.raises(UserError, match="is no memory of what was seen"):
        release(three)


def test_where_nothing_can_be_written_it_is_said(three, tmp_path, monkeypatch, capsys):
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("SLIPWAY_STATE", str(tmp_path / "file" / "below"))
    assert release(three).version == "v4"
    assert "cannot be written (Not a directory)" in capsys.readouterr().err


def test_a_version_that_the_channel_named_is_not_given_again_though_its_claim_was_removed(site):
    for version in ("1.0", "1.1", "1.2"):
        release_project.bundle(site.root, card=f"# {version}\n")
        site.release(version)
    (site.store.root / claiming.claim_key("tiny", 2)).unlink()
    shutil.rmtree(site.store.root / "releases" / "tiny" / "1.1")
    release_project.bundle(site.root, card="# Another\n")
    with pytest.raises(Refusal, match=r"tiny 1\.1 is another bundle already"):
        site.release("1.1")
    assert site.release("1.3").sequence == 4


def test_one_directory_under_two_names_is_one_store(three):
    put(three, 3)
    three.store = LocalStore(three.store.root / ".." / three.store.root.name)
    with pytest.raises(Refusal, match=r"is at change 3 \(v3\), but change 4"):
        release(three)


def test_a_revocation_that_is_hidden_is_not_signed_over(three, monkeypatch, tmp_path):
    path = release_project.key_pair(tmp_path / "next.key")
    old, new = three.public, keys.file_signer(path)
    rotation.rotate(three.store, three.signer, new)
    event = rotation.revoke(three.store, new, sha256_bytes(old), reason="lost", trusted={})
    monkeypatch.setenv("SLIPWAY_KEY", str(path))
    (three.store.root / event).unlink()
    with pytest.raises(Refusal, match="1 key events, but 2 were here; somebody hides"):
        release(three)


def test_a_channel_hidden_while_the_key_changes_is_found_before_the_event(three, tmp_path):
    (three.store.root / KEY).unlink()
    with pytest.raises(Refusal, match="the pointer is missing"):
        rotation.rotate(three.store, three.signer, keys.file_signer(release_project.key_pair(tmp_path / "next.key")))
    assert three.store.list("keys") == {}


def test_a_memory_that_cannot_be_placed_is_told(monkeypatch):
    monkeypatch.delenv("SLIPWAY_STATE")
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)

    def nobody():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr("pathlib.Path.home", nobody)
    with pytest.raises(UserError, match="set SLIPWAY_STATE to a folder of yours"):
        book.place()
