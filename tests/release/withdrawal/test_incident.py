"""Which incidents follow from two looks at a channel."""

import pytest

from slipway.records import Look, OpenIncident
from slipway.release.withdrawal import incident


def look(**changed) -> Look:
    return Look(
        **{
            "name": "tiny", "channel": "stable", "time": "2026-01-02T03:00:00+00:00", "serial": 4, "version": "v2",
            "manifest_sha256": "aa", "expires": "2026-03-01T00:00:00+00:00", "files": 19, "files_scanned": 19,
            "releases": ("v1", "v2", "v3"), "withdrawn": ("v3",), "listed": ("v3",), "findings": (), "audit": "clean",
            "advisories": {}, "broken": {},
        } | changed
    )  # fmt: skip


def kinds(before, now):
    return [(found.kind, found.release) for found in incident.compare(before, now)]


def test_nothing_changed_is_no_incident():
    assert kinds(None, look()) == kinds(look(), look()) == []


@pytest.mark.parametrize(
    "changed",
    [
        {"version": "v4", "serial": 5, "manifest_sha256": "bb", "releases": ("v1", "v2", "v3", "v4")},
        {"version": "v1", "serial": 5, "manifest_sha256": "cc", "withdrawn": ("v2", "v3"), "listed": ("v2", "v3")},
        {"version": None, "serial": 5, "manifest_sha256": None, "files": 0, "audit": "not run", "expires": None}
        | {"withdrawn": ("v1", "v2", "v3"), "listed": ("v1", "v2", "v3")},
    ],
)
def test_a_release_and_a_withdrawal_are_no_incidents(changed):
    found = kinds(look(), look(**changed))
    assert [entry for entry in found if entry[0] != "audit"] == []
    assert found == [] or changed["version"] is None


@pytest.mark.parametrize(
    ("changed", "kind"),
    [
        ({"broken": {"bytes": "v2/config.json: sha256 is x"}}, ("bytes", "tiny v2")),
        ({"serial": 0, "version": None, "broken": {"pointer": "gone"}, "expires": None}, ("pointer", "tiny/stable")),
        ({"serial": 3}, ("rolled-back", "tiny/stable")),
        ({"manifest_sha256": "bb"}, ("replaced", "tiny v2")),
        ({"releases": ("v2", "v3")}, ("release-missing", "tiny v1")),
        ({"withdrawn": ()}, ("tombstone-missing", "tiny v3")),
        ({"findings": ("rule x: y",)}, ("scan", "tiny v2")),
        ({"advisories": {"PYSEC-1": "pip 1"}}, ("advisory", "tiny v2")),
        ({"audit": "stale"}, ("audit", "tiny v2")),
        ({"expires": "2026-01-10T00:00:00+00:00"}, ("expiring", "tiny v2")),
    ],
)
def test_each_change_for_the_worse_is_one_and_stands_until_it_is_mended(changed, kind):
    worse = look(**changed)
    assert kinds(look(), worse) == [kind]
    kept = incident.keep(look(), worse)
    later = worse.model_copy(update={"time": "2026-01-03T03:00:00+00:00"})
    first, second = incident.compare(look(), worse)[0], incident.compare(kept, later)[0]
    assert first.id == second.id, "the second night it is the same incident"
    assert kinds(incident.keep(kept, look()), look()) == [], "and mended, it is none"


def test_what_is_carried_keeps_its_first_time_and_its_delivery():
    old = incident.compare(None, look(broken={"bytes": "x"}))
    standing, mended = incident.carry(tuple(OpenIncident(incident=found, delivered=True) for found in old), old)
    assert ([entry.delivered for entry in standing], mended) == ([True], [])
    standing, mended = incident.carry(tuple(standing), [])
    assert (standing, mended) == ([], old)


def test_two_findings_are_two_incidents_and_two_channels_too():
    found = incident.compare(None, look(findings=("a x", "b y")))
    assert len({entry.id for entry in found}) == 2
    other = incident.compare(None, look(channel="beta", findings=("a x",)))
    assert other[0].id not in {entry.id for entry in found}
