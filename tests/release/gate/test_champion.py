"""The champion is what the channel names, held against its own signature."""

import json

import pytest

from slipway import items
from slipway.errors import Refusal
from slipway.files import write_atomic
from slipway.release.bundle import manifest
from slipway.release.gate import champion
from slipway.release.withdrawal import tombstone
from tests import release_project


def read(site):
    return champion.read(site.store, "tiny", "stable", site.public)


def rebuild(site, drop="", **files):
    """The bundle with other files, and its manifest anew."""
    bundle = site.root / "bundle"
    for name, data in files.items():
        write_atomic(bundle / name, data)
    if drop:
        (bundle / drop).unlink()
    manifest.write(bundle, "tiny")


def test_before_the_first_release_there_is_none(site):
    assert read(site) is None


def test_it_is_the_release_that_the_channel_names(site):
    site.release()
    digest = manifest.digest(site.root / "bundle")
    found = read(site)
    assert (found.release, found.manifest_sha256, found.slipway, found.unfit) == ("tiny v1", digest, "0.1.0", "")
    assert found.report.tasks["bits_per_byte"].measure.value == pytest.approx(1.9)
    assert found.items.num_rows == 120
    release_project.bundle(site.root, seed=1)
    site.release()
    assert read(site).release == "tiny v2"


def test_a_withdrawal_that_was_interrupted_is_finished_before_the_next_release(site):
    site.release()
    cause = tombstone.Yanked(
        name="tiny", version="v1", manifest_sha256="0" * 64, reason="bad", time="", replaced_by=None
    )
    site.store.create(tombstone.key_of("releases/tiny/v1"), tombstone.write(cause, site.signer))
    with pytest.raises(Refusal, match=r"channel stable names it all the same.*slipway yank tiny@v1"):
        read(site)


def test_a_release_without_an_item_table_says_so(site):
    rebuild(site, drop=f"records/{items.NAME}")
    site.release()
    found = read(site)
    assert (found.items, found.unfit) == (None, "it has no records/evaluate_items.parquet")
    assert found.report is not None


def test_a_report_of_an_older_slipway_says_so(site):
    record = json.loads((site.root / "bundle" / champion.REPORT).read_text())
    record |= {"slipway": "0.0.1", "result": {"bits_per_byte": {}}}
    rebuild(site, **{champion.REPORT: json.dumps(record)})
    site.release()
    found = read(site)
    assert (found.report, found.slipway) == (None, "0.0.1")
    assert found.unfit == "records/evaluate.json is of Slipway 0.0.1, and no report that this one reads"


@pytest.mark.parametrize("data", [b"PAR1 no table", b""])
def test_a_table_that_is_none_says_so(site, data):
    rebuild(site, **{champion.ITEMS: data})
    site.release()
    assert "is no item table that this Slipway reads" in read(site).unfit


@pytest.mark.parametrize("name", [champion.REPORT, champion.ITEMS])
def test_other_bytes_than_were_signed_are_refused(site, name):
    site.release()
    release_project.flip(site.store.root / "releases/tiny/v1" / name)
    with pytest.raises(Refusal, match="not the bytes that were signed"):
        read(site)
    (site.store.root / "releases/tiny/v1" / name).unlink()
    with pytest.raises(Refusal, match="signed, but missing"):
        read(site)


def test_another_key_is_refused(site, tmp_path):
    site.release()
    other = release_project.key_pair(tmp_path / "other.pem").with_suffix(".pub")
    public = next(path for path in (tmp_path / "other.pub", other, tmp_path / "other.pem.pub") if path.is_file())
    with pytest.raises(Refusal):
        champion.read(site.store, "tiny", "stable", public.read_bytes())


def test_another_release_in_its_place_is_refused(site):
    site.release()
    release_project.bundle(site.root, seed=1)
    site.release()
    store = site.store.root / "releases/tiny"
    (store / "v2").rename(store / "v3")
    (store / "v1").rename(store / "v2")
    with pytest.raises(Refusal, match="not the release that channel stable was signed for"):
        read(site)


def test_a_release_without_its_signature_is_refused(site):
    site.release()
    (site.store.root / "releases" / "tiny" / "v1" / "model.sig").unlink()
    with pytest.raises(Refusal, match="its signature is gone"):
        read(site)
