"""The nightly look and a withdrawal as flows on a real Prefect server: what fails, and the events that it gets."""

import pytest

from flows import watching
from flows.server import prefect_api
from slipway.errors import Refusal
from tests import release_project
from tests.prefect_server import Api, until

pytestmark = pytest.mark.journey


def events(url, wanted):
    """Names and payloads of the events of ours, once `wanted` of them have arrived."""
    api, ours = Api(url, token=False), {"filter": {"event": {"prefix": ["slipway."]}}}

    def found():
        return {event["event"]: event for event in api("POST", "events/filter", ours)["events"]}

    return until(lambda: seen if len(seen := found()) >= wanted else None, found)


def test_incident_and_withdrawal_are_events_and_an_incident_fails_the_run(server_project, run, tmp_path, monkeypatch):
    project = server_project
    monkeypatch.setenv("SLIPWAY_STATE", str(tmp_path / "state"))
    for card in ("# One\n", "# Two\n"):
        release_project.bundle(project, card=card)
        run(project)
    with prefect_api(project) as url:
        from flows.rescan import rescan
        from flows.yank import yank

        assert "tiny v2; 19 files as signed" in rescan()
        path = project / ".slipway" / "store" / "releases" / "tiny" / "v2" / "README.md"
        path.write_bytes(path.read_bytes() + b" ")
        with pytest.raises(Refusal, match=r"rescan: 1 new, 0 still open"):
            rescan()
        with pytest.raises(Refusal, match=r"rescan: 0 new, 1 still open"):
            rescan()
        assert "told: use v1 instead" in yank("tiny@v2", "its card was altered", "high")
        assert "tiny v1" in rescan()
        found = events(url, 3)
    assert set(found) == {"slipway.incident", "slipway.incident.mended", "slipway.yanked"}
    assert found["slipway.incident"]["payload"]["kind"] == "bytes"
    assert found["slipway.incident"]["resource"]["prefect.resource.id"] == "slipway.release.tiny.v2"
    assert found["slipway.yanked"]["payload"]["yanked"]["severity"] == "high"
    assert watching.rescan(project).failed is False
