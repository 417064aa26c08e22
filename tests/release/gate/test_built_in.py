"""What is asked of every bundle: the gate says GO only to one whose reports are its own."""

import json

import pytest

from slipway import items
from slipway.errors import UserError
from slipway.files import write_atomic
from slipway.recipe import load
from slipway.records import Finding
from slipway.release import gate
from tests import evaluation_records, gate_cases, release_project
from tests.gate_cases import judge, line

SECRET = Finding(rule="content.secret", path="README.md", offset=0, reason="a key", remedy="remove it")


def edit(path, **changes):
    record = json.loads(path.read_text())
    record["result"] |= changes
    write_atomic(path, json.dumps(record))


def not_go(verdict):
    return [one.id for one in verdict.lines if one.verdict != "GO"]


def test_a_consistent_bundle_passes(site):
    verdict = judge(site)
    assert verdict.verdict == "GO", gate.explain(verdict)
    assert {one.id for one in verdict.lines if one.tier == "built-in"} == {
        "manifest", "scan", "scan now", "weights", "reports", "licence", "recipe",
    }  # fmt: skip


def test_no_bundle_is_said_to_be_missing(site):
    with pytest.raises(UserError, match="slipway build"):
        gate.judge(
            load(site.root / "params.yaml"), site.root / "nothing", gate_cases.scanned(site), None,
            today=gate_cases.TODAY,
        )  # fmt: skip


@pytest.mark.parametrize("name", ["model.safetensors", "records/evaluate.json", "README.md"])
def test_a_flipped_bit_in_the_bundle_is_named(site, name):
    release_project.flip(site.root / "bundle" / name)
    verdict = judge(site)
    assert verdict.verdict == "NO-GO"
    assert name in gate.explain(verdict)


def test_a_missing_scan_is_no_go(site):
    (site.root / "reports" / "scan.json").unlink()
    found = line(judge(site), "scan")
    assert (found.verdict, "no such report" in found.observed) == ("NO-GO", True)


def test_an_edited_report_is_named(site):
    path = site.root / "reports" / "evaluate.json"
    record = json.loads(path.read_text())
    record["result"]["tasks"]["bits_per_byte"]["measure"]["high"] = 0.1
    write_atomic(path, json.dumps(record))
    found = line(judge(site), "reports")
    assert (found.verdict, "evaluate.json" in found.observed) == ("NO-GO", True)


def test_items_that_were_made_better_are_named(site):
    items.write(evaluation_records.items(bits=1.0), site.root / "reports" / items.NAME)
    found = line(judge(site), "reports")
    assert found.verdict == "NO-GO"
    assert f"{items.NAME}: " in found.observed
    assert f"{items.NAME} as evaluate wrote it" in found.observed


def test_missing_items_are_no_go(site):
    (site.root / "reports" / items.NAME).unlink()
    verdict = judge(site)
    assert line(verdict, "reports").verdict == "NO-GO"
    assert "no such file" in line(verdict, "bits_per_byte vs champion").observed


@pytest.mark.parametrize(
    ("stage", "key"), [("scan", "bundle_digest"), ("evaluate", "weights_sha256"), ("train", "weights_sha256")]
)
def test_a_report_about_other_bytes_is_no_go(site, stage, key):
    edit(site.root / "reports" / f"{stage}.json", **{key: "00" * 32})
    verdict = judge(site)
    assert verdict.verdict == "NO-GO"
    assert any(f"{stage}: {'00' * 32}" in one.observed for one in verdict.lines)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"passed": False}, "passed: False"),
        ({"findings": [SECRET.model_dump()]}, "content.secret README.md"),
        ({"files_scanned": 0}, "files scanned: 0"),
        ({"extra": 1}, "no report of `scan`"),
    ],
)
def test_a_scan_that_did_not_pass_is_no_go_whatever_the_recipe_asks(site, changes, words):
    edit(site.root / "reports" / "scan.json", **changes)
    assert words in line(judge(site), "scan").observed


def test_what_the_scan_finds_now_is_no_go(site):
    found = line(judge(site, scan={"passed": False, "findings": (SECRET,)}), "scan now")
    assert found.verdict == "NO-GO"
    assert "passed: False" in found.observed
    assert "content.secret README.md" in found.observed


def test_another_licence_than_the_data_was_held_against_is_no_go(site):
    edit(site.root / "reports" / "prepare.json", release_licence="MIT")
    found = line(judge(site), "licence")
    assert (found.verdict, "MIT" in found.observed, bool(found.action)) == ("NO-GO", True, True)


@pytest.mark.parametrize("name", ["recipe.json", "inputs.lock"])
def test_another_recipe_or_lock_than_the_bundle_was_built_from_is_no_go(site, name):
    if name == "recipe.json":
        (site.root / "params.yaml").write_text(json.dumps(release_project.values(expires_days=91)))
    else:
        (site.root / name).write_text('{"other": 1}')
    verdict = judge(site)
    assert not_go(verdict) == ["recipe"]
    assert name in line(verdict, "recipe").observed
    assert "slipway build" in line(verdict, "recipe").action


def test_every_line_that_is_not_go_says_what_to_do(site):
    for stage in ("prepare", "evaluate", "safety", "scan"):
        (site.root / "reports" / f"{stage}.json").unlink()
    release_project.flip(site.root / "bundle" / "README.md")
    verdict = judge(site)
    assert all(one.action for one in verdict.lines if one.verdict != "GO")
    assert verdict.verdict == "NO-GO"
