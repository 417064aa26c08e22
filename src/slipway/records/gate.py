"""The verdict of the gate, line by line, as statement, page, card and MLflow show it."""

from typing import Literal

from slipway.records.audit import AuditReport
from slipway.records.base import Measure, Record

Verdict = Literal["GO", "NO-GO", "INCONCLUSIVE"]
Tier = Literal["built-in", "critical", "supporting", "advisory"]


class GateLine(Record):
    """One check."""

    id: str
    """Stable name, as waivers use it: `evaluate.tasks.bits_per_byte.measure.high`, `signature vs champion`."""
    check: str
    """What is asked, in words."""
    tier: Tier
    verdict: Verdict
    observed: str
    """What was found, with interval and bound, in words."""
    reason: str
    """Why this is asked."""
    action: str = ""
    """What a person can do about it; empty for GO."""
    measure: Measure | None = None
    """The figure that was judged (for a comparison the paired difference, positive = better), if it is one."""
    value: float | None = None
    """The very number that was held against the bound: the upper end of an interval, a count, …"""
    bound: float | None = None
    """What it was held against: the bound, or minus the margin."""
    p_value: float | None = None
    """Of a comparison, after correction for several."""
    waived_by: str | None = None
    """Name, reason and expiry of the waiver in force."""


class GateVerdict(Record):
    """All checks of one bundle."""

    bundle_digest: str
    verdict: Verdict
    champion: str | None
    """Release that the model was compared with, `NAME VERSION`; None for a first release."""
    stand_in: str | None
    """What stood in for the champion of a first release, in words."""
    lines: tuple[GateLine, ...]
    audit: AuditReport | None = None
    """Known vulnerabilities of the software behind the bundle; None in verdicts of before there were audits."""
