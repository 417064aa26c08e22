"""Claims are signed by the publisher; what else lies among them stops publishing, is named, and stops nothing else."""

import json

import pytest

from slipway.errors import Refusal
from slipway.release.bundle import manifest
from slipway.release.publishing import claim as claiming
from slipway.release.publishing import pointer
from slipway.release.signing import keys, rotation
from slipway.release.signing.envelope import seal
from slipway.release.withdrawal import shelf, yank
from tests import release_project

FIRST, SECOND = "claims/tiny/000001.json", "claims/tiny/000002.json"


def saying(site, **values):
    return {
        "name": "tiny",
        "version": "v1",
        "sequence": 1,
        "manifest_sha256": manifest.digest(site.root / "bundle"),
    } | values


def plant(site, key, payload, signer=None, payload_type=claiming.TYPE):
    data = seal(payload, payload_type, signer) if signer else json.dumps(payload).encode()
    site.store.create(key, data)


@pytest.fixture
def stranger(tmp_path):
    return keys.file_signer(release_project.key_pair(tmp_path / "stranger.key"))


@pytest.fixture
def two(site):
    for card in ("# One\n", "# Two\n"):
        release_project.bundle(site.root, card=card)
        site.release()
    return site


def test_a_claim_is_signed_and_read_with_the_key_alone(site):
    made = site.release()
    assert claiming.claims(site.store, "tiny", site.public) == [made]
    envelope = json.loads(site.store.read(FIRST)[0])
    assert envelope["payloadType"] == claiming.TYPE
    assert site.seal() == made, "the same bundle keeps its version"


def test_an_unsigned_or_foreign_claim_is_named_and_nothing_is_signed(site, stranger):
    """A bundle's digest is known to whoever builds it."""
    plant(site, FIRST, saying(site))
    with pytest.raises(Refusal, match=r"tiny/000001\.json: not a signed envelope .*begin a new store.*remove it"):
        site.release()
    site.store.root.joinpath(FIRST).unlink()
    plant(site, FIRST, saying(site), stranger)
    with pytest.raises(
        Refusal, match=r"000001\.json: the signature does not fit .*claims nothing\. Find out who.*remove it"
    ):
        site.release()
    assert not site.store.list("releases")
    site.store.root.joinpath(FIRST).unlink()
    assert site.release().version == "v1", "with the object removed all is as before"


@pytest.mark.parametrize(
    "values",
    [{"name": "other"}, {"sequence": 1_000_000_000}, {"version": "../../other/v1"}, {"more": 1}, {"sequence": "1"}],
)
def test_what_our_own_key_signed_elsewhere_is_no_claim_here(site, values):
    plant(site, FIRST, saying(site, **values), site.signer)
    with pytest.raises(Refusal, match=r"000001\.json: (claims .* no publisher wrote that there|signed, but no claim)"):
        site.release()
    assert not site.store.list("releases")


def test_a_signed_object_of_another_kind_is_no_claim(site):
    plant(site, FIRST, saying(site), site.signer, pointer.POINTER)
    with pytest.raises(Refusal, match=r"signed as application/vnd\.slipway\.pointer"):
        site.release()


def test_who_plants_a_claim_keeps_nobody_from_reading_and_withdrawing(two, stranger):
    plant(two, "claims/tiny/000003.json", saying(two, version="v3", sequence=3), stranger)
    entries, faults = shelf.versions(two.store, "tiny", two.public)
    assert ([entry.version for entry in entries], ["000003" in fault for fault in faults]) == (["v1", "v2"], [True])
    done = yank.yank(two.store, "tiny", "v2", two.signer, cause=yank.Cause("bad"), preferred="stable", expires_days=90)
    assert ([(move.before, move.after) for move in done.channels], len(done.unlike)) == ([("v2", "v1")], 1)
    assert "000003.json" in done.unlike[0]
    release_project.bundle(two.root, card="# Three\n")
    with pytest.raises(Refusal, match=r"000003\.json.*remove it"):
        two.release()


def test_a_release_whose_claim_was_removed_is_withdrawn_by_what_it_says_itself(two):
    two.store.root.joinpath(SECOND).unlink()
    done = yank.yank(two.store, "tiny", "v2", two.signer, cause=yank.Cause("bad"), preferred="stable", expires_days=90)
    assert ([(move.before, move.after) for move in done.channels], done.unlike) == ([("v2", "v1")], ())


def test_with_another_key_nothing_is_listed_and_it_is_said_why(two, tmp_path, capsys):
    from slipway import cli

    key = release_project.key_pair(tmp_path / "other.key").with_suffix(".pub")
    assert cli.main(["releases", "tiny", "--store", str(two.store.root), "--key", str(key)]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert "000001.json: the signature does not fit" in said.err


def test_a_number_whose_claim_was_removed_is_not_given_again(two):
    two.store.root.joinpath(SECOND).unlink()
    release_project.bundle(two.root, card="# Three\n")
    digest = manifest.digest(two.root / "bundle")
    made = claiming.claim_version(two.store, "tiny", "auto", digest, two.signer, above=2)
    assert (made.version, made.sequence) == ("v3", 3)


def test_a_channel_at_a_number_that_was_given_again_is_not_moved(two):
    """As above, by a publisher who does not know what was taken: the channel does, and keeps its release."""
    two.store.root.joinpath(SECOND).unlink()
    release_project.bundle(two.root, card="# Three\n")
    made = claiming.claim_version(two.store, "tiny", "other", manifest.digest(two.root / "bundle"), two.signer)
    assert made.sequence == 2
    from slipway.release.publishing import moving

    with pytest.raises(Refusal, match=r"names v2 as release 2, but that number was claimed for other"):
        moving.move_pointer(two.store, made, two.signer, channel="stable", expires_days=90)


def test_claims_of_a_retired_key_stand_and_it_makes_no_more(two, tmp_path):
    old, new = two.signer, keys.file_signer(release_project.key_pair(tmp_path / "new.key"))
    before = claiming.claims(two.store, "tiny", two.public)
    rotation.rotate(two.store, old, new)
    for public in (keys.public_of(old), keys.public_of(new)):
        assert claiming.claims(two.store, "tiny", public) == before
    with pytest.raises(Refusal, match="sign with the key that followed it"):
        claiming.claim_version(two.store, "tiny", "auto", "ab" * 32, old)
    plant(two, "claims/tiny/000003.json", saying(two, version="v3", sequence=3), old)
    with pytest.raises(Refusal, match=r"000003\.json: signed by key .* was retired on .* had not signed this"):
        claiming.claims(two.store, "tiny", keys.public_of(new))
