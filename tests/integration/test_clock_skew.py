"""Publishers and readers whose clocks differ by an hour either way: the channel goes on, and nobody is turned away."""

import os
import time
from datetime import UTC, datetime, timedelta

import pytest

from slipway.adapters.store import LocalStore
from slipway.release.publishing import moving, pointer
from slipway.release.reading import verify
from tests import release_project
from tests.release.conftest import site  # noqa: F401  the fixture

HOUR = timedelta(hours=1)


@pytest.mark.parametrize("skew", [-HOUR, HOUR])
def test_publishers_an_hour_apart_follow_one_another(site, skew):  # noqa: F811
    now = datetime.now(UTC)
    first = site.seal()
    site.send(first)
    assert moving.move_pointer(site.store, first, site.signer, channel="stable", expires_days=90, now=now + skew) == (
        "unchanged"
    )
    before = pointer.read_pointer(site.store, "tiny", "stable", site.public)
    release_project.bundle(site.root, card="# Second\n")
    second = site.release()
    # The one whose clock differs comes last, with the older release and with the newer.
    for claim, outcome in ((first, "superseded"), (second, "unchanged")):
        moved = moving.move_pointer(
            site.store, claim, site.signer, channel="stable", expires_days=90, now=now + 2 * skew
        )
        assert moved == outcome
    after = pointer.read_pointer(site.store, "tiny", "stable", site.public)
    assert (after.version, after.sequence) == ("v2", 2)
    assert after.serial > before.serial
    for reader in (-HOUR, timedelta(0), HOUR):
        found = verify.verify_channel(site.store, "tiny", "stable", site.public, now=now + skew + reader)
        assert found.release.version == "v2"


@pytest.mark.parametrize("skew", [-HOUR, HOUR])
def test_a_pointer_is_renewed_in_time_by_any_clock(site, skew):  # noqa: F811
    claim = site.release()
    half = datetime.now(UTC) + timedelta(days=46)
    move = moving.move_pointer
    assert move(site.store, claim, site.signer, channel="stable", expires_days=90, now=half + skew) == "renewed"
    late = half + timedelta(days=89)
    assert verify.verify_channel(site.store, "tiny", "stable", site.public, now=late + skew).release.version == "v1"


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_file_that_another_clock_dates_is_not_swept_from_under_its_writer(tmp_path, hours):
    store = LocalStore(tmp_path)
    store.create("a", b"1")
    writing = tmp_path / ".tmp" / "being-written"
    writing.write_bytes(b"half")
    then = time.time() + 3600 * hours
    os.utime(writing, (then, then))
    store.create("b", b"2")
    assert writing.exists()
