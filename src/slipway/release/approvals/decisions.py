"""What an approver signed about a bundle: yes, no, or no longer yes. Signed files that are added to and never changed.

A decision is a DSSE envelope over the bundle digest, so one changed byte voids it. As one line of text it can be
carried from the machine that has the key to the one that releases. The last decision of each approver counts.
"""

import base64
import binascii
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import ValidationError

from slipway.errors import Refusal, UserError
from slipway.files import sha256_bytes, write_atomic
from slipway.records import Record
from slipway.release.signing.envelope import seal, unseal

if TYPE_CHECKING:
    from securesystemslib.signer import Signer

TYPE = "application/vnd.slipway.approval+json"
SKEW = timedelta(minutes=10)
"""How far the clock of an approver's machine may be ahead of ours."""
LONGEST = 64 << 10
"""Characters of a line; a real one has about 900."""
_WEIGHT = {"approve": 0, "withdraw": 1, "reject": 2}
"""Of two decisions of one second the more careful counts."""


class Decision(Record):
    """What one approver said about one bundle."""

    approver: str
    bundle_digest: str
    decision: Literal["approve", "reject", "withdraw"]
    time: str
    """As the approver's machine said, ISO 8601; signed, not proved."""
    gate: str | None = None
    """Digest of the gate's judgement that the approver saw (`approval.judgement`); None: of the bytes alone."""
    reason: str = ""


class Signed(Record):
    """A decision whose signature holds."""

    said: Decision
    envelope: str
    """The signed envelope, as a line."""


def sign(decision: Decision, signer: "Signer") -> bytes:
    """The signed envelope of a decision."""
    return seal(decision.model_dump(mode="json"), TYPE, signer)


def as_line(envelope: bytes) -> str:
    """An envelope as one line of text, to be copied and pasted."""
    return base64.b64encode(json.dumps(json.loads(envelope), separators=(",", ":"), sort_keys=True).encode()).decode()


def from_line(line: str) -> bytes:
    """The envelope in a line that `as_line` made; white space around and inside does no harm.

    Raises:
        Refusal: for any other text, such as a name that somebody typed.
    """
    text = "".join(line.split())
    try:
        if not text or len(text) > LONGEST:
            raise ValueError
        envelope = base64.b64decode(text, validate=True)
        if not isinstance(json.loads(envelope), dict):
            raise ValueError
    except (ValueError, binascii.Error, RecursionError):
        shown = f"{text[:12]}…" if len(text) > 12 else text
        raise Refusal(
            f"{shown!r} is no signed decision; paste the one line that `slipway approve … --print` prints"
        ) from None
    return envelope


def check(envelope: bytes, keys: Mapping[str, bytes], bundle_digest: str, what: str) -> Signed:
    """The decision in an envelope, after its signature was checked with the key that is listed for its approver.

    Args:
        envelope: as signed.
        keys: approver's name -> public key, PEM.
        bundle_digest: that it must be about.
        what: names the envelope in errors.

    Raises:
        Refusal: if it is of nobody listed, altered, about another bundle, or dated in the future.
    """
    claimed = _claimed(envelope, what)
    if claimed not in keys:
        raise Refusal(f"{what}: of {claimed!r}, who is not among release.approval.approvers")
    try:
        said = Decision.model_validate_json(json.dumps(unseal(envelope, TYPE, keys[claimed], what)))
    except ValidationError as error:
        fault = error.errors()[0]
        raise Refusal(f"{what}: signed, but no decision ({fault['loc']}: {fault['msg']})") from None
    if (said.bundle_digest, said.approver) != (bundle_digest, claimed):
        raise Refusal(f"{what}: signed for bundle {said.bundle_digest} by {said.approver}, not for {bundle_digest}")
    try:
        when = datetime.fromisoformat(said.time)
        ahead = when - datetime.now(UTC)
    except (ValueError, TypeError):
        raise Refusal(f"{what}: its time {said.time!r} is none with a time zone; sign it again") from None
    if ahead > SKEW:
        raise Refusal(f"{what}: dated {said.time}, which is in the future; set that machine's clock and sign it again")
    return Signed(said=said, envelope=as_line(envelope))


def _claimed(envelope: bytes, what: str) -> str:
    """Whose decision an envelope says it is; nothing is proved yet."""
    try:
        return str(json.loads(base64.b64decode(json.loads(envelope)["payload"]))["approver"])
    except (ValueError, KeyError, TypeError, RecursionError):
        raise Refusal(f"{what}: not a signed decision; it was altered or cut") from None


def keep(folder: Path, name: str, envelope: bytes) -> Path:
    """Add a decision to the others; returns its file.

    Earlier ones stay, so that putting one of them back does not make it the last.
    """
    path = folder / f"{name}.{sha256_bytes(envelope)[:16]}.json"
    write_atomic(path, envelope)
    return path


def latest(folder: Path, keys: Mapping[str, bytes], bundle_digest: str) -> tuple[dict[str, Signed], list[str]]:
    """The last decision of each approver about a bundle, and what is wrong with files that hold none.

    Args:
        folder: where `keep` put them; it may be missing.
        keys: approver's name -> public key, PEM.
        bundle_digest: that they must be about.
    """
    last: dict[str, Signed] = {}
    faults: list[str] = []
    for path in sorted(folder.glob("*.json")):
        try:
            found = check(path.read_bytes(), keys, bundle_digest, str(path))
        except Refusal as refusal:
            faults.append(str(refusal))
            continue
        name = found.said.approver
        if name not in last or _order(last[name].said) < _order(found.said):
            last[name] = found
    return dict(sorted(last.items())), faults


def _order(said: Decision) -> tuple[datetime, int]:
    return datetime.fromisoformat(said.time), _WEIGHT[said.decision]


def made(name: str, bundle_digest: str, decision: str, gate: str | None, reason: str) -> Decision:
    """A decision of now.

    Raises:
        UserError: for a rejection without a reason, or something that is no sha256.
    """
    for digest, what in ((bundle_digest, "bundle digest"), (gate or bundle_digest, "digest of the gate's judgement")):
        if len(digest) != 64 or set(digest) - set("0123456789abcdef"):
            raise UserError(f"{digest!r} is no {what}; it has 64 hexadecimal digits")
    if decision == "reject" and not reason.strip():
        raise UserError("a rejection needs a reason, for those who must mend it: --reason TEXT")
    return Decision(
        approver=name,
        bundle_digest=bundle_digest,
        decision=decision,  # type: ignore[arg-type]  # pydantic refuses others
        time=datetime.now(UTC).isoformat(timespec="microseconds"),
        gate=gate,
        reason=reason.strip(),
    )
