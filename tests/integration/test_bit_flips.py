"""One flipped bit anywhere in a release, its pointer, the key log, an approval or a tombstone is refused."""

from tests import bit_flips
from tests.release.conftest import site  # noqa: F401  the fixture


def test_no_flipped_bit_goes_unnoticed(site):  # noqa: F811
    found = bit_flips.subjects(site)
    assert len(found) >= 24
    assert bit_flips.missed(found, 1000, seed=6) == []
