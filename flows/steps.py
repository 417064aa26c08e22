"""The wiring of the release half: where rooms meet adapters. No Prefect here; the flows call these functions.

Every release step takes a `Context` and returns what the journal keeps. Each is idempotent: it looks for what it would
make, takes that if it still holds, and makes it otherwise.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows import approving, gating, hub
from slipway.adapters.store import LocalStore, S3Store, open_store
from slipway.errors import Refusal
from slipway.model import kept
from slipway.recipe import Recipe, load
from slipway.records import GateVerdict, TrainReport, project_ledger, read_report
from slipway.release import ledger, statement
from slipway.release.bundle import manifest
from slipway.release.journal import Journal, release_lock
from slipway.release.publishing import checkpoints, moving, recall, sealing
from slipway.release.publishing import pointer as pointers
from slipway.release.publishing import publish as publishing
from slipway.release.publishing.claim import Claim, claim_version
from slipway.release.reading import verify as verifying
from slipway.release.signing import keyring, keys

if TYPE_CHECKING:
    from securesystemslib.signer import Signer

__all__ = ["STEPS", "Context", "done", "open_context", "perform", "release_lock", "reverify", "spent"]

CHECKPOINTS = Path(".slipway", "checkpoints")
"""Where training keeps its own, in the project."""


@dataclass(frozen=True)
class Context:
    """What every step of one release gets."""

    root: Path
    recipe: Recipe
    digest: str
    """The bundle digest: the only thing the steps are about."""
    store: LocalStore | S3Store
    journal: Journal

    @property
    def bundle(self) -> Path:
        return self.root / "bundle"

    @property
    def signer(self) -> "Signer":
        return keys.signer(self.root, shared=not isinstance(self.store, LocalStore))


def open_context(root: Path) -> Context:
    """The release of the bundle that lies in `root`; raises UserError if there is none."""
    digest = manifest.digest(root / "bundle")
    return Context(root, load(root / "params.yaml"), digest, open_store(root=root), Journal.of(root, digest))


def judge(context: Context) -> dict[str, Any]:
    """Gate: go on only with GO. The bundle is scanned once more, right here."""
    gating.refuse_withdrawn(context)
    hub.ready(context)
    return gating.ask(context).model_dump(mode="json")


def approve(context: Context, *, again: bool = False) -> dict[str, Any]:
    """Go on only with as many valid approvals as the recipe asks for; `again` if the bundle is released already."""
    return approving.ask(context, _verdict(context), again=again).model_dump(mode="json")


def form(context: Context, lacking: str, fault: str = "") -> str:
    """What the form of a paused run shows to approvers, see `approving.form`."""
    return approving.form(context, _verdict(context), lacking, fault)


def sign(context: Context) -> dict[str, Any]:
    """Claim a version, write the statement, sign every file."""
    from slipway.adapters.tracking import find_run

    name, policy, signer = context.recipe.name, context.recipe.release, context.signer
    keyring.seen(context.store, keys.public_of(signer))  # a version claimed with a retired key would be lost
    public = keys.public_of(signer)
    at = recall.held(context.store, name, policy.channel, public)
    claim = claim_version(
        context.store, name, policy.version, context.digest, signer, above=at.sequence, spent=at.spent
    )
    pointer = recall.held(context.store, name, policy.channel, public).pointer
    before = None
    if pointer and pointer.sequence < claim.sequence:
        gating.check_champion(_verdict(context), pointer)
        before = pointer.manifest_sha256

    def compose(identity: statement.Identity) -> bytes:
        return statement.write(
            context.root,
            identity,
            signer,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            gate=_verdict(context),
            approvals=_result(context, "approve"),
            ledger=project_ledger(context.root, context.recipe.bundle.price),
            run_id=find_run(context.root, name, context.digest),
        )

    sealing.seal_release(
        context.store, claim, context.bundle, context.journal.folder, signer, predecessor=before, compose=compose
    )
    return {"claim": claim.model_dump(mode="json")}


def register(context: Context) -> dict[str, Any]:
    """Register the bundle as a model version."""
    from slipway.adapters import tracking

    claim = _claim(context)
    uri = f"{context.store.url}/{pointers.release_prefix(claim.name, claim.version)}"
    run_id = tracking.find_run(context.root, claim.name, context.digest)
    version = tracking.register(
        context.root,
        claim.name,
        context.bundle,
        digest=context.digest,
        version=claim.version,
        uri=uri,
        run_id=run_id,
        told=tracking.tags(_verdict(context)) | {tracking.CHANNEL: context.recipe.release.channel},
    )
    return {"model_version": version, "uri": uri}


def publish(context: Context) -> dict[str, Any]:
    """Bring the signed directory into the store and move the channel; the run's checkpoints go before, if asked for."""
    claim, policy = _claim(context), context.recipe.release
    staged, name, days = sealing.staged_directory(context.journal.folder, claim), policy.channel, policy.expires_days
    extra = {"checkpoints": _checkpoints(context)} if policy.checkpoints else {}
    verdict = _verdict(context)
    published = publishing.publish(
        context.store, claim, LocalStore(staged), context.signer, channel=name, expires_days=days,
        over=lambda pointer: gating.check_champion(verdict, pointer), seen=context.root / ".slipway" / "read-back",
    )  # fmt: skip
    kept.mark(context.root / CHECKPOINTS, _trained(context).run_key, claim.name)
    if policy.hub and published.pointer == "superseded":
        extra["hub"] = "not sent: a later release has the channel"
    elif policy.hub:
        extra["hub"] = hub.publish(context, claim, staged, keys.public_of(context.signer))
    return published.model_dump(mode="json") | extra


def _trained(context: Context) -> TrainReport:
    """What the bundle says of its training."""
    found: TrainReport = read_report(context.bundle / "records" / "train.json")
    return found


def _checkpoints(context: Context) -> str:
    """Bring the checkpoints of the bundle's run that are whole and at hand into the store; how many of how many."""
    report = _trained(context)
    work = context.root / CHECKPOINTS / report.run_key
    at_hand = {digest: at for step, digest in report.checkpoints if (at := kept.find([work], step, digest)[0])}
    new = checkpoints.send(context.store, at_hand)
    return f"{len(at_hand)} of {len(report.checkpoints)} checkpoints in the store, {new} of them new"


def verify(context: Context) -> dict[str, Any]:
    """Read everything back as a stranger would, then call the model version released."""
    from slipway.adapters.tracking import mark_released

    verified = reverify(context)
    if verified["pointer"] != "superseded":
        mark_released(context.root, context.recipe.name, context.digest)
    sealing.discard(context.journal.folder)
    return verified


def reverify(context: Context) -> dict[str, Any]:
    """Check the published release, and renew or move its channel if that is due; sends nothing else."""
    claim, policy, signer = _claim(context), context.recipe.release, context.signer
    public = keys.public_of(signer)
    verified = verifying.verify(context.store, pointers.release_prefix(claim.name, claim.version), public)
    if verified.release.manifest_sha256 != context.digest:
        raise Refusal(f"{verified.uri}: holds bundle {verified.release.manifest_sha256}, not {context.digest}")
    # A pointer may have been claimed by a later release meanwhile; then there is nothing to renew.
    name, days = policy.channel, policy.expires_days
    moved = moving.move_pointer(context.store, claim, signer, channel=name, expires_days=days)
    held = pointers.read_pointer(context.store, claim.name, name, public)
    at = f"{name} points at {held.version}" + (", a later release" if moved == "superseded" else "")
    return verified.model_dump(mode="json") | {"pointer": moved, "channel": at}


STEPS: dict[str, Callable[[Context], dict[str, Any]]] = {
    "gate": judge,
    "approve": approve,
    "sign": sign,
    "register": register,
    "publish": publish,
    "verify": verify,
}


def done(context: Context, step: str) -> dict[str, Any] | None:
    """What `step` left in the journal, if it was done for the store that is set now."""
    entry = context.journal.done(step)
    return entry["result"] if entry and entry["store"] == context.store.url else None


def perform(context: Context, step: str) -> dict[str, Any]:
    """Do one step and write it down, before and after.

    Raises:
        Refusal: if the bundle was made anew since `context` was opened, and as the step does.
    """
    if (found := manifest.digest(context.bundle)) != context.digest:
        raise Refusal(f"{context.bundle}: now {found}, but this release began with {context.digest}; run it again")
    context.journal.write(step, "begin")
    result = STEPS[step](context)
    context.journal.write(step, "done", {"store": context.store.url, "result": result})
    return result


def _result(context: Context, step: str) -> dict[str, Any]:
    found = done(context, step)
    if found is None:
        raise Refusal(f"{context.journal.path}: step {step} was not done; run `slipway release` from the start")
    return found


def _verdict(context: Context) -> GateVerdict:
    return GateVerdict.model_validate_json(json.dumps(_result(context, "gate")))


def _claim(context: Context) -> Claim:
    return Claim.model_validate(_result(context, "sign")["claim"])


def spent(root: Path) -> str | None:
    """What training cost so far, in a line; None if nothing was trained here."""
    found = project_ledger(root, load(root / "params.yaml").bundle.price)
    return ledger.line(found) if found.all_runs.attempts else None
