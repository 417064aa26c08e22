"""The key log: rotation, revocation, and every way in which a log may lie."""

import json
import shutil
import threading
from datetime import UTC, datetime, timedelta

import pytest

from slipway.adapters.store import LocalStore
from slipway.errors import Refusal, UserError
from slipway.files import sha256_bytes
from slipway.release.publishing import pointer, publish
from slipway.release.reading import verify
from slipway.release.signing import envelope, keyring, keys, rotation
from tests import release_project

V1 = "releases/tiny/v1"


class Line:
    """A site with one release, and the keys that follow its own."""

    def __init__(self, site, folder):
        self.site, self.folder = site, folder
        site.release()
        self.first = site.signer
        self.signers = [self.first]

    @property
    def store(self) -> LocalStore:
        return self.site.store

    @property
    def publics(self) -> list[bytes]:
        return [keys.public_of(signer) for signer in self.signers]

    def fresh(self):
        path = release_project.key_pair(self.folder / f"{len(list(self.folder.glob('*.key')))}.key")
        return keys.file_signer(path)

    def rotate(self, **options) -> rotation.Rotated:
        new = self.fresh()
        done = rotation.rotate(self.store, self.signers[-1], new, **options)
        self.signers.append(new)
        return done

    def release(self, monkeypatch) -> None:
        """Another release, with the present key."""
        path = next(p for p in self.folder.glob("*.key") if keys.public_pem(p) == self.publics[-1])
        monkeypatch.setenv("SLIPWAY_KEY", str(path))
        release_project.bundle(self.site.root, card=f"# Card {len(self.signers)} {path.name}\n")
        self.site.release()


@pytest.fixture
def line(site, tmp_path) -> Line:
    (tmp_path / "keys").mkdir()
    return Line(site, tmp_path / "keys")


def id_of(public: bytes) -> str:
    return sha256_bytes(public)


def forge(signers, **values) -> bytes:
    event = {"event": "rotate", "number": 1, "previous": None, "time": "2026-01-01T00:00:00+00:00", "signed": {}}
    return envelope.seal(event | values, keyring.TYPE, *signers)


def pem(signer) -> str:
    return keys.public_of(signer).decode()


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


def test_the_channel_says_how_many_events_it_has_seen_and_counts_on(line):
    before = pointer.read_pointer(line.store, "tiny", "stable", line.publics[0])
    line.rotate()
    after = pointer.read_pointer(line.store, "tiny", "stable", line.publics[0])
    assert (before.keys, after.keys) == (0, 1)
    assert after.serial == before.serial + 1
    assert after.model_dump(exclude={"keys", "serial"}) == before.model_dump(exclude={"keys", "serial"})


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


def resign(directory, signer, **changes) -> None:
    """What a thief of a key can do: manifest, statement and signature of his own over a release directory."""
    from slipway.release import statement
    from slipway.release.bundle import manifest
    from slipway.release.signing import signature

    beside = {name: (directory / name).read_bytes() for name in ("statement.json", "model.sig", "GATE.html")}
    for name in beside:
        (directory / name).unlink()
    digest = manifest.write(directory, "tiny")
    content = envelope.claimed(beside["statement.json"], "statement")
    release = content["predicate"]["buildDefinition"]["externalParameters"]["release"]
    release |= {"manifest_sha256": digest, **changes}
    content["subject"][0]["digest"]["sha256"] = digest
    (directory / "statement.json").write_bytes(envelope.seal(content, signature.IN_TOTO, signer))
    (directory / "GATE.html").write_bytes(beside["GATE.html"])
    signature.sign(directory, signer)
    assert statement.read((directory / "statement.json").read_bytes(), keys.public_of(signer))


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


def test_who_signs_with_a_retired_key_is_told(line, site):
    line.rotate()
    release_project.bundle(site.root, card="# Second\n")
    with pytest.raises(Refusal, match=r"was retired on .*|does not fit the public key"):
        site.release()
    assert pointer.read_pointer(line.store, "tiny", "stable", line.publics[1]).version == "v1"
    with pytest.raises(Refusal, match=r"was retired on .*sign with the key that followed it"):
        keyring.seen(line.store, line.publics[0])


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


def test_a_log_with_a_gap_or_a_foreign_file_is_refused(line):
    line.rotate()
    line.rotate()
    folder = line.store.root / "keys"
    (folder / "note.txt").write_text("hello")
    with pytest.raises(Refusal, match=r"note\.txt: expected 000003\.json"):
        keyring.read(line.store, line.publics[0])
    (folder / "note.txt").unlink()
    (folder / "000001.json").rename(folder / "000000.json")
    with pytest.raises(Refusal, match=r"000000\.json: expected 000001"):
        keyring.read(line.store, line.publics[0])
    (folder / "000000.json").unlink()
    (folder / "000002.json").rename(folder / "000001.json")
    with pytest.raises(Refusal, match="has a gap or a fork"):
        keyring.read(line.store, line.publics[2])


def test_events_that_lie_are_refused(line):
    old, new, third = line.first, line.fresh(), line.fresh()
    good = forge([old, new], old=pem(old), new=pem(new))
    follows = {"number": 2, "previous": sha256_bytes(good)}
    cases = {
        "does not fit|expected 2": [forge([old, third], old=pem(old), new=pem(new))],
        "1 signatures, expected 2": [forge([old], old=pem(old), new=pem(new))],
        "no event of a key log": [forge([old, new], event="promote", old=pem(old), new=pem(new))],
        "has a gap or a fork": [good, forge([new, third], number=2, previous="0" * 64, old=pem(new), new=pem(third))],
        "not by the key that was current": [good, forge([old, third], **follows, old=pem(old), new=pem(third))],
        "goes back to a key": [good, forge([new, old], **follows, old=pem(new), new=pem(old))],
        "not a signed envelope": [b"{}"],
    }  # fmt: skip
    assert keyring.resolve([good], line.publics[0], "log").current == keys.public_of(new)
    for expected, log in cases.items():
        with pytest.raises(Refusal, match=expected):
            keyring.resolve(log, line.publics[0], "log")
    extra = forge([old, new], old=pem(old), new=pem(new), more=1)
    with pytest.raises(Refusal, match="no event of a key log"):
        keyring.resolve([extra], line.publics[0], "log")


def test_every_flipped_bit_of_an_event_is_refused(line):
    line.rotate()
    path = line.store.root / "keys" / "000001.json"
    data = path.read_bytes()
    silent = []
    for place in range(0, len(data), 7):
        flipped = bytearray(data)
        flipped[place] ^= 1
        try:
            keyring.resolve([bytes(flipped)], line.publics[1], "log")
        except Refusal:
            continue
        silent.append(place)
    assert silent == []


def test_a_bare_directory_is_verified_with_a_copy_of_the_log(line, monkeypatch, tmp_path):
    line.rotate()
    line.release(monkeypatch)
    copy = shutil.copytree(line.store.root / "releases" / "tiny" / "v2", tmp_path / "copy")
    log = keyring.load_copy(line.store.root / "keys")
    with pytest.raises(Refusal, match="does not fit the public key"):
        verify.verify(LocalStore(copy), "", line.publics[0])
    assert verify.verify(LocalStore(copy), "", line.publics[0], log=log).release.version == "v2"
    out = tmp_path / "log.json"
    out.write_text(json.dumps([json.loads(data) for data in log]))
    assert keyring.load_copy(out) == log
    with pytest.raises(UserError, match="no copy of a key log"):
        keyring.load_copy(tmp_path / "nothing")


def test_a_copy_of_the_log_that_contradicts_the_store_is_a_fork(line, tmp_path):
    line.rotate()
    log = keyring.load_copy(line.store.root / "keys")
    thief = line.fresh()
    forged = forge([line.first, thief], old=pem(line.first), new=pem(thief))
    (line.store.root / "keys" / "000001.json").write_bytes(forged)
    with pytest.raises(Refusal, match="not the key log that was given with --keys"):
        verify.verify(line.store, V1, line.publics[0], log=log)
    (line.store.root / "keys" / "000001.json").unlink()
    assert verify.verify(line.store, V1, line.publics[1], log=log).key_events == 1, "the longer of the two counts"


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


def test_who_has_another_key_and_no_log_is_told_to_get_it(line, tmp_path):
    line.rotate()
    copy = LocalStore(tmp_path / "copy")
    shutil.copytree(line.store.root / V1, copy.root)
    with pytest.raises(
        Refusal, match=r"does not fit the public key given: it names key .*give the key log too: --keys"
    ):
        verify.verify(copy, "", line.publics[-1])
    log = keyring.read(line.store, line.publics[-1]).log
    assert verify.verify(copy, "", line.publics[-1], log=log).key_events == 1
