"""All lines together: what they come to, for a project with a real bundle and a real champion."""

import json

import pytest

from slipway import items
from slipway.recipe import load
from slipway.records import GateLine, read_record
from slipway.release import gate
from slipway.release.gate import champion
from slipway.settings import Waiver
from tests import evaluation_records, release_project
from tests.gate_cases import check, judge, line, table


def of(tier, verdict, waived=None):
    return GateLine(id="x", check="", tier=tier, verdict=verdict, observed="", reason="", waived_by=waived)


@pytest.mark.parametrize(
    ("lines", "verdict"),
    [
        ([], "GO"),
        ([of("built-in", "GO"), of("critical", "GO")], "GO"),
        ([of("built-in", "NO-GO")], "NO-GO"),
        ([of("critical", "NO-GO"), of("critical", "INCONCLUSIVE")], "NO-GO"),
        ([of("critical", "INCONCLUSIVE")], "INCONCLUSIVE"),
        ([of("supporting", "NO-GO")], "INCONCLUSIVE"),
        ([of("supporting", "INCONCLUSIVE")], "GO"),
        ([of("supporting", "NO-GO"), of("critical", "NO-GO")], "NO-GO"),
        ([of("advisory", "NO-GO"), of("advisory", "INCONCLUSIVE")], "GO"),
        ([of("critical", "NO-GO", "A. Person")], "GO"),
        ([of("supporting", "NO-GO", "A. Person"), of("critical", "INCONCLUSIVE")], "INCONCLUSIVE"),
    ],
)
def test_the_tiers_come_to_one_word(lines, verdict):
    assert gate.overall(lines) == verdict


def test_a_first_release_says_what_stood_in(site):
    verdict = judge(site)
    assert (verdict.champion, verdict.verdict) == (None, "GO")
    assert "compressors" in verdict.stand_in
    assert judge(site, comparisons=()).stand_in is None


def test_the_next_release_is_compared_with_the_one_before(site):
    site.release()
    found = champion.read(site.store, "tiny", "stable", site.public)
    release_project.bundle(site.root, seed=1, rows=evaluation_records.items(bits=1.88, noise=3))
    verdict = judge(site, champion=found)
    assert (verdict.verdict, verdict.champion, verdict.stand_in) == ("GO", "tiny v1", None), gate.explain(verdict)
    assert line(verdict, "bits_per_byte vs champion").measure.value == pytest.approx(0.02, abs=0.01)
    release_project.bundle(site.root, seed=2, rows=evaluation_records.items(bits=2.0, noise=3))
    verdict = judge(site, champion=found)
    assert verdict.verdict == "NO-GO"
    assert [one.id for one in verdict.lines if one.verdict != "GO"] == ["bits_per_byte vs champion"]


def test_a_waiver_lets_the_next_release_go_and_is_seen(site):
    site.release()
    found = champion.read(site.store, "tiny", "stable", site.public)
    release_project.bundle(site.root, seed=2, rows=evaluation_records.items(bits=2.0, noise=3))
    waiver = Waiver(line="bits_per_byte vs champion", by="A. Person", reason="agreed", expires="2026-12-31")
    verdict = judge(site, champion=found, waivers=(waiver,))
    # The recipe in force is another one than the bundle's, because the waiver is not in it.
    assert {one.id for one in verdict.lines if one.verdict != "GO" and not one.waived_by} == {"recipe"}
    assert line(verdict, "bits_per_byte vs champion").verdict == "NO-GO"
    assert "waived: bits_per_byte vs champion" in gate.explain(verdict)


def test_the_same_bundle_again_is_go(site):
    site.release()
    verdict = judge(site, champion=champion.read(site.store, "tiny", "stable", site.public))
    assert verdict.verdict == "GO"
    assert "already" in line(verdict, "bits_per_byte vs champion").observed


def test_two_champions_are_inconclusive(site):
    site.release()
    found = champion.read(site.store, "tiny", "stable", site.public)
    release_project.bundle(site.root, seed=1)
    verdict = judge(site, champion=found, registered="dd" * 32)
    assert verdict.verdict == "INCONCLUSIVE"
    assert "two champions" in line(verdict, "bits_per_byte vs champion").observed


def test_a_line_has_an_id_of_its_own(site):
    ids = [one.id for one in judge(site, check("train", "gap"), check("train", "gap", "above", -1)).lines]
    assert len(ids) == len(set(ids))
    assert "train.gap #2" in ids


def test_inconclusive_is_not_go_and_no_go_is_worse(site):
    release_project.report(site.root, "train", {"x": None})
    assert line(judge(site, check("train")), "train.x").verdict == "INCONCLUSIVE"
    assert judge(site, check("train"), check("train", "y")).verdict == "NO-GO"


def test_reports_alone_decide_the_policy_of_documents(site):
    recipe = load(site.root / "params.yaml")
    reports = {stage: read_record(site.root / "reports" / f"{stage}.json").result for stage in ("validate", "evaluate")}
    found = gate.policy(recipe, reports, table(evaluation_records.items()))
    assert [(one.id, one.verdict) for one in found] == [
        ("validate.passed", "GO"),
        ("evaluate.tasks.bits_per_byte.measure.high", "GO"),
    ]
    judged = judge(site)
    later = ("audit", "champion")
    assert [
        one for one in judged.lines if one.tier != "built-in" and not any(word in one.id for word in later)
    ] == found


def test_documents_leave_out_what_comes_after_them(site):
    """A scan is of the assembled bundle, so its report cannot be in it; any other that is missing is NO-GO."""
    values = release_project.values()
    values["release"]["gate"]["checks"] += [
        {"report": stage, "value": "passed", "relation": "equals", "bound": 1, "reason": "-"}
        for stage in ("scan", "safety")
    ]
    (site.root / "params.yaml").write_text(json.dumps(values))
    found = gate.policy(load(site.root / "params.yaml"), {"validate": {"passed": True}})
    assert {one.id: one.verdict for one in found} == {
        "validate.passed": "GO", "evaluate.tasks.bits_per_byte.measure.high": "NO-GO", "safety.passed": "NO-GO",
    }  # fmt: skip


@pytest.mark.parametrize("data", [b"", b"no parquet"])
def test_items_that_are_no_table_are_no_go(site, data):
    (site.root / "reports" / items.NAME).write_bytes(data)
    found = line(judge(site), "bits_per_byte vs champion")
    assert (found.verdict, "no item table" in found.observed) == ("NO-GO", True)


def test_a_damaged_page_of_the_table_is_no_go(site):
    """Its magic and footer are whole, so that it only fails while it is read."""
    path = site.root / "reports" / items.NAME
    data = bytearray(path.read_bytes())
    data[40:400] = bytes(byte ^ 0x5A for byte in data[40:400])
    path.write_bytes(data)
    verdict = judge(site)
    assert verdict.verdict == "NO-GO"
    assert line(verdict, "reports").verdict == "NO-GO"
    assert "no item table" in line(verdict, "bits_per_byte vs champion").observed


def test_a_table_of_other_columns_or_types_is_no_go(site):
    import pyarrow.parquet as pq

    path = site.root / "reports" / items.NAME
    held = pq.read_table(path)
    words = held.set_column(held.schema.get_field_index("value"), "value", [["much"] * len(held)])
    for other in (held.drop(["weight"]), words):
        pq.write_table(other, path)
        found = line(judge(site), "bits_per_byte vs champion")
        assert (found.verdict, "no item table" in found.observed) == ("NO-GO", True)
