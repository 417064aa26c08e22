"""The gate says GO only to a bundle whose reports are its own and keep the policy."""

import json

import pytest

from slipway.errors import UserError
from slipway.files import write_atomic
from slipway.recipe import load
from slipway.records import Finding, ScanReport
from slipway.release import gate
from slipway.release.bundle import manifest
from slipway.settings import Check
from tests import release_project


def check(report="evaluate", value="x", relation="below", bound=1.0):
    return Check(report=report, value=value, relation=relation, bound=bound, reason="because")


def scanned(site, **changes):
    """What a scan that finds nothing says of the bundle."""
    listed = manifest.read(site.root / "bundle").files
    values = {"bundle_digest": manifest.digest(site.root / "bundle"), "files_scanned": len(listed) + 1}
    return ScanReport(**values | {"passed": True, "findings": ()} | changes)


def judge(site, *checks, **changes):
    """The verdict; `checks` come after the recipe's own."""
    recipe = load(site.root / "params.yaml")
    release = recipe.release.model_copy(update={"gate": (*recipe.release.gate, *checks)})
    return gate.judge(recipe.model_copy(update={"release": release}), site.root, scanned(site, **changes))


def judge_values(site, result, **line):
    release_project.report(site.root, "validate", result)
    return judge(site, check("validate", **line)).lines[-1]


def test_a_consistent_bundle_passes(site):
    verdict = judge(site)
    assert verdict.verdict == "GO", gate.explain(verdict)
    assert verdict.lines[-1].observed == "1.95 < 2.1"


@pytest.mark.parametrize(
    ("result", "line", "verdict", "words"),
    [
        ({"x": 0.5}, {}, "GO", "0.5 < 1"),
        ({"x": 1}, {}, "NO-GO", "1 not < 1"),
        ({"x": 2}, {"relation": "above"}, "GO", "2 > 1"),
        ({"x": True}, {"relation": "equals"}, "GO", "1 = 1"),
        ({"x": False}, {"relation": "equals"}, "NO-GO", "0 not = 1"),
        ({"x": [0, {"y": 0.1}]}, {"value": "x.1.y"}, "GO", "0.1 < 1"),
        ({"x": None}, {}, "INCONCLUSIVE", "`x` was not measured"),
        ({"x": 1, "y": None}, {"bound": "y"}, "INCONCLUSIVE", "`y` was not measured"),
        ({}, {}, "NO-GO", "no `x`"),
        ({"x": []}, {"value": "x.0"}, "NO-GO", "no `x.0`"),
        ({"x": 1}, {"value": "x.y"}, "NO-GO", "no `x.y`"),
        ({"x": "fine"}, {}, "NO-GO", "not a number"),
    ],
)
def test_one_line_of_the_policy(site, result, line, verdict, words):
    found = judge_values(site, result, **line)
    assert (found.verdict, words in found.observed) == (verdict, True), found


def test_not_a_number_never_passes(site):
    path = release_project.report(site.root, "validate", {"x": 0})
    path.write_text(path.read_text().replace('"x": 0', '"x": NaN'))
    assert judge(site, check("validate")).lines[-1].verdict == "NO-GO"


def test_inconclusive_is_not_go_and_no_go_is_worse(site):
    release_project.report(site.root, "train", {"x": None})
    path = site.root / "bundle" / "records" / "train.json"
    lines = (check("train"), check("train", "y"))
    assert judge(site, lines[0]).lines[-1].verdict == "INCONCLUSIVE"
    assert judge(site, *lines).verdict == "NO-GO"
    assert path.is_file()


def test_a_missing_report_is_no_go(site):
    (site.root / "reports" / "scan.json").unlink()
    verdict = judge(site, check("scan", "passed", "equals"))
    assert verdict.verdict == "NO-GO"
    assert "no such report" in verdict.lines[-1].observed
    assert "scan is of this bundle and passed: " in gate.explain(verdict)


def test_no_bundle_is_said_to_be_missing(site):
    with pytest.raises(UserError, match="slipway build"):
        gate.judge(load(site.root / "params.yaml"), site.root / "nothing", scanned(site))


@pytest.mark.parametrize("name", ["model.safetensors", "records/evaluate.json", "README.md"])
def test_a_flipped_bit_in_the_bundle_is_named(site, name):
    release_project.flip(site.root / "bundle" / name)
    verdict = judge(site)
    assert verdict.verdict == "NO-GO"
    assert name in gate.explain(verdict)


def test_an_edited_report_is_named(site):
    path = site.root / "reports" / "evaluate.json"
    record = json.loads(path.read_text())
    record["result"]["bits_per_byte"]["model"]["high"] = 0.1
    write_atomic(path, json.dumps(record))
    verdict = judge(site)
    assert verdict.verdict == "NO-GO"
    assert "evaluate" in gate.explain(verdict)


@pytest.mark.parametrize(("stage", "key"), [("scan", "bundle_digest"), ("evaluate", "weights_sha256")])
def test_a_report_about_other_bytes_is_no_go(site, stage, key):
    path = site.root / "reports" / f"{stage}.json"
    record = json.loads(path.read_text())
    record["result"][key] = "00" * 32
    write_atomic(path, json.dumps(record))
    text = gate.explain(judge(site))
    assert f"{stage}: {'00' * 32}" in text


SECRET = Finding(rule="content.secret", path="README.md", offset=0, reason="a key", remedy="remove it")


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
    path = site.root / "reports" / "scan.json"
    record = json.loads(path.read_text())
    record["result"] |= changes
    write_atomic(path, json.dumps(record))
    assert words in gate.explain(judge(site))


def test_what_the_scan_finds_now_is_no_go(site):
    verdict = judge(site, passed=False, findings=(SECRET,))
    assert "NO-GO  scan now: passed: False" in gate.explain(verdict)
    assert "content.secret README.md" in gate.explain(verdict)


@pytest.mark.parametrize("name", ["recipe.json", "inputs.lock"])
def test_another_recipe_or_lock_than_the_bundle_was_built_from_is_no_go(site, name):
    if name == "recipe.json":
        (site.root / "params.yaml").write_text(json.dumps(release_project.values(expires_days=91)))
    else:
        (site.root / name).write_text('{"other": 1}')
    verdict = judge(site)
    assert [line.check for line in verdict.lines if line.verdict != "GO"] == [
        "recipe and lock in force are those in the bundle"
    ]
    assert name in gate.explain(verdict)
    assert "run `slipway build`" in gate.explain(verdict)
