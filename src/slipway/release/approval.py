"""Approval bound to bytes: an approver signs the bundle digest with a key of their own.

A changed byte is another digest and voids it. A name typed into a form, or a tag set by hand, approves nothing.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from slipway.errors import Refusal, UserError, Waiting
from slipway.files import sha256_bytes, write_atomic
from slipway.recipe import load
from slipway.records import Record
from slipway.release.envelope import seal, unseal
from slipway.release.keys import file_signer, public_of, read_public
from slipway.settings import Approval

TYPE = "application/vnd.slipway.approval+json"


class Approver(Record):
    """One valid approval."""

    name: str
    time: str
    """As the approver's machine said; signed, not proved."""
    key_sha256: str


class Approvals(Record):
    """Who approved a bundle."""

    bundle_digest: str
    required: int
    approvers: tuple[Approver, ...]
    summary: str
    """In words, for card and statement."""


def _folder(root: Path, digest: str) -> Path:
    return root / ".slipway" / "releases" / digest / "approvals"


def approve(root: Path, bundle_digest: str, name: str, key: Path) -> Path:
    """Sign `bundle_digest` as `name` with the private key file `key`; returns the approval's path.

    Raises:
        UserError: if the recipe does not list `name`, or lists another key for it.
    """
    policy = load(root / "params.yaml").release.approval
    if name not in policy.approvers or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._@-]*", name):
        known = ", ".join(sorted(policy.approvers)) or "nobody"
        raise UserError(
            f"{name!r} is not among release.approval.approvers (there: {known}); add the name with a public key"
        )
    if not key.is_file():
        raise UserError(f"{key}: no such private key; name the approver's key with --key FILE")
    listed = root / policy.approvers[name]
    signer = file_signer(key)
    if public_of(signer) != read_public(listed):
        raise UserError(f"{key} is not the private half of {listed}, which the recipe lists for {name}")
    payload = {
        "approver": name,
        "bundle_digest": bundle_digest,
        "decision": "approve",
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    path = _folder(root, bundle_digest) / f"{name}.json"
    write_atomic(path, seal(payload, TYPE, signer))
    return path


def check(policy: Approval, root: Path, bundle_digest: str) -> Approvals:
    """The valid approvals of `bundle_digest`, at least as many as the policy asks for.

    Raises:
        Waiting: if there are fewer, saying how many and what to run; invalid approvals are named.
        UserError: if the policy can never be met.
    """
    if policy.required == 0:
        return Approvals(bundle_digest=bundle_digest, required=0, approvers=(), summary="nobody approved")
    keys = {name: read_public(root / path) for name, path in policy.approvers.items()}
    if len(set(keys.values())) < policy.required:
        raise UserError(
            f"release.approval asks for {policy.required} approvers but lists {len(set(keys.values()))} different "
            "keys; list more approvers, each with a key of their own"
        )
    valid, faults = _collect(keys, _folder(root, bundle_digest), bundle_digest)
    if len({approver.key_sha256 for approver in valid}) < policy.required:
        raise Waiting(
            f"waiting for approval of bundle {bundle_digest}: {len(valid)} of {policy.required}; "
            "run `slipway approve --as NAME --key FILE`" + "".join(f"\n  {fault}" for fault in faults)
        )
    names = ", ".join(approver.name for approver in valid)
    return Approvals(
        bundle_digest=bundle_digest, required=policy.required, approvers=tuple(valid), summary=f"approved by {names}"
    )


def _collect(keys: Mapping[str, bytes], folder: Path, digest: str) -> tuple[list[Approver], list[str]]:
    valid: list[Approver] = []
    faults: list[str] = []
    for name, public in sorted(keys.items()):
        path = folder / f"{name}.json"
        if not path.is_file():
            continue
        try:
            payload = unseal(path.read_bytes(), TYPE, public, str(path))
            if (payload.get("bundle_digest"), payload.get("approver"), payload.get("decision")) != (
                digest,
                name,
                "approve",
            ):
                raise Refusal(f"{path}: signed for bundle {payload.get('bundle_digest')} by {payload.get('approver')}")
            valid.append(Approver(name=name, time=str(payload["time"]), key_sha256=sha256_bytes(public)))
        except Refusal as refusal:
            faults.append(str(refusal))
    return valid, faults
