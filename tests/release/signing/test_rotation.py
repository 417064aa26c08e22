"""Changing the key: interrupted, at the same time as another, and when the store is not in order."""

import threading

import pytest

from slipway.adapters.store import LocalStore
from slipway.errors import Refusal
from slipway.release.publishing import pointer, publish
from slipway.release.reading import verify
from slipway.release.signing import keyring, keys, rotation
from tests import release_project


def test_the_channel_says_how_many_events_it_has_seen_and_counts_on(line):
    before = pointer.read_pointer(line.store, "tiny", "stable", line.publics[0])
    line.rotate()
    after = pointer.read_pointer(line.store, "tiny", "stable", line.publics[0])
    assert (before.keys, after.keys) == (0, 1)
    assert after.serial == before.serial + 1
    assert after.model_dump(exclude={"keys", "serial"}) == before.model_dump(exclude={"keys", "serial"})


def test_who_signs_with_a_retired_key_is_told(line, site):
    line.rotate()
    release_project.bundle(site.root, card="# Second\n")
    with pytest.raises(Refusal, match=r"was retired on .*|does not fit the public key"):
        site.release()
    assert pointer.read_pointer(line.store, "tiny", "stable", line.publics[1]).version == "v1"
    with pytest.raises(Refusal, match=r"was retired on .*sign with the key that followed it"):
        keyring.seen(line.store, line.publics[0])


def test_a_claim_removed_before_a_rotation_takes_nothing_from_its_release(line):
    """Whoever can write to the store removes the claim, so that the retired key stands for less than it had signed."""
    (line.store.root / "claims/tiny/000001.json").unlink()
    line.rotate()
    assert verify.verify_channel(line.store, "tiny", "stable", line.publics[1]).release.version == "v1"


def test_an_interrupted_rotation_is_run_again(line, monkeypatch):
    real, new = rotation.swap_pointer, line.fresh()

    def die(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(rotation, "swap_pointer", die)
    with pytest.raises(KeyboardInterrupt):
        rotation.rotate(line.store, line.first, new)
    monkeypatch.setattr(rotation, "swap_pointer", real)
    verify.verify_channel(line.store, "tiny", "stable", line.publics[0])  # nobody is turned away meanwhile
    other = line.fresh()
    with pytest.raises(Refusal, match="was replaced by another key"):
        rotation.rotate(line.store, line.first, other)
    assert rotation.rotate(line.store, line.first, new).channels == ("tiny/stable",)
    assert rotation.rotate(line.store, line.first, new).channels == ()
    assert pointer.read_pointer(line.store, "tiny", "stable", keys.public_of(new)).keys == 1


def test_of_two_rotations_at_once_one_wins(line):
    outcomes = []
    gate = threading.Barrier(6)
    candidates = [line.fresh() for _ in range(6)]

    def go(new) -> None:
        gate.wait()
        try:
            rotation.rotate(line.store, line.first, new)
            outcomes.append(keys.public_of(new))
        except Refusal as refusal:
            outcomes.append(str(refusal))

    threads = [threading.Thread(target=go, args=(new,)) for new in candidates]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    won = [outcome for outcome in outcomes if isinstance(outcome, bytes)]
    assert len(won) == 1, outcomes
    assert keyring.read(line.store, line.publics[0]).current == won[0]
    verify.verify_channel(line.store, "tiny", "stable", won[0])
    assert all(
        "someone else" in text or "another key" in text or "retired" in text for text in outcomes if text != won[0]
    )


def test_a_release_that_was_begun_stops_a_rotation(line, site):
    release_project.bundle(site.root, card="# Second\n")
    claim = site.seal()
    site.store.create("releases/tiny/v2/config.json", b"{}\n")
    with pytest.raises(Refusal, match="tiny@v2 was begun and is not complete"):
        line.rotate()
    assert line.store.list("keys") == {}
    assert line.rotate(unfinished=True).signed == 1
    with pytest.raises(Refusal):
        publish.publish(
            site.store, claim, LocalStore(site.staged(claim)), line.first, channel="stable", expires_days=90
        )


def test_a_pointer_that_does_not_hold_stops_a_rotation_before_anything_is_written(line):
    (line.store.root / "channels/tiny/stable.json").write_bytes(b"{}")
    with pytest.raises(Refusal, match=r"stable\.json: not a signed envelope"):
        line.rotate()
    assert line.store.list("keys") == {}
