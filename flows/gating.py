"""The wiring of the gate: a scan made now, the champion from the store, the verdict, and where people find it.

No Prefect here. `flows.steps` makes it a step of a release, `flows.gate_console` is `slipway gate`.
"""

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slipway.errors import Refusal, UserError
from slipway.files import write_atomic
from slipway.records import GateVerdict
from slipway.release import audit, gate, gate_page
from slipway.release.gate import champion as champions
from slipway.release.gate import explain
from slipway.release.publishing import pointer as pointers
from slipway.release.publishing import recall
from slipway.release.publishing.claim import claims
from slipway.release.signing import keys

if TYPE_CHECKING:
    from flows.steps import Context

__all__ = ["NotGo", "ask", "audited", "champion", "explain", "judge", "keep"]


class NotGo(Refusal):
    """The gate said NO-GO or INCONCLUSIVE."""

    def __init__(self, verdict: GateVerdict, kept: list[str]) -> None:
        self.verdict, self.kept = verdict, kept
        super().__init__("\n".join([explain(verdict), "", *kept, "Nothing was signed or published"]))

    def __reduce__(self) -> tuple[type["NotGo"], tuple[GateVerdict, list[str]]]:
        # Prefect keeps what a task raised as a pickle, and an exception is made again from its message otherwise.
        return NotGo, (self.verdict, self.kept)


def champion(context: "Context") -> gate.Champion | None:
    """The release that the channel names, verified as far as it is used; None before the first.

    Raises:
        Refusal: if it does not hold.
    """
    name, channel = context.recipe.name, context.recipe.release.channel
    try:
        context.store.read(pointers.pointer_key(name, channel))
    except FileNotFoundError:
        return None  # before the first release there may be no key to read a pointer with
    return champions.read(context.store, name, channel, keys.public_key(context.root))


def _registered(context: "Context", held: gate.Champion | None) -> str | None:
    """Digest of the bundle that MLflow calls released, if it lies in this store and was released on this channel.

    While the last steps of a release are taken up again, the channel names it already and MLflow not yet.
    """
    from slipway.adapters.tracking import released

    if held is not None and held.manifest_sha256 == context.digest:
        return None
    try:
        found = released(context.root, context.recipe.name, context.recipe.release.channel)
    except UserError as error:
        print(f"gate: {error}; the signed channel alone says who the champion is", file=sys.stderr, flush=True)
        return None
    if found is None or not found.uri.startswith(f"{context.store.url}/"):
        return None
    # One alias for all channels: the release of another one says nothing about this one's champion.
    return found.digest if found.channel in ("", context.recipe.release.channel) else None


def refuse_withdrawn(context: "Context") -> None:
    """Refuse a bundle whose version was withdrawn, before anybody is asked to judge or approve it.

    And a channel that is older than it was, or a claim that nobody made, for the champion follows from them.
    """
    name, channel = context.recipe.name, context.recipe.release.channel
    try:
        public = keys.public_key(context.root)
    except UserError:  # before the first release there may be none
        there = [key for folder in ("channels", "claims") for key in context.store.list(f"{folder}/{name}")]
        if not there:
            return
        raise Refusal(
            f"{context.store.url}/{min(there)}: {name} was published there, but this project has no key to know "
            "its publisher by. If it was you, bring your key here (docs/keys.md). If nobody of you did, find out who "
            "wrote that there, remove it, and run this again"
        ) from None
    held = recall.held(context.store, name, channel, public)
    gone = {*(held.pointer.withdrawn if held.pointer else ()), *held.withdrawn}
    mine = [claim for claim in claims(context.store, name, public) if claim.manifest_sha256 == context.digest]
    if mine and mine[0].version in gone:
        raise Refusal(
            f"{name} {mine[0].version} is this very bundle, and it was withdrawn; what is withdrawn is not released "
            "again. Build another"
        )


def check_champion(verdict: GateVerdict, pointer: pointers.Pointer) -> None:
    """That the earlier release that the channel names is the one that the verdict compared with.

    Raises:
        Refusal: if the channel was moved after the gate was asked.
    """
    named = f"{pointer.name} {pointer.version}" if pointer.version else None
    if named != verdict.champion:
        raise Refusal(
            f"channel {pointer.channel} names {named or 'no release'} by now, but the gate compared with "
            f"{verdict.champion or 'no release'}; the channel was not moved. Run `slipway release` again: it asks anew"
        )


def judge(context: "Context") -> GateVerdict:
    """The verdict on the bundle as it lies; it is scanned and its software audited right here. Changes nothing."""
    from slipway.scan.verdict import scan

    scanned = scan(context.bundle, context.recipe.scan.max_file_bytes, context.digest)
    held = champion(context)
    today = datetime.now(UTC).date()
    registered = _registered(context, held)
    settings = context.recipe.release.audit
    audited = audit.of_bundle(context.bundle, context.root / settings.advisories, today, settings.max_age_days)
    return gate.judge(context.recipe, context.root, scanned, held, today=today, registered=registered, audit=audited)


def keep(context: "Context", verdict: GateVerdict) -> list[str]:
    """Leave the verdict where people look: as a page in the project, and in the MLflow run that built the bundle.

    Returns: lines that say where it is.
    """
    from slipway.adapters.tracking import keep_verdict

    path = context.journal.folder / gate_page.NAME
    write_atomic(path, gate_page.render(verdict, report=_report(context.bundle, path)))
    told = [f"page    {path}"]
    page = gate_page.render(verdict, report="bundle/report.html")
    try:
        run_id = keep_verdict(context.root, context.recipe.name, verdict, page=page, file=gate_page.NAME)
    except UserError as error:
        return [*told, f"mlflow  {error}"]
    return [*told, f"mlflow  run {run_id}" if run_id else "mlflow  no run built this bundle, so none keeps the verdict"]


def audited(result: dict[str, Any]) -> str:
    """What the audit in a verdict, as the journal keeps it, came to: in a line."""
    found = GateVerdict.model_validate_json(json.dumps(result)).audit
    return audit.headline(found) if found else "not run: the gate was asked before there were audits"


def _report(bundle: Path, page: Path) -> str:
    return (
        Path(*[".."] * (len(page.parent.relative_to(bundle.parent).parts))) / bundle.name / "report.html"
    ).as_posix()


def ask(context: "Context", *, again: bool = False) -> GateVerdict:
    """The verdict, which must be GO.

    Args:
        context: the release.
        again: the bundle is released already; then a GO is kept nowhere once more.

    Raises:
        NotGo: with all lines, and where they are kept.
    """
    verdict = judge(context)
    if warning := gate.warning(verdict.audit):
        print(warning, file=sys.stderr, flush=True)
    kept = [] if again and verdict.verdict == "GO" else keep(context, verdict)
    if verdict.verdict != "GO":
        raise NotGo(verdict, kept)
    return verdict
