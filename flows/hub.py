"""The wiring of the hub: a release in the store goes to `release.hub` too, and is read back as a stranger would.

No Prefect here. `flows.steps` makes it a part of publishing.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from slipway.adapters import hub as hubs
from slipway.errors import Refusal
from slipway.release.publishing.claim import Claim
from slipway.release.reading import verify as verifying

if TYPE_CHECKING:
    from flows.steps import Context

TAG = "slipway.hub"
"""Of a model version in MLflow: where the release lies on the hub."""


def ready(context: "Context") -> None:
    """That the hub of the recipe can be written to, asked before anything is signed; nothing without one."""
    if context.recipe.release.hub:
        hubs.ready(context.recipe.release.hub)


def publish(context: "Context", claim: Claim, staged: Path, public: bytes) -> str:
    """Bring a signed directory to the hub; returns `hub://OWNER/NAME@COMMIT`.

    A commit that an interrupted attempt made is taken, if it holds the release byte for byte.

    Raises:
        Refusal: if what lies there afterwards is not what was signed.
    """
    from slipway.adapters import tracking

    repository = str(context.recipe.release.hub)
    title = _title(claim.name, claim.version, claim.manifest_sha256)
    sent = next((one for one in hubs.find(repository, title) if _fault(one, claim, public) is None), None)
    if sent is None:
        text = "Every file is covered by model.sig; check it with `slipway verify` or `model_signing verify`."
        sent = hubs.send(repository, staged, title=title, text=text)
        if fault := _fault(sent, claim, public):
            raise Refusal(f"{fault}. It was not tagged; look at the repository, then run `slipway release` again")
    hubs.tag(sent, claim.version)
    tracking.tell(context.root, claim.name, context.digest, {TAG: sent.url})
    return sent.url


def withdraw(repository: str, name: str, version: str, digest: str, tombstone: bytes) -> list[str]:
    """Leave the signed tombstone at each commit that holds a release; returns their addresses, none if it is not there.

    Raises:
        UserError: if the hub is not reached or refuses.
    """
    found = hubs.find(repository, _title(name, version, digest))
    for sent in found:
        hubs.withdraw(sent.repository, sent.commit, tombstone, title=f"{name} {version} was withdrawn")
    return [sent.url for sent in found]


def _title(name: str, version: str, digest: str) -> str:
    """Message of a release's commit."""
    return f"{name} {version}: bundle {digest}"


def _fault(sent: hubs.Sent, claim: Claim, public: bytes) -> str | None:
    """What is wrong with the release at a commit, every byte of it read; None if it is the claimed one."""
    try:
        found = verifying.verify(hubs.open_hub(sent.url), "", public).release
    except Refusal as refusal:
        return str(refusal)
    same = found.model_dump(exclude={"predecessor"}) == claim.model_dump()
    return None if same else f"{sent.url}: a signed release, but {found.name} {found.version} and not the claimed one"
