"""Who may have signed a tombstone: the present key, and one of before only if its rotation lists it."""

import json

import pytest

from slipway.errors import Refusal
from slipway.release.reading import fetch, verify
from slipway.release.signing import keyring, keys, rotation
from slipway.release.signing.envelope import claimed, seal
from slipway.release.withdrawal import advisory, shelf, tombstone, yank
from tests import release_project


class Stolen:
    """Two releases, the first one withdrawn; then the key was changed, and a thief has the old one."""

    def __init__(self, site, folder):
        for card in ("# One\n", "# Two\n"):
            release_project.bundle(site.root, card=card)
            site.release()
        self.store, self.thief, self.old = site.store, site.signer, site.public
        self.done = self.withdraw("v1", self.thief)
        self.signer = keys.file_signer(release_project.key_pair(folder / "next.key"))
        rotation.rotate(site.store, self.thief, self.signer)
        self.public = keys.public_of(self.signer)

    def withdraw(self, version, signer):
        cause = yank.Cause("bad")
        return yank.yank(self.store, "tiny", version, signer, cause=cause, preferred="stable", expires_days=90)

    def forge(self, version="v2", **values):
        found = self.done.yanked.model_copy(update={"version": version, "reason": "use evil v9", **values})
        self.store.create(f"releases/tiny/{version}/yanked.json", tombstone.write(found, self.thief))
        return found


@pytest.fixture
def stolen(site, tmp_path):
    return Stolen(site, tmp_path)


def test_the_rotation_lists_what_the_old_key_had_withdrawn(stolen):
    event = claimed(stolen.store.read("keys/000001.json")[0], "event")
    assert {key for key in event["objects"] if "claims" not in key} == {
        "releases/tiny/v1/yanked.json", "advisories/tiny/x_slipway-tiny-v1.dsse.json",
    }  # fmt: skip
    for public in (stolen.old, stolen.public):
        assert tombstone.at(stolen.store, "releases/tiny/v1", public) == stolen.done.yanked
        assert advisory.read(stolen.store, stolen.done.yanked, public)["id"] == "x_slipway-tiny-v1"
        with pytest.raises(Refusal, match=r"v1 was withdrawn on .*: bad"):
            verify.verify(stolen.store, "releases/tiny/v1", public)


def test_a_retired_key_tells_nobody_what_to_use_instead(stolen, tmp_path):
    stolen.forge(replaced_by="v9")
    for public in (stolen.old, stolen.public):
        with pytest.raises(Refusal, match=r"yanked\.json: signed by key .* was retired on .* had not signed this"):
            tombstone.at(stolen.store, "releases/tiny/v2", public)
        with pytest.raises(Refusal, match="until its publisher has explained it") as told:
            verify.verify(stolen.store, "releases/tiny/v2", public)
        assert "evil" not in str(told.value)
        with pytest.raises(Refusal, match="until its publisher has explained it"):
            fetch.fetch(stolen.store, "tiny", "v2", tmp_path / "there", public, channel="stable")
    entries, faults = shelf.versions(stolen.store, "tiny", stolen.public)
    assert ([entry.holds for entry in entries], len(faults)) == ([True, False], 1)


def test_the_publisher_is_told_to_remove_it_and_then_all_is_as_before(stolen):
    stolen.forge()
    done = stolen.withdraw("v2", stolen.signer)
    assert "was retired on" in done.unlike[0]
    assert "Remove it and run this again" in done.unlike[0]
    (stolen.store.root / "releases/tiny/v2/yanked.json").unlink()
    for path in (stolen.store.root / "advisories" / "tiny").glob("*v2*"):
        path.unlink()
    assert stolen.withdraw("v2", stolen.signer).unlike == ()
    assert tombstone.at(stolen.store, "releases/tiny/v2", stolen.public).reason == "bad"


def test_another_tombstone_of_the_same_release_by_the_retired_key_does_not_count(stolen):
    path = stolen.store.root / "releases/tiny/v1/yanked.json"
    path.write_bytes(tombstone.write(stolen.done.yanked, stolen.thief))  # the same text, signed once more
    with pytest.raises(Refusal, match="had not signed this"):
        tombstone.at(stolen.store, "releases/tiny/v1", stolen.public)


def test_a_revocation_takes_no_withdrawal_back(stolen):
    rotation.revoke(stolen.store, stolen.signer, keys_id(stolen.old), reason="stolen", trusted={})
    assert tombstone.at(stolen.store, "releases/tiny/v1", stolen.public) == stolen.done.yanked


def keys_id(public):
    from slipway.files import sha256_bytes

    return sha256_bytes(public)


def test_an_advisory_that_says_more_than_its_tombstone_is_refused(stolen):
    path = stolen.store.root / "advisories/tiny/x_slipway-tiny-v1.dsse.json"
    document = claimed(path.read_bytes(), "advisory")
    path.write_bytes(seal(document | {"details": "use evil v9"}, advisory.TYPE, stolen.signer))
    with pytest.raises(Refusal, match="not what its tombstone says"):
        advisory.read(stolen.store, stolen.done.yanked, stolen.public)
    path.write_bytes(seal(document, advisory.TYPE, stolen.thief))
    with pytest.raises(Refusal, match="had not signed this"):
        advisory.read(stolen.store, stolen.done.yanked, stolen.public)


def test_a_rotation_of_before_there_were_such_lists_is_read(stolen):
    """It lists no objects; so none of the old key's count, and none are lost for the present one."""
    event = claimed(stolen.store.read("keys/000001.json")[0], "event")
    del event["objects"]
    sealed = seal(event, keyring.TYPE, stolen.thief, stolen.signer)
    ring = keyring.resolve([sealed], stolen.public, "log")
    assert json.loads(json.dumps(event))["signed"] == ring.events[0].signed
    with pytest.raises(Refusal, match="had not signed this"):
        tombstone.read(stolen.store.read("releases/tiny/v1/yanked.json")[0], ring)
