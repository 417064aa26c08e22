"""`slipway approve`: what is approved is shown first, then signed with the approver's own key."""

import argparse
import json
import sys
from pathlib import Path

from slipway.cli.common import project
from slipway.errors import UserError


def options(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    parser.add_argument("--as", dest="name", metavar="NAME", help="your name in the recipe")
    parser.add_argument("--key", metavar="FILE", help="your private key (PEM)")
    parser.add_argument("--yes", action="store_true", help="sign without asking; needed where nobody can be asked")
    parser.add_argument("--reject", action="store_true", help="sign a veto: it blocks the release; with --reason")
    parser.add_argument("--withdraw", action="store_true", help="take back what you signed before")
    parser.add_argument("--reason", metavar="TEXT", default="", help="signed with the decision")
    parser.add_argument("--print", action="store_true", help="print the signed line")
    parser.add_argument(
        "--digest", metavar="SHA256", help="bundle digest, on a machine without the bundle; with --print"
    )
    parser.add_argument("--gate", metavar="SHA256", help="digest of the gate's judgement, as the form shows it")
    parser.add_argument("--take", metavar="LINE", help="keep a line that was signed elsewhere; signs nothing")


def approve(arguments: argparse.Namespace) -> int:
    """Sign your approval of the bundle as it is now.

    Shows title, digest, verdict, waivers and openness, asks, and signs the digest of bundle/ with your own key. A
    changed byte voids the approval. Who may approve, and how many must, is in the recipe under release.approval.
    """
    if arguments.take is not None:
        return _take(arguments.take)
    if not arguments.name or not arguments.key:
        raise UserError("--as NAME and --key FILE say who signs with which key; or --take LINE for a signed line")
    if arguments.reject and arguments.withdraw:
        raise UserError("--reject and --withdraw: one decision at a time")
    decision = "reject" if arguments.reject else "withdraw" if arguments.withdraw else "approve"
    return _elsewhere(arguments, decision) if arguments.digest else _here(arguments, decision)


def _elsewhere(arguments: argparse.Namespace, decision: str) -> int:
    """Sign on a machine that has the key, but neither project nor bundle."""
    from slipway.release.approvals import decisions
    from slipway.release.signing.keys import file_signer

    if not arguments.print:
        raise UserError("--digest signs for another machine; add --print and carry the line there")
    key = Path(arguments.key)
    if not key.is_file():
        raise UserError(f"{key}: no such private key; name the approver's key with --key FILE")
    said = decisions.made(arguments.name, arguments.digest, decision, arguments.gate, arguments.reason)
    shown = [f"bundle   {said.bundle_digest}", f"gate     {said.gate or 'not named: the bytes alone are signed'}"]
    _confirm(arguments, decision, shown)
    print(decisions.as_line(decisions.sign(said, file_signer(key))))
    return 0


def _here(arguments: argparse.Namespace, decision: str) -> int:
    """Sign what lies in the project, after showing it."""
    from slipway.recipe import load
    from slipway.release.approvals import approval, decisions
    from slipway.release.bundle import manifest

    root = project()
    manifest.check(root / "bundle")
    digest = manifest.digest(root / "bundle")
    judged, told = _judged(root, digest)
    if arguments.gate not in (None, judged):
        raise UserError(f"--gate {arguments.gate}: the gate judged {judged} here; run `slipway release` again")
    if decision == "approve" and judged is None:
        raise UserError(
            f"bundle {digest}: the gate did not judge it yet, so there is nothing to show; run `slipway release`, "
            "which asks the gate and then waits for you"
        )
    title = load(root / "params.yaml").bundle.title
    _confirm(arguments, decision, [f"title    {title}", f"bundle   {digest}", *told, *_openness(root / "bundle")])
    path = approval.approve(
        root, digest, arguments.name, Path(arguments.key), decision=decision, gate=judged, reason=arguments.reason
    )
    if arguments.print:
        print(decisions.as_line(path.read_bytes()))
        return 0
    words = {"approve": "approves", "reject": "rejects", "withdraw": "takes back what was said of"}[decision]
    print(f"{arguments.name} {words} bundle {digest}\nsigned: {path}")
    return 0


def _judged(root: Path, digest: str) -> tuple[str | None, list[str]]:
    """Digest of the gate's judgement in the journal of this bundle, and its lines for the approver."""
    from slipway.records import GateVerdict
    from slipway.release.approvals.approval import judgement
    from slipway.release.journal import Journal

    entry = Journal.of(root, digest).done("gate")
    if entry is None:
        return None, ["gate     not asked yet"]
    verdict = GateVerdict.model_validate_json(json.dumps(entry["result"]))
    told = [f"gate     {verdict.verdict}, compared with {verdict.champion or verdict.stand_in or 'nothing'}"]
    odd = [line for line in verdict.lines if line.verdict != "GO"]
    for line in odd:
        told.append(f"         {line.verdict} {line.id} ({line.tier}): {line.observed}")
        told += [f"         waived by {line.waived_by}"] if line.waived_by else []
    if not odd:
        told.append(f"         {len(verdict.lines)} checks, all GO, nothing waived")
    return judgement(verdict), [*told, f"judged   {judgement(verdict)}"]


def _openness(bundle: Path) -> list[str]:
    """How open the release says it is, if its bundle holds the record."""
    path = bundle / "openness.json"
    if not path.is_file():
        return ["openness not stated in this bundle"]
    from slipway.records import OpennessReport

    told = OpennessReport.model_validate_json(path.read_bytes())
    met = sum(line.met for line in told.osaid)
    mof = f"{told.framework}: class {told.mof_class}" if told.mof_class != "none" else f"{told.framework}: no class"
    return [f"openness {mof}; {told.definition}: {met} of {len(told.osaid)} lines met"]


def _confirm(arguments: argparse.Namespace, decision: str, shown: list[str]) -> None:
    """Show what is about to be signed and ask; with --print all of it goes to stderr, the line alone to stdout.

    Raises:
        UserError: if the answer is not yes, or nobody can be asked.
    """
    print(*shown, sep="\n", file=sys.stderr)
    if arguments.yes:
        return
    if not sys.stdin.isatty():
        raise UserError("nobody can be asked here (no terminal); look at it, then repeat with --yes")
    print(f"{decision} as {arguments.name}? [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise UserError("nothing was signed")


def _take(line: str) -> int:
    from slipway.recipe import load
    from slipway.release.approvals import approval
    from slipway.release.bundle import manifest

    root = project()
    digest = manifest.digest(root / "bundle")
    said = approval.take(load(root / "params.yaml").release.approval, root, digest, line)
    print(f"{said.approver}: {said.decision}, bundle {said.bundle_digest}, signed {said.time}")
    return 0
