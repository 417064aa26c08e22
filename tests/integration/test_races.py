"""Publishers racing on one store while a reader polls: one bundle per version, no gap, never half a release."""

from pathlib import Path

import pytest

from slipway.adapters.store import LocalStore
from slipway.errors import Refusal
from slipway.release.publishing import pointer, publish, sealing
from slipway.release.reading import verify
from slipway.release.signing import keys
from tests import counting_s3, publishers, racers, release_project

COUNT = {"local": 16, "s3": 8}
POLLS = {"local": 500, "s3": 50}


@pytest.fixture(params=["local", "s3"])
def place(request, tmp_path, monkeypatch):
    """(kind, address of an empty store, environment that reaches it)."""
    for name in ("SLIPWAY_KEY", "SLIPWAY_STORE"):
        monkeypatch.delenv(name, raising=False)
    if request.param == "local":
        yield "local", str(tmp_path / "store"), {}
        return
    with counting_s3.running(tmp_path / "server") as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        yield "s3", f"s3://{counting_s3.BUCKET}/race", server.environment


def test_one_version_wanted_by_many_bundles_goes_to_one_and_the_rest_are_told(place, tmp_path):
    kind, url, environment = place
    jobs = racers.field(tmp_path / "projects", COUNT[kind], url, environment)
    race = racers.race(jobs, "v1", POLLS[kind])
    assert len(race.published) == 1
    assert len(race.told) == COUNT[kind] - 1
    for told in race.told:
        assert "tiny v1 is another bundle already" in told
        assert "raise release.version in params.yaml" in told
    [claim] = racers.standing(url, keys.public_key(jobs[0].root))
    assert race.published[0]["claim"] == claim.model_dump()
    assert race.sequences in ([1], [])


def test_versions_of_their_own_have_no_gap_and_the_channel_ends_at_the_highest(place, tmp_path):
    kind, url, environment = place
    jobs = racers.field(tmp_path / "projects", COUNT[kind], url, environment)
    race = racers.race(jobs, "auto", POLLS[kind])
    assert len(race.published) == COUNT[kind], race.told
    public = keys.public_key(jobs[0].root)
    assert len(racers.standing(url, public)) == COUNT[kind]
    assert {said["claim"]["sequence"] for said in race.published} == set(range(1, COUNT[kind] + 1))
    named = verify.verify_channel(publishers.store_of(url), publishers.NAME, publishers.CHANNEL, public)
    assert named.release.sequence == COUNT[kind]
    assert race.polls >= POLLS[kind]
    assert race.full >= POLLS[kind] // racers.FULL


def test_the_same_bundle_released_many_times_at_once_is_one_release(place, tmp_path):
    kind, url, environment = place
    jobs = racers.field(tmp_path / "projects", COUNT[kind], url, environment, same=True)
    racers.race(jobs, "auto", POLLS[kind])
    for job in jobs:  # who was told to run it again does
        publishers.Publisher(job).finished()
    assert len(racers.standing(url, keys.public_key(jobs[0].root))) == 1


@pytest.mark.parametrize("place", ["s3"], indirect=True)
def test_a_poll_costs_two_requests_while_nothing_changes(place, tmp_path):
    """The pointer and the listing; signature and manifest are asked for again only if the pointer is another one."""
    _, url, environment = place
    [job] = racers.field(tmp_path / "projects", 1, url, environment)
    publishers.Publisher(job).finished()
    reader = racers.Follower(url, keys.public_key(job.root))
    server = counting_s3.Server(environment["AWS_ENDPOINT_URL"], tmp_path / "server" / "requests.jsonl")
    assert reader.poll() == 1
    before = len(server.requests())
    for _ in range(10):
        assert reader.poll() == 1
    assert [row["method"] for row in server.requests(before)] == ["GET"] * 20
    racers.alter(Path(job.root), "# Second\n")
    publishers.Publisher(job).finished()
    before = len(server.requests())
    assert reader.poll() == 2
    # The pointer twice, the key log, the manifest, the listing.
    assert len(server.requests(before)) == 5


def test_publishing_a_second_release_takes_no_more_requests_than_it_needs(tmp_path, monkeypatch):
    """18 files, 16 of them small: each is sent and read back once; what is about the release as a whole is about 40."""
    with counting_s3.running(tmp_path / "server") as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        url = f"s3://{counting_s3.BUCKET}/few"
        [job] = racers.field(tmp_path / "projects", 1, url, server.environment)
        publishers.Publisher(job).finished()
        racers.alter(Path(job.root), "# Second\n")
        before = len(server.requests())
        publishers.Publisher(job).finished()
        assert len(server.requests(before)) <= 110
        again = len(server.requests())
        publishers.Publisher(job).finished()
        assert len(server.requests(again)) <= 50


def test_two_who_sealed_the_same_bundle_do_not_mix_their_signatures(tmp_path):
    """One is killed when its statement lies in the store; the other, sealed before that, must not sign over its own."""
    root = release_project.make(tmp_path / "project")
    store, signer = LocalStore(tmp_path / "store"), keys.signer(root)
    public = keys.public_of(signer)
    sealed = []
    for turn in ("a", "b"):
        claim, staged = publishers.seal(root, store, "auto", tmp_path / turn)
        sealed.append(LocalStore(staged))
    one, other = sealed
    assert one.read("statement.json") != other.read("statement.json")
    store.create("releases/tiny/v1/statement.json", one.root / "statement.json")
    with pytest.raises(Refusal, match="run `slipway release` again"):
        publish.publish(store, claim, other, signer, channel="stable", expires_days=90)
    assert "releases/tiny/v1/model.sig" not in store.list("releases/tiny/v1")
    sealing.discard(tmp_path / "b")
    claim, staged = publishers.seal(root, store, "auto", tmp_path / "b")
    publish.publish(store, claim, LocalStore(staged), signer, channel="stable", expires_days=90)
    assert verify.verify_channel(store, "tiny", "stable", public).release.version == "v1"
    assert pointer.read_pointer(store, "tiny", "stable", public).sequence == 1
