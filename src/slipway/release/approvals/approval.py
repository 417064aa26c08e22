"""Approval bound to bytes: an approver signs the bundle digest with a key of their own.

A changed byte is another digest and voids it. A name typed into a form, or a tag set by hand, approves nothing. What
was signed is in `decisions`; whether it is enough is decided here. docs/approval.md tells the rules.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from slipway.errors import Refusal, UserError, Waiting
from slipway.files import sha256_bytes
from slipway.recipe import load
from slipway.records import GateVerdict, Record
from slipway.release.approvals import decisions
from slipway.release.approvals.authors import Authors
from slipway.release.signing.keys import file_signer, public_of, read_public
from slipway.settings import Approval

NOBODY = "nobody approved"


class Approver(Record):
    """One valid approval."""

    name: str
    time: str
    """As the approver's machine said; signed, not proved."""
    key_sha256: str
    envelope: str | None = None
    """What was signed, so that whoever knows the approver's key can check it; None in statements of before it was
    kept."""


class Approvals(Record):
    """Who approved a bundle."""

    bundle_digest: str
    required: int
    approvers: tuple[Approver, ...]
    summary: str
    """In words, for card and statement."""
    not_counted: tuple[str, ...] = ()
    """Valid approvals that do not count, each with the reason."""


def judgement(verdict: GateVerdict) -> str:
    """What an approver answers for beside the bytes, as a digest: the verdict, what it was compared with, and every
    line's verdict and waiver. Figures are left out: they are of these bytes, and of the day (the age of advisories).
    """
    lines = sorted((line.id, line.tier, line.verdict, line.waived_by or "") for line in verdict.lines)
    told = [verdict.bundle_digest, verdict.verdict, verdict.champion or "", lines]
    return sha256_bytes(json.dumps(told, separators=(",", ":"), ensure_ascii=False).encode())


def asked(bundle_digest: str, judged: str | None) -> str:
    """The options of `slipway approve` that say what is approved, for a machine that does not have the bundle."""
    return f"--digest {bundle_digest}" + (f" --gate {judged}" if judged else "")


def _folder(root: Path, digest: str) -> Path:
    return root / ".slipway" / "releases" / digest / "approvals"


def _keys(root: Path, policy: Approval) -> dict[str, bytes]:
    return {name: read_public(root / listed.key) for name, listed in policy.people().items()}


def approve(
    root: Path,
    bundle_digest: str,
    name: str,
    key: Path,
    *,
    decision: str = "approve",
    gate: str | None = None,
    reason: str = "",
) -> Path:
    """Sign a decision on `bundle_digest` as `name` with the private key file `key`; returns the signed file's path.

    Args:
        root: the project.
        bundle_digest: what is decided on.
        name: in release.approval.approvers.
        key: private key, PEM.
        decision: `approve`, `reject` (blocks the release) or `withdraw` (takes back either).
        gate: `judgement` of the verdict that the approver saw; None signs the bytes alone.
        reason: in words; a rejection needs one.

    Raises:
        UserError: if the recipe does not list `name`, or lists another key for it.
    """
    people = load(root / "params.yaml").release.approval.people()
    if name not in people:
        known = ", ".join(sorted(people)) or "nobody"
        raise UserError(
            f"{name!r} is not among release.approval.approvers (there: {known}); add the name with a public key"
        )
    if not key.is_file():
        raise UserError(f"{key}: no such private key; name the approver's key with --key FILE")
    listed = root / people[name].key
    signer = file_signer(key)
    if public_of(signer) != read_public(listed):
        raise UserError(f"{key} is not the private half of {listed}, which the recipe lists for {name}")
    envelope = decisions.sign(decisions.made(name, bundle_digest, decision, gate, reason), signer)
    return decisions.keep(_folder(root, bundle_digest), name, envelope)


def take(policy: Approval, root: Path, bundle_digest: str, line: str) -> decisions.Decision:
    """Keep a decision that was signed on another machine, a line of `slipway approve --print`; returns what it says.

    Raises:
        Refusal: if it is not signed with the key of somebody listed, or about another bundle; nothing is kept then.
    """
    envelope = decisions.from_line(line)
    found = decisions.check(envelope, _keys(root, policy), bundle_digest, "the line that was given")
    decisions.keep(_folder(root, bundle_digest), found.said.approver, envelope)
    return found.said


def check(
    policy: Approval,
    root: Path,
    bundle_digest: str,
    *,
    judged: str | None = None,
    authors: Authors | None = None,
) -> Approvals:
    """The valid approvals of `bundle_digest`, at least as many as the policy asks for.

    Args:
        policy: of the recipe.
        root: the project.
        bundle_digest: what is about to be released.
        judged: `judgement` of the present verdict; an approval that names another one does not count.
        authors: who made this run; not counted where two or more approvers are asked for.

    Raises:
        Waiting: if there are fewer, saying how many and what to run; those that do not count are named.
        Refusal: if somebody listed rejected the bundle, or a decision cannot be read that may have been a rejection.
        UserError: if the policy can never be met.
    """
    keys, folder = _keys(root, policy), _folder(root, bundle_digest)
    last, faults = decisions.latest(folder, keys, bundle_digest)
    if vetoes := [f"{name}: {one.said.reason}" for name, one in last.items() if one.said.decision == "reject"]:
        raise Refusal(
            f"bundle {bundle_digest} was rejected by {'; '.join(vetoes)}. Nothing is released; build another, or they "
            "take it back with `slipway approve --withdraw`"
        )
    if policy.required == 0:
        _all_read(faults, folder)
        return Approvals(bundle_digest=bundle_digest, required=0, approvers=(), summary=NOBODY)
    excluded = _excluded(policy, keys, authors)
    _attainable(policy, keys, excluded)
    approvers, not_counted = _count(last, keys, excluded, judged)
    if len(approvers) < policy.required:
        elsewhere = f"slipway approve --as NAME --key FILE {asked(bundle_digest, judged)} --print"
        raise Waiting(
            f"waiting for approval of bundle {bundle_digest}: {len(approvers)} of {policy.required}; "
            f"run `slipway approve --as NAME --key FILE`, or `{elsewhere}` on another machine, whose line "
            "`slipway approve --take LINE` takes" + "".join(f"\n  {fault}" for fault in [*not_counted, *faults])
        )
    _all_read(faults, folder)
    names = ", ".join(approver.name for approver in approvers)
    return Approvals(
        bundle_digest=bundle_digest,
        required=policy.required,
        approvers=tuple(approvers),
        summary=f"approved by {names}",
        not_counted=tuple(not_counted),
    )


def _all_read(faults: Sequence[str], folder: Path) -> None:
    """Refuse where a decision cannot be read: what does not count as an approval may have been a veto."""
    if faults:
        shown = "".join(f"\n  {fault}" for fault in faults)
        raise Refusal(
            f"{folder}: holds what cannot be read and may have been a rejection. Ask whose it is to sign again, then "
            f"take the file away:{shown}"
        )


def _excluded(policy: Approval, keys: Mapping[str, bytes], authors: Authors | None) -> dict[str, str]:
    """Name -> why this approver is the run's author; nobody is left out while one approval is enough."""
    if authors is None or policy.required < 2:
        return {}
    found = {name: authors.why(name, listed.identity, keys[name]) for name, listed in policy.people().items()}
    excluded = {name: why for name, why in found.items() if why}
    by_key = {keys[name]: name for name in excluded}
    # The same person under a second name that no commit bears.
    also = {name: f"has the key of {by_key[keys[name]]}" for name in found if keys[name] in by_key}
    return also | excluded


def _attainable(policy: Approval, keys: Mapping[str, bytes], excluded: Mapping[str, str]) -> None:
    """Raise UserError if no number of approvals could meet the policy."""
    if len(set(keys.values())) < policy.required:
        raise UserError(
            f"release.approval asks for {policy.required} approvers but lists {len(set(keys.values()))} different "
            "keys; list more approvers, each with a key of their own"
        )
    left = {key for name, key in keys.items() if name not in excluded}
    if len(left) < policy.required:
        reasons = "; ".join(f"{name} {why}" for name, why in excluded.items())
        raise UserError(
            f"release.approval asks for {policy.required} approvers and never counts the run's own author: {reasons}. "
            f"{len(left)} of those listed are left; list more approvers, or let another make the release"
        )


def _count(
    last: Mapping[str, decisions.Signed], keys: Mapping[str, bytes], excluded: Mapping[str, str], judged: str | None
) -> tuple[list[Approver], list[str]]:
    """The approvals that count, and the others with the reason."""
    counted: list[Approver] = []
    others: list[str] = []
    voices: dict[bytes, str] = {}
    for name, one in last.items():
        if one.said.decision != "approve":
            others.append(f"{name} withdrew the approval: {one.said.reason or 'no reason given'}")
        elif name in excluded:
            others.append(f"{name} approved but is not counted: {excluded[name]}")
        elif judged is not None and one.said.gate not in (None, judged):
            others.append(
                f"{name} approved while the gate judged otherwise ({one.said.gate}, now {judged}); look at it again "
                "and sign again"
            )
        elif keys[name] in voices:
            others.append(f"{name} approved with the key of {voices[keys[name]]}: one key is one voice")
        else:
            voices[keys[name]] = name
            counted.append(
                Approver(name=name, time=one.said.time, key_sha256=sha256_bytes(keys[name]), envelope=one.envelope)
            )
    return counted, others
