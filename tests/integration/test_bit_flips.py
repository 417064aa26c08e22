"""One flipped bit anywhere in a release, its pointer, an approval or a tombstone is refused."""

from tests import bit_flips


def test_no_flipped_bit_goes_unnoticed(site):
    found = bit_flips.subjects(site)
    assert len(found) >= 22
    assert bit_flips.missed(found, 1000, seed=6) == []
