"""What the nightly look at published releases finds: looks, and the incidents that follow from them."""

from typing import Literal

from slipway.records.base import Record

IncidentKind = Literal[
    "pointer", "rolled-back", "expiring", "bytes", "replaced", "release-missing", "tombstone-missing", "tombstone",
    "scan", "advisory", "audit",
]  # fmt: skip


class Incident(Record):
    """A change for the worse of something published."""

    id: str
    """Of kind and subject: the same fault has the same id every night, until it is mended."""
    time: str
    """When it was found first, ISO 8601."""
    kind: IncidentKind
    severity: Literal["fault", "warning"]
    """`fault`: do not use what is published. `warning`: somebody must act, but what is published is as signed."""
    release: str
    """Name and version, or name and channel."""
    details: str


class Look(Record):
    """What there was to see of a channel at one time."""

    name: str
    channel: str
    time: str
    serial: int
    """Of the pointer; 0 if it could not be read."""
    version: str | None
    manifest_sha256: str | None
    expires: str | None
    files: int
    """As signed; 0 if they are not."""
    files_scanned: int
    releases: tuple[str, ...]
    """Versions of the name that are whole, by the list of their files."""
    withdrawn: tuple[str, ...]
    """Versions with a tombstone that holds."""
    listed: tuple[str, ...]
    """Versions that the pointer says were withdrawn."""
    findings: tuple[str, ...]
    """Of the scan, by today's rules."""
    audit: str
    """Its status; `not run` where there was nothing to audit."""
    advisories: dict[str, str]
    """Id -> package and version, of known vulnerabilities of the software behind it."""
    broken: dict[str, str]
    """Kind of incident -> what does not hold."""


class OpenIncident(Record):
    """An incident that stands."""

    incident: Incident
    delivered: bool = False
    """Whether the webhook took it."""


class Watch(Record):
    """What is kept between two looks at a channel."""

    look: Look | None = None
    incidents: tuple[OpenIncident, ...] = ()
