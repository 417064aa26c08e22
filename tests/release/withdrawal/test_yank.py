"""Withdrawing: refused everywhere at once, channels go back to what stands, and a rerun finishes what a kill left."""

import json
import threading
from datetime import UTC, datetime, timedelta

import pytest

from slipway.errors import Refusal, UserError
from slipway.release.publishing import claim, moving, pointer
from slipway.release.reading import verify
from slipway.release.withdrawal import advisory, shelf, tombstone, yank
from tests import release_project


@pytest.fixture
def three(site):
    """Three releases on the channel `stable`."""
    for card in ("# One\n", "# Two\n", "# Three\n"):
        release_project.bundle(site.root, card=card)
        site.release()
    return site


def withdraw(site, version, store=None, **more):
    cause = yank.Cause(more.pop("reason", "repeats training text"), more.pop("severity", None), more.pop("id", None))
    return yank.yank(
        store or site.store, "tiny", version, site.signer, cause=cause, preferred="stable", expires_days=90, **more
    )


def named(site, channel="stable"):
    return pointer.read_pointer(site.store, "tiny", channel, site.public)


def test_the_channel_goes_back_and_the_release_is_refused(three):
    done = withdraw(three, "v3", severity="high", id="CVE-2026-1")
    assert (done.new, done.unlike, done.yanked.replaced_by) == (True, (), "v2")
    assert [(moved.before, moved.after) for moved in done.channels] == [("v3", "v2")]
    held = named(three)
    assert (held.version, held.sequence, held.serial, held.withdrawn, held.history) == ("v2", 2, 4, ("v3",), ("v1",))
    assert verify.verify_channel(three.store, "tiny", "stable", three.public).release.version == "v2"
    with pytest.raises(Refusal, match=r"v3 was withdrawn on .*repeats training text; use v2 instead"):
        verify.verify(three.store, "releases/tiny/v3", three.public)
    verify.verify(three.store, "releases/tiny/v3", three.public, withdrawn=True)


def test_again_is_the_same(three):
    first = withdraw(three, "v3")
    before = {key: three.store.read(key)[1] for key in three.store.list() if not key.startswith(".")}
    again = withdraw(three, "v3", reason="another text")
    assert (first.new, again.new) == (True, False)
    assert again.yanked == first.yanked, "the first reason stands"
    assert {key: three.store.read(key)[1] for key in three.store.list() if not key.startswith(".")} == before


def test_one_after_the_other_until_nothing_is_left_and_then_a_new_one(three):
    withdraw(three, "v2")
    assert (named(three).version, named(three).withdrawn) == ("v3", ("v2",))
    withdraw(three, "v3")
    assert named(three).version == "v1", "v2 is withdrawn, so it is passed over"
    withdraw(three, "v1")
    held = named(three)
    assert (held.version, held.sequence, held.manifest_sha256, held.withdrawn) == (None, 0, None, ("v1", "v2", "v3"))
    with pytest.raises(Refusal, match="names no release"):
        verify.verify_channel(three.store, "tiny", "stable", three.public)
    release_project.bundle(three.root, card="# Four\n")
    three.release()
    assert (named(three).version, named(three).serial) == ("v4", 7)


def test_a_withdrawn_bundle_is_not_released_again(three):
    withdraw(three, "v3")
    taken = claim.claims(three.store, "tiny", three.public)[2]
    for channel in ("stable", "beta"):
        with pytest.raises(Refusal, match="v3 was withdrawn and is not released again"):
            moving.move_pointer(three.store, taken, three.signer, channel=channel, expires_days=90)
    assert named(three).version == "v2"


def test_other_channels_learn_of_it_too(three):
    second = claim.claims(three.store, "tiny", three.public)[1]
    moving.move_pointer(three.store, second, three.signer, channel="beta", expires_days=90)
    done = withdraw(three, "v3")
    assert [(moved.channel, moved.before, moved.after) for moved in done.channels] == [
        ("beta", "v2", "v2"), ("stable", "v3", "v2"),
    ]  # fmt: skip
    assert (named(three, "beta").version, named(three, "beta").withdrawn) == ("v2", ("v3",))
    moving.move_pointer(three.store, second, three.signer, channel="nightly", expires_days=90)
    assert named(three, "nightly").withdrawn == ("v3",), "a new channel knows what the others know"


def test_it_never_goes_back_to_what_does_not_hold(three):
    release_project.flip(three.store.root / "releases" / "tiny" / "v2" / "model.safetensors")
    (three.store.root / "releases" / "tiny" / "v2" / "README.md").unlink()
    assert withdraw(three, "v3").yanked.replaced_by == "v1", "a file is missing: seen before the channel moves"
    assert named(three).version == "v1"


def test_a_flipped_bit_of_the_one_before_is_found_after_the_move_and_it_goes_further_back(three):
    release_project.flip(three.store.root / "releases" / "tiny" / "v2" / "config.json")
    done = withdraw(three, "v3")
    assert named(three).version == "v1"
    assert [(moved.before, moved.after) for moved in done.channels] == [("v3", "v1")]
    assert "v2/config.json: sha256 is" in done.unlike[0]
    assert "slipway yank tiny@v2" in done.unlike[0]


class Dying:
    """A store whose writer dies at its n-th write, before or after it took effect."""

    def __init__(self, store, writes, after):
        self._store, self._left, self._after = store, writes, after

    def __getattr__(self, name):
        call = getattr(self._store, name)
        if name not in ("create", "swap", "copy"):
            return call

        def dying(*arguments):
            self._left -= 1
            if self._left < 0 and not self._after:
                raise KeyboardInterrupt
            result = call(*arguments)
            if self._left < 0:
                raise KeyboardInterrupt
            return result

        return dying


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("writes", range(6))
def test_wherever_it_dies_nobody_is_sent_to_it_and_a_rerun_finishes(three, writes, after):
    second = claim.claims(three.store, "tiny", three.public)[1]
    moving.move_pointer(three.store, second, three.signer, channel="beta", expires_days=90)
    try:
        withdraw(three, "v3", Dying(three.store, writes, after))
        finished = True
    except KeyboardInterrupt:
        finished = False
    assert finished == (writes >= 6)
    if tombstone.exists(three.store, "releases/tiny/v3"):
        with pytest.raises(Refusal, match="withdrawn"):
            verify.verify(three.store, "releases/tiny/v3", three.public)
    else:
        assert named(three).version == "v3", "nothing was said yet, nothing was done yet"
    done = withdraw(three, "v3")
    assert (done.unlike, named(three).version, named(three).withdrawn) == ((), "v2", ("v3",))
    assert named(three, "beta").withdrawn == ("v3",)
    assert len(three.store.list("advisories")) == 3


def test_the_advisory_is_osv_and_signed(three):
    done = withdraw(three, "v3", severity="critical", id="https://example.org/a")
    plain = json.loads(three.store.read(done.advisory)[0])
    assert plain == advisory.read(three.store, done.yanked, three.public)
    assert done.advisory == "advisories/tiny/x_slipway-tiny-v3.json"
    assert plain["affected"][0]["versions"] == ["v3"]
    assert plain["database_specific"]["severity"] == "CRITICAL"
    assert plain["references"] == [{"type": "ADVISORY", "url": "https://example.org/a"}]
    text = three.store.read("advisories/tiny/x_slipway-tiny-v3.md")[0].decode()
    assert "Use tiny v2 instead." in text
    forged = three.store.root / "advisories" / "tiny" / "x_slipway-tiny-v3.dsse.json"
    release_project.flip(forged)
    with pytest.raises(Refusal):
        advisory.read(three.store, done.yanked, three.public)


def test_a_foreign_file_in_the_place_of_the_tombstone_is_told_and_the_rest_is_done(three):
    three.store.create("releases/tiny/v3/yanked.json", b"{}")
    done = withdraw(three, "v3")
    assert "Remove it and run this again" in done.unlike[0]
    assert named(three).version == "v2"


def test_a_damaged_channel_is_told_and_the_others_are_moved(three):
    three.store.create("channels/tiny/beta.json", b"{}")
    done = withdraw(three, "v3")
    assert ["beta.json" in fault for fault in done.unlike] == [True]
    assert named(three).version == "v2"


def test_what_cannot_be_withdrawn_is_named(three):
    with pytest.raises(UserError, match=r"no release tiny v9; there are v1, v2, v3"):
        withdraw(three, "v9")
    release_project.bundle(three.root, card="# Four\n")
    three.seal()
    with pytest.raises(UserError, match="was claimed, but never released"):
        withdraw(three, "v4")
    with pytest.raises(UserError, match="--reason is empty"):
        withdraw(three, "v3", reason=" ")
    assert named(three).version == "v3"


def test_two_at_once_and_a_release_meanwhile(three):
    release_project.bundle(three.root, card="# Four\n")
    fourth = three.seal()
    faults = []

    def run(work):
        try:
            work()
        except Exception as fault:  # noqa: BLE001  told below
            faults.append(fault)

    works = [lambda: withdraw(three, "v3"), lambda: withdraw(three, "v2"), lambda: three.send(fourth)]
    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults
    held = named(three)
    assert (held.version, held.withdrawn, held.serial) == ("v4", ("v2", "v3"), 6)


def test_a_release_to_a_new_channel_while_it_is_withdrawn_is_refused(three):
    """The mover reads the tombstone after its swap, so one of the two always sees the other."""
    third = claim.claims(three.store, "tiny", three.public)[2]

    class Late:
        def __getattr__(self, name):
            return getattr(three.store, name)

        def swap(self, *arguments):
            moved = three.store.swap(*arguments)
            withdraw(three, "v3")
            return moved

    with pytest.raises(Refusal, match=r"withdrawn.*slipway yank tiny@v3"):
        moving.move_pointer(Late(), third, three.signer, channel="beta", expires_days=90)
    assert (named(three, "beta").version, named(three, "beta").withdrawn) == (None, ("v3",))


def test_the_list_of_releases(three):
    withdraw(three, "v3")
    release_project.bundle(three.root, card="# Four\n")
    three.seal()
    entries, faults = shelf.versions(three.store, "tiny", three.public)
    assert not faults
    assert [(entry.version, entry.state, entry.channels) for entry in entries] == [
        ("v1", "released", ()), ("v2", "released", ("stable",)), ("v3", "withdrawn", ()), ("v4", "unfinished", ()),
    ]  # fmt: skip
    assert shelf.names(three.store) == ["tiny"]


def test_the_pointer_is_renewed_by_it(three):
    held = moving.take_back(
        three.store, "tiny", "v3", three.signer, channel="stable", expires_days=90, good=lambda _: None,
        now=datetime.now(UTC) + timedelta(days=80),
    )[1]  # fmt: skip
    assert datetime.fromisoformat(held.expires) > datetime.now(UTC) + timedelta(days=169)


def test_after_a_rotation_tombstones_and_channels_hold_by_either_key(three, tmp_path):
    from slipway.release.reading import fetch
    from slipway.release.signing import keys, rotation

    old = three.public
    withdraw(three, "v3", severity="low")
    yanked = tombstone.at(three.store, "releases/tiny/v3", old)
    signer = keys.file_signer(release_project.key_pair(tmp_path / "next.key"))
    rotation.rotate(three.store, three.signer, signer)
    new = keys.public_of(signer)
    for public in (old, new):
        assert tombstone.at(three.store, "releases/tiny/v3", public) == yanked
        assert advisory.read(three.store, yanked, public)["id"] == "x_slipway-tiny-v3"
        assert [entry.holds for entry in shelf.versions(three.store, "tiny", public)[0]] == [True] * 3
        found = fetch.fetch(three.store, "tiny", None, tmp_path / public.hex()[60:70], public, channel="stable")
        assert found.version == "v2"
    cause = yank.Cause("bad")
    done = yank.yank(three.store, "tiny", "v2", signer, cause=cause, preferred="stable", expires_days=90)
    assert (done.unlike, [(move.before, move.after) for move in done.channels]) == ((), [("v2", "v1")])
