"""A made-up verdict of the gate, with a line of every kind."""

from slipway.records import GateLine, GateVerdict, Measure


def verdict(digest: str) -> GateVerdict:
    """A verdict with a line of every kind that a released bundle can have."""
    measure = Measure(value=0.004, low=-0.011, high=0.019, n=60, method="paired bootstrap")
    line = {"check": "asked in words", "observed": "found in words", "reason": "why it is asked"}
    return GateVerdict(
        bundle_digest=digest,
        verdict="GO",
        champion="tiny v0",
        stand_in=None,
        lines=(
            GateLine(id="manifest", tier="built-in", verdict="GO", **line),
            GateLine(
                id="bits_per_byte vs champion", tier="critical", verdict="GO", measure=measure, bound=-0.02,
                p_value=0.3, **line,
            ),
            GateLine(
                id="safety.probes.toxicity", tier="critical", verdict="INCONCLUSIVE", action="give it a lexicon",
                waived_by="Ana, until 2026-12-31: <lexicon> & co. follow", **line,
            ),
            GateLine(id="train.gap", tier="supporting", verdict="INCONCLUSIVE", action="train less", **line),
            GateLine(id="card", tier="advisory", verdict="NO-GO", action="write a card", **line),
        ),
    )  # fmt: skip
