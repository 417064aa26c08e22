"""The run behind a release is read from the release that was verified, and from no other."""

import pytest

from slipway.errors import Refusal
from slipway.release.reading import recorded, verify


def test_another_signed_release_in_its_place_is_refused(site):
    claim = site.release()
    prefix = "releases/tiny/v1"
    assert verify.verify(site.store, prefix, site.public).release.manifest_sha256 == claim.manifest_sha256
    with pytest.raises(Refusal, match="releases/tiny/v1: not the release that was verified a moment ago"):
        recorded.read_run(site.store, prefix, site.public, "00" * 32)
