"""The verdict in the terminal: the word first, every line, and what to do."""

from slipway.records import GateLine, GateVerdict, Measure
from slipway.release.gate import explain
from slipway.release.gate.explaining import WIDTH
from tests.gate_cases import judge

LINES = (
    GateLine(id="manifest", check="the bundle fits", tier="built-in", verdict="GO", observed="every byte", reason=""),
    GateLine(
        id="signature vs champion", check="signature: at most 0.05 worse than the champion", tier="critical",
        verdict="NO-GO", observed="-0.2 share right against tiny v1", reason="docstrings are known", action="rebuild",
        measure=Measure(value=-0.2, low=-0.3, high=-0.1, n=90, method="-"), bound=-0.05, p_value=0.0004,
    ),
    GateLine(
        id="train.gap", check="train.gap < 0.2", tier="supporting", verdict="NO-GO", observed="0.3 not < 0.2",
        reason="it does not overfit", action="train less", waived_by="A. Person, until 2026-12-31: agreed",
    ),
)  # fmt: skip
VERDICT = GateVerdict(bundle_digest="ab" * 32, verdict="NO-GO", champion="tiny v1", stand_in=None, lines=LINES)


def test_the_verdict_comes_first_and_every_line_follows():
    rows = explain(VERDICT).splitlines()
    assert rows[0] == "gate: NO-GO for bundle abababababab (a line that must hold does not, waivers aside)"
    assert rows[1:3] == ["champion: tiny v1", "waived: train.gap"]
    text = "\n".join(rows)
    for line in LINES:
        assert f"{line.id}: {line.observed}" in text
    assert [row for row in rows if row and not row.startswith(" ")][3:] == ["built-in", "critical", "supporting"]


def test_a_line_that_is_not_go_says_why_it_is_asked_and_what_to_do():
    text = explain(VERDICT)
    assert "asked: signature: at most 0.05 worse than the champion; docstrings are known" in text
    assert "p = 0.0004 for a loss beyond the margin" in text
    assert "to do: rebuild" in text
    assert "NO-GO, waived  train.gap" in text
    assert "waived by A. Person, until 2026-12-31: agreed" in text


def test_it_fits_a_terminal():
    long = LINES[0].model_copy(update={"observed": "many words " * 60})
    rows = explain(VERDICT.model_copy(update={"lines": (long,)})).splitlines()
    assert max(map(len, rows)) <= WIDTH


def test_what_stood_in_is_told(site):
    text = explain(judge(site))
    assert "champion: none yet; in its place: what each task is held against: chance, compressors" in text
    assert "GO            bits_per_byte vs champion: first release" in text
