"""Sections `bundle`, `scan` and `release`: what is published, and on which conditions."""

from typing import Annotated, Literal

from pydantic import Field

from slipway.settings.base import Count, Name, Settings
from slipway.settings.gate import Gate


class Price(Settings):
    """What training costs, for the ledger."""

    per_device_hour: Annotated[float, Field(ge=0)]
    """For one hour of one device (a GPU; on processors, a process), whichever it is."""
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
    """ISO 4217, e.g. USD."""


class Bundle(Settings):
    """What the release says of itself."""

    title: str
    summary: str
    licence: str
    """SPDX expression of the released weights."""
    language: Annotated[tuple[str, ...], Field(min_length=1)]
    """ISO 639-1 codes."""
    intended_use: str
    limitations: str
    provider: str | None = None
    """Who places the model on the market: a name, for the data card."""
    contact: str | None = None
    """Where the provider can be reached: an address, a page or a mailbox."""
    rights_reservation: str | None = None
    """How reservations of rights (opt-outs from text and data mining) were respected, in a sentence or two."""
    illegal_content: str | None = None
    """How illegal content was kept out of the training data, in a sentence or two."""
    price: Price | None = None
    """Without one the ledger states no cost."""
    gguf: tuple[Literal["f32", "f16", "bf16", "q8_0"], ...] = ()
    """Types in which the release holds the model as GGUF too, one file each, for llama.cpp."""


class Scan(Settings):
    """Limits of the file scan."""

    max_file_bytes: Count
    """Larger files are refused."""


class Approver(Settings):
    """One of those who may approve."""

    key: str
    """Path of the public key (PEM), relative to the project."""
    identity: str | None = None
    """E-mail address that this person commits with; without one the approver's name stands for it."""


class Approval(Settings):
    """Who must agree before anything is signed."""

    required: Annotated[int, Field(ge=0)] = 0
    """Approvers needed; 0 means that nobody approves, and the card says so. From 2 on a run's author is not counted."""
    approvers: dict[Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._@-]*$")], str | Approver] = {}
    """Name to path of the approver's public key (PEM), or to key and identity."""

    def people(self) -> dict[str, Approver]:
        """Everybody who may approve, by name."""
        return {
            name: Approver(key=listed) if isinstance(listed, str) else listed for name, listed in self.approvers.items()
        }


class Audit(Settings):
    """Known vulnerabilities of the software behind a release, looked up in a dated local snapshot of advisories."""

    advisories: str = ".slipway/advisories"
    """Directory or zip of advisories in OSV format, relative to the project; nothing is downloaded."""
    max_age_days: Count = 30
    """A snapshot whose newest advisory is older is stale."""
    required: bool = False
    """Refuse a release whose audit is stale or could not be run; otherwise it is a warning."""


class Release(Settings):
    """How a bundle becomes a release."""

    version: str = "auto"
    """`auto` counts up (v1, v2, …); anything else is taken as given and may be used once."""
    channel: Name = "stable"
    """Pointer that is moved to the new release."""
    expires_days: Count = 90
    """Days after which readers should refuse a channel pointer that was not renewed."""
    checkpoints: bool = False
    """Publish the checkpoints that are at hand too (`train.keep`), so that strangers can replay a segment."""
    approval: Approval = Approval()
    audit: Audit = Audit()
    hub: Annotated[str, Field(pattern=r"^[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*$")] | None = None
    """Repository on a Hugging Face hub, OWNER/NAME, that gets each release too, in one commit."""
    gate: Gate = Gate()
