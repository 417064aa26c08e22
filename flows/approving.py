"""The wiring of approvals: what is asked of whom, what a form shows, and lines that were signed elsewhere.

No Prefect here. `flows.steps` makes it a step of a release, `flows.release` asks with a form where one can be shown.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from slipway.recipe import load
from slipway.records import GateVerdict
from slipway.release.approvals import approval, authors
from slipway.release.bundle import manifest
from slipway.release.publishing import pointer as pointers
from slipway.release.signing import keys

if TYPE_CHECKING:
    from flows.steps import Context


def ask(context: "Context", verdict: GateVerdict, *, again: bool = False) -> approval.Approvals:
    """The approvals of the bundle, as many as the recipe asks for.

    Args:
        context: the release.
        verdict: what the gate says now.
        again: the bundle is released already; then nobody is asked anew because the gate compares with another release
            or the checkout has another author since.

    Raises:
        Waiting: and Refusal and UserError, as `approval.check`.
    """
    policy, signer = context.recipe.release.approval, None
    if policy.required and not (again or _named(context)):
        signer = keys.public_of(context.signer)
        made = authors.of(context.root, signer) if policy.required > 1 else None
        judged = approval.judgement(verdict)
        return approval.check(policy, context.root, context.digest, judged=judged, authors=made)
    return approval.check(policy, context.root, context.digest)


def _named(context: "Context") -> bool:
    """Whether the channel names this very bundle: a release that was cut short after that is only taken to its end."""
    name, channel = context.recipe.name, context.recipe.release.channel
    try:
        context.store.read(pointers.pointer_key(name, channel))
    except FileNotFoundError:
        return False
    held = pointers.current(context.store, name, channel, keys.public_of(context.signer))
    return held is not None and held.manifest_sha256 == context.digest


def form(context: "Context", verdict: GateVerdict, lacking: str, fault: str) -> str:
    """What an approver must know before signing, as Markdown.

    Args:
        context: the release.
        verdict: what the gate says.
        lacking: how many approvals there are, and which do not count.
        fault: why the last answer approved nothing; empty if there was none.
    """
    asked = approval.asked(context.digest, approval.judgement(verdict))
    odd = [line for line in verdict.lines if line.verdict != "GO"]
    rows = [
        f"- {line.verdict}, {line.waived_by or 'not waived'}: {line.id} ({' '.join(line.observed.split())[:160]})"
        for line in odd
    ]
    return "\n".join(
        [
            *([f"**That approved nothing:** {fault}", ""] if fault else []),
            f"**{context.recipe.bundle.title}** ({context.recipe.name})",
            "",
            f"- bundle `{context.digest[:32]}` `{context.digest[32:]}`",
            f"- gate **{verdict.verdict}**, compared with {verdict.champion or verdict.stand_in or 'nothing'}",
            *(rows or [f"- {len(verdict.lines)} checks, all GO, nothing waived"]),
            "",
            f"Approvals: {lacking.splitlines()[0].split(';')[0].rpartition(': ')[2]}.",
            *(f"- {line.strip()}" for line in lacking.splitlines()[1:]),
            "",
            "Sign on the machine that has your key, and paste the line that this prints:",
            "",
            f"    slipway approve --as NAME --key FILE {asked} --print",
            "",
            "To stop the release, add `--reject --reason TEXT` and paste that line.",
        ]
    )


def take(root: Path, line: str) -> str:
    """Keep a line that was pasted into a form; in words, what it says.

    Raises:
        Refusal: if it is not signed by somebody whom the recipe lists, about the bundle as it lies.
    """
    policy = load(root / "params.yaml").release.approval
    said = approval.take(policy, root, manifest.digest(root / "bundle"), line)
    return f"{said.approver}: {said.decision}, signed {said.time}"
