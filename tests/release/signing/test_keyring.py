"""What a key stands for after a rotation or a revocation, whoever holds it by then."""

import json
import shutil
from datetime import UTC, datetime, timedelta

import pytest

from slipway.adapters.store import LocalStore
from slipway.errors import Refusal, UserError
from slipway.release.publishing import pointer
from slipway.release.reading import verify
from slipway.release.signing import envelope, keyring, keys, rotation
from tests import release_project
from tests.key_line import id_of, resign

V1 = "releases/tiny/v1"


def test_without_a_log_the_key_given_is_the_only_one(line):
    ring = keyring.read(line.store, line.publics[0])
    assert (ring.current, ring.keys, ring.events) == (line.publics[0], (line.publics[0],), ())


def test_what_a_retired_key_signed_verifies_with_the_old_key_and_with_the_new(line, monkeypatch):
    done = line.rotate()
    assert (done.event, done.signed, done.channels, done.left_out) == ("keys/000001.json", 1, ("tiny/stable",), ())
    line.release(monkeypatch)
    line.rotate()
    for anchor in line.publics:
        assert verify.verify(line.store, V1, anchor).signed_by == id_of(line.publics[0])
        found = verify.verify_channel(line.store, "tiny", "stable", anchor)
        assert (found.release.version, found.signed_by) == ("v2", id_of(line.publics[1]))
        assert found.key_events == 2
    with pytest.raises(Refusal, match="does not lead to the key given"):
        verify.verify(line.store, V1, keys.public_of(line.fresh()))


def test_a_mirror_that_hides_the_end_of_the_log_is_refused(line):
    line.rotate()
    line.rotate()
    (line.store.root / "keys" / "000002.json").unlink()
    with pytest.raises(Refusal, match=r"does not fit the public key|does not lead"):
        verify.verify_channel(line.store, "tiny", "stable", line.publics[0])
    with pytest.raises(Refusal, match="does not lead to the key given"):
        verify.verify_channel(line.store, "tiny", "stable", line.publics[2])


def test_a_hidden_revocation_is_found_by_the_pointer(line, monkeypatch):
    line.rotate()
    rotation.revoke(line.store, line.signers[1], id_of(line.publics[0]), reason="stolen", trusted={})
    line.release(monkeypatch)
    verify.verify_channel(line.store, "tiny", "stable", line.publics[0])
    (line.store.root / "keys" / "000002.json").unlink()
    with pytest.raises(Refusal, match="signed after 2 key events, but 1 are here; one is hidden"):
        verify.verify_channel(line.store, "tiny", "stable", line.publics[0])


def test_a_stolen_retired_key_signs_no_newer_release(line, tmp_path):
    """The thief may write into the store; the key was retired before."""
    line.rotate()
    copy = shutil.copytree(line.store.root / V1, tmp_path / "copy")
    (copy / "README.md").write_text("# Evil\n")
    resign(copy, line.first, version="v2", sequence=2)
    shutil.copytree(copy, line.store.root / "releases" / "tiny" / "v2")
    for anchor in line.publics:
        with pytest.raises(Refusal, match=r"was retired on .* had not signed this release by then"):
            verify.verify(line.store, "releases/tiny/v2", anchor)


def test_a_stolen_retired_key_cannot_give_an_old_bundle_a_new_number(line, tmp_path):
    line.rotate()
    copy = shutil.copytree(line.store.root / V1, tmp_path / "copy")
    resign(copy, line.first, version="v9", sequence=9)
    shutil.copytree(copy, line.store.root / "releases" / "tiny" / "v9")
    with pytest.raises(Refusal, match="was retired"):
        verify.verify(line.store, "releases/tiny/v9", line.publics[1])
    assert verify.verify(LocalStore(copy), "", line.publics[0]).release.version == "v9", "the forgery is a good one"


def test_a_thief_cannot_trust_his_forgery_by_revoking_the_key_he_stole(line, tmp_path):
    line.rotate()
    copy = shutil.copytree(line.store.root / V1, tmp_path / "copy")
    resign(copy, line.first, version="v9", sequence=9)
    shutil.copytree(copy, line.store.root / "releases" / "tiny" / "v9")
    forged = {"tiny@v9": rotation.signature_digest(line.store, "tiny", "v9")}
    rotation.revoke(line.store, line.first, id_of(line.publics[0]), reason="routine", trusted=forged)
    for anchor in line.publics:
        with pytest.raises(Refusal, match=r"was retired on .* had not signed this release"):
            verify.verify(line.store, "releases/tiny/v9", anchor)


def test_a_stolen_retired_key_moves_no_channel(line):
    old = line.store.read("channels/tiny/stable.json")[0]
    line.rotate()
    held = pointer.read_pointer(line.store, "tiny", "stable", line.publics[1])
    forged = envelope.seal(json.loads(held.to_json()) | {"serial": 99}, pointer.POINTER, line.first)
    (line.store.root / "channels/tiny/stable.json").write_bytes(forged)
    ring = keyring.read(line.store, line.publics[1])
    later = datetime.now(UTC) + timedelta(minutes=16)
    for data in (old, forged):
        with pytest.raises(Refusal, match=r"signed by the key that was retired on .*slipway keys rotate"):
            ring.present(data, pointer.POINTER, "stable", later)
        assert ring.present(data, pointer.POINTER, "stable")["version"] == "v1", "while channels are signed anew"


def test_a_revoked_key_is_refused_with_reason_and_the_trusted_stay(line, monkeypatch):
    release_project.bundle(line.site.root, card="# Second\n")
    line.site.release()
    line.rotate()
    trusted = {"tiny@v1": rotation.signature_digest(line.store, "tiny", "v1")}
    key = id_of(line.publics[0])
    event = rotation.revoke(line.store, line.signers[1], key, reason="laptop stolen", trusted=trusted)
    assert event == "keys/000002.json"
    for anchor in line.publics:
        assert verify.verify(line.store, V1, anchor).signed_by == key
        with pytest.raises(Refusal, match=r"v2/model\.sig: signed by key .* revoked on .*: laptop stolen\. Do not use"):
            verify.verify(line.store, "releases/tiny/v2", anchor)
        with pytest.raises(Refusal, match="laptop stolen"):
            verify.signed_files(line.store, "releases/tiny/v2", anchor)
    with pytest.raises(Refusal, match="revoked already"):
        rotation.revoke(line.store, line.signers[1], key, reason="again", trusted={})
    line.release(monkeypatch)
    assert verify.verify_channel(line.store, "tiny", "stable", line.publics[0]).release.version == "v3"


def test_a_revoked_key_takes_no_channel_even_in_the_grace(line):
    line.rotate()
    old = envelope.seal({"version": "v1"}, pointer.POINTER, line.first)
    rotation.revoke(line.store, line.signers[1], id_of(line.publics[0]), reason="stolen", trusted={})
    with pytest.raises(Refusal, match="does not fit the public key"):
        keyring.read(line.store, line.publics[1]).present(old, pointer.POINTER, "stable")


def test_the_present_key_is_revoked_only_on_demand_and_then_nobody_signs(line):
    key = id_of(line.publics[0])
    with pytest.raises(Refusal, match=r"signs now\. Run `slipway keys rotate` first"):
        rotation.revoke(line.store, line.first, key, reason="stolen", trusted={})
    rotation.revoke(line.store, line.first, key, reason="stolen", trusted={}, last=True)
    with pytest.raises(Refusal, match="has no successor"):
        verify.verify_channel(line.store, "tiny", "stable", line.publics[0])
    with pytest.raises(Refusal, match="revoked on"):
        verify.verify(line.store, V1, line.publics[0])
    with pytest.raises(Refusal, match="has no successor"):
        rotation.rotate(line.store, line.first, line.fresh())


def test_a_retired_key_revokes_itself_but_no_other(line):
    line.rotate()
    with pytest.raises(Refusal, match="not by the key that was current"):
        rotation.revoke(line.store, line.first, id_of(line.publics[1]), reason="revenge", trusted={}, last=True)
    rotation.revoke(line.store, line.first, id_of(line.publics[0]), reason="found on a disk", trusted={})
    with pytest.raises(Refusal, match="found on a disk"):
        verify.verify(line.store, V1, line.publics[1])
    with pytest.raises(UserError, match="no key of"):
        rotation.revoke(line.store, line.signers[1], "00" * 32, reason="x", trusted={})
