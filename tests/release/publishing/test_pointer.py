"""The laws of a channel's pointer, whatever is done in whatever order."""

from datetime import UTC, datetime, timedelta

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from slipway.adapters.store import LocalStore
from slipway.errors import Refusal
from slipway.release.publishing import moving, pointer
from slipway.release.publishing.claim import Claim
from slipway.release.signing import keys
from slipway.release.withdrawal import tombstone
from tests import release_project

CHANNELS = ("stable", "beta")
VERSIONS = range(1, 6)
actions = st.one_of(
    st.tuples(st.just("release"), st.sampled_from(VERSIONS), st.sampled_from(CHANNELS)),
    st.tuples(st.just("yank"), st.sampled_from(VERSIONS), st.none()),
    st.tuples(st.just("renew"), st.sampled_from(VERSIONS), st.sampled_from(CHANNELS)),
    st.tuples(st.just("damage"), st.sampled_from(VERSIONS), st.none()),
)


def claim(number: int) -> Claim:
    return Claim(name="tiny", version=f"v{number}", sequence=number, manifest_sha256=f"{number:064x}")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(actions, max_size=14))
def test_it_never_names_a_withdrawn_version_and_its_serial_only_grows(tmp_path_factory, steps):
    place = tmp_path_factory.mktemp("pointer")
    store = LocalStore(place / "store")
    signer = keys.file_signer(release_project.key_pair(place / "release.key"))
    public, now = keys.public_of(signer), datetime.now(UTC)
    gone, damaged, serial, was = set(), set(), dict.fromkeys(CHANNELS, 0), dict.fromkeys(CHANNELS)
    for what, number, channel in steps:
        now += timedelta(days=1)
        one = claim(number)
        if what == "damage":
            damaged.add(one.version)
        elif what == "yank":
            if one.version not in gone:
                yanked = tombstone.Yanked(
                    name="tiny", version=one.version, manifest_sha256=one.manifest_sha256, reason="bad",
                    time=now.isoformat(), replaced_by=None,
                )  # fmt: skip
                store.create(f"releases/tiny/{one.version}/yanked.json", tombstone.write(yanked, signer))
            gone.add(one.version)
            for each in pointer.channels(store, "tiny"):
                moving.take_back(
                    store, "tiny", one.version, signer, channel=each, expires_days=90, now=now,
                    good=lambda past: None if past in gone | damaged else claim(int(past[1:])),
                )  # fmt: skip
        else:
            later = now + timedelta(days=60) if what == "renew" else now
            try:
                outcome = moving.move_pointer(store, one, signer, channel=channel, expires_days=90, now=later)
                assert one.version not in gone or outcome == "superseded"
            except Refusal:
                assert one.version in gone
        for each in pointer.channels(store, "tiny"):
            held = pointer.read_pointer(store, "tiny", each, public)
            changed = held != was[each]
            assert held.serial == serial[each] + changed, "every change is counted, and only changes are"
            assert held.version not in gone
            assert (held.version is None) == (held.sequence == 0) == (held.manifest_sha256 is None)
            assert not was[each] or set(was[each].withdrawn) <= set(held.withdrawn)
            assert held.version not in held.history
            serial[each], was[each] = held.serial, held


def test_a_pointer_of_before_there_were_withdrawals_is_read(tmp_path):
    """As Slipway wrote it until then: no serial number, no list, no history."""
    from slipway.release.signing.envelope import seal

    signer = keys.file_signer(release_project.key_pair(tmp_path / "release.key"))
    store = LocalStore(tmp_path / "store")
    old = claim(1).model_dump() | {"channel": "stable", "expires": "2999-01-01T00:00:00+00:00"}
    store.create("channels/tiny/stable.json", seal(old, pointer.POINTER, signer))
    assert moving.move_pointer(store, claim(2), signer, channel="stable", expires_days=90) == "moved"
    held = pointer.read_pointer(store, "tiny", "stable", keys.public_of(signer))
    assert (held.serial, held.history) == (1, ("v1",))


def test_a_mover_sees_what_a_faster_one_did(tmp_path):
    signer = keys.file_signer(release_project.key_pair(tmp_path / "release.key"))
    real = LocalStore(tmp_path / "store")
    moving.move_pointer(real, claim(1), signer, channel="stable", expires_days=90)

    class Raced:
        """Before the first swap somebody else releases v3."""

        first = True

        def __getattr__(self, name):
            return getattr(real, name)

        def swap(self, *arguments):
            if self.first:
                self.first = False
                moving.move_pointer(real, claim(3), signer, channel="stable", expires_days=90)
            return real.swap(*arguments)

    assert moving.move_pointer(Raced(), claim(2), signer, channel="stable", expires_days=90) == "superseded"
    _, after = moving.take_back(
        Raced(), "tiny", "v3", signer, channel="stable", expires_days=90, good=lambda past: claim(int(past[1:]))
    )
    assert (after.version, after.serial) == ("v1", 3)
