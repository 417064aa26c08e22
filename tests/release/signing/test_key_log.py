"""Every way in which a key log may lie, and copies of it."""

import json
import shutil

import pytest

from slipway.adapters.store import LocalStore
from slipway.errors import Refusal, UserError
from slipway.files import sha256_bytes
from slipway.release.reading import verify
from slipway.release.signing import keyring, keys
from tests.key_line import forge, pem

V1 = "releases/tiny/v1"


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
