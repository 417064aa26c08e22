"""The events that Prefect is told of what happens to a release after it was published: by a flow, or from a console.

A flow emits them as part of its run. A command in a console sends them to a Prefect server that is there already, and
starts none: what it was asked to do is done without one, and does not fail because nobody could be told.
"""

from pathlib import Path
from typing import Any, NamedTuple

from flows import watching
from flows.server import known, talking_to
from slipway.errors import UserError
from slipway.records import Incident


class Event(NamedTuple):
    """What Prefect is told."""

    event: str
    """Its name."""
    resource: dict[str, str]
    payload: dict[str, Any]


def of_withdrawal(release: str, told: watching.Told) -> Event:
    """That NAME@VERSION was withdrawn."""
    name, _, version = release.partition("@")
    resource = {"prefect.resource.id": f"slipway.release.{name}.{version}", "prefect.resource.name": release}
    return Event("slipway.yanked", resource, told.done.model_dump(mode="json"))


def of_night(night: watching.Night) -> list[Event]:
    """What is new and what is mended since the last look; what stands was told before."""
    found = [_of_incident(incident, "slipway.incident") for incident in night.new]
    return found + [_of_incident(incident, "slipway.incident.mended") for incident in night.mended]


def _of_incident(incident: Incident, event: str) -> Event:
    resource = {
        "prefect.resource.id": f"slipway.release.{incident.release.replace(' ', '.').replace('/', '.')}",
        "prefect.resource.name": incident.release,
        "slipway.kind": incident.kind,
        "slipway.severity": incident.severity,
    }
    return Event(event, resource, incident.model_dump(mode="json"))


def send(root: Path, events: list[Event]) -> str | None:
    """Send events to the Prefect server that is configured or runs here.

    Returns: a line on it; None if there is no server, or nothing to tell.
    """
    if not events:
        return None
    try:
        url = known(root)
        if url is None:
            return None
        _post(url, events)
    except UserError as fault:
        return f"prefect    was not told: {fault}"
    names = ", ".join(dict.fromkeys(event.event for event in events))
    return f"prefect    {len(events)} sent ({names})"


def _post(url: str, events: list[Event]) -> None:
    """By its own client, which knows login and CSRF protection; and not by its queue, which loses what is not taken.

    Raises:
        UserError: if the server does not take them.
    """
    import httpx
    from prefect.client.orchestration import get_client
    from prefect.events import Event as Told

    told = [Told(**event._asdict()).model_dump(mode="json") for event in events]
    try:
        with talking_to(url), get_client(sync_client=True, httpx_settings={"timeout": 10}) as client:
            client.request("POST", "/events", json=told)
    except (httpx.HTTPError, OSError) as error:
        raise UserError(f"{url} did not take it ({' '.join(str(error).split())[:200]})") from None
