"""The recipe refuses what it does not know, and says what it would have understood."""

from pathlib import Path

import pytest

from slipway.errors import UserError
from slipway.recipe import load, parse

ROOT = Path(__file__).parents[1]


def test_the_default_recipe_is_complete(values):
    recipe = parse(values)
    assert recipe.name == "pydocs"
    assert recipe.section("validate") is recipe.validate_


def test_a_recipe_is_frozen(values):
    with pytest.raises(ValueError, match="frozen"):
        parse(values).train.steps = 1


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        (("train", "stepz"), 5, "train.stepz: unknown key; did you mean `steps`?"),
        (("trian",), {}, "trian: unknown key; did you mean `train`?"),
        (("prepare", "pii", "emial"), "drop", "prepare.pii.emial: unknown key; did you mean `email`?"),
        (("seed",), "17", 'seed: input should be a valid integer, found "17"'),
        (("train", "steps"), 1.5, "train.steps: input should be a valid integer"),
        (("train", "batch_size"), True, "train.batch_size"),
        (("prepare", "validation_share"), 0.7, "prepare.validation_share: input should be less than 0.5, found 0.7"),
        (("acquire", "sources"), [], "acquire.sources"),
        (("acquire", "sources", 0, "pakages"), [], "did you mean `packages`?"),
        (("acquire", "sources", 0, "kind"), "csv", "acquire.sources"),
        (("name",), "Not A Name", "name"),
    ],
)
def test_a_fault_is_named_with_key_value_and_way_out(values, path, value, expected):
    target = values
    for part in path[:-1]:
        target = target[part]
    target[path[-1]] = value
    with pytest.raises(UserError, match="not a valid recipe") as caught:
        parse(values)
    assert expected in str(caught.value)


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [("evaluate", "stride", 4096), ("safety", "extraction_tokens", 65), ("validate", "max_characters", 1)],
)
def test_what_does_not_fit_together_is_told_before_any_work(values, section, key, value):
    values[section][key] = value
    with pytest.raises(UserError, match=rf"{section}\.\w+ must be"):
        parse(values)


def test_a_missing_key_is_named(values):
    del values["train"]["steps"]
    with pytest.raises(UserError, match=r"train\.steps: missing"):
        parse(values)


def test_all_faults_are_told_at_once(values):
    values["seed"], values["train"]["steps"] = None, "many"
    with pytest.raises(UserError) as caught:
        parse(values)
    assert len(str(caught.value).splitlines()) == 3


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"name: [", "not readable as YAML"),
        (b"name: a\nname: b\n", "not readable as YAML"),
        (b"\xff\xfe", "not readable"),
    ],
)
def test_a_file_that_is_no_yaml(tmp_path, content, expected):
    (tmp_path / "params.yaml").write_bytes(content)
    with pytest.raises(UserError, match=expected):
        load(tmp_path / "params.yaml")


@pytest.mark.parametrize("content", [b"", b"- 1\n", b"text\n"])
def test_a_yaml_file_that_is_no_mapping(tmp_path, content):
    (tmp_path / "params.yaml").write_bytes(content)
    with pytest.raises(UserError, match="not a valid recipe"):
        load(tmp_path / "params.yaml")


def test_a_missing_file(tmp_path):
    with pytest.raises(UserError, match="no such recipe"):
        load(tmp_path / "params.yaml")


@pytest.mark.parametrize("path", sorted((ROOT / "recipes").glob("*.yaml")), ids=lambda path: path.name)
def test_the_recipes_to_start_from_are_complete(path):
    assert load(path).release.gate.checks


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"task": "continuaton"}, "measures no `continuaton`; did you mean `continuation`?"),
        ({"task": "question"}, "measures no `question`"),
        ({"against": "base"}, "against is base, but train.start is scratch"),
        ({"against": "base", "reference": "chance"}, "comparisons.1.reference stands in for a champion"),
        ({"task": "bits_per_byte"}, "bits_per_byte is compared with the champion twice"),
    ],
)
def test_the_gate_compares_what_is_measured_with_what_there_is(values, change, expected):
    line = {"task": "continuation", "against": "champion", "margin": 0.05, "reason": "because"}
    values["release"]["gate"]["comparisons"] = [line | {"task": "bits_per_byte"}, line | change]
    with pytest.raises(UserError) as caught:
        parse(values)
    assert expected in str(caught.value)


def test_the_gate_has_no_base_to_fall_back_on_without_one(values):
    values["release"]["gate"]["first_release"] = "base"
    with pytest.raises(UserError, match="say references or nothing"):
        parse(values)


@pytest.mark.parametrize(("expires", "expected"), [("2026-02-30", "day of the calendar"), ("soon", "pattern")])
def test_a_waiver_expires_on_a_day(values, expires, expected):
    waiver = {"line": "signature vs champion", "by": "A. Person", "reason": "because", "expires": expires}
    values["release"]["gate"]["waivers"] = [waiver]
    with pytest.raises(UserError, match=expected):
        parse(values)


@pytest.mark.parametrize("key", ["by", "reason"])
def test_a_waiver_is_named_and_reasoned(values, key):
    waiver = {"line": "signature vs champion", "by": "A. Person", "reason": "because", "expires": "2026-12-31"}
    values["release"]["gate"]["waivers"] = [waiver | {key: " "}]
    with pytest.raises(UserError, match=rf"waivers\.0\.{key}"):
        parse(values)


def test_a_day_without_quotes_is_told_how_to_write_it(tmp_path):
    """YAML makes a date of it, and neither a recipe nor DVC takes one."""
    waiver = "{line: a, by: b, reason: c, expires: 2026-12-31}"
    text = (ROOT / "params.yaml").read_text().replace("    waivers: []", f"    waivers: [{waiver}]")
    (tmp_path / "params.yaml").write_text(text)
    with pytest.raises(UserError, match='put a day in quotes, as `expires: "2026-12-31"`'):
        load(tmp_path / "params.yaml")
    (tmp_path / "params.yaml").write_text(text.replace("2026-12-31}]", '"2026-12-31"}]'))
    assert load(tmp_path / "params.yaml").release.gate.waivers[0].expires == "2026-12-31"


@pytest.mark.parametrize(
    ("section", "change", "expected"),
    [
        ("comparisons", {"margin": float("inf")}, "comparisons.0.margin"),
        ("checks", {"bound": float("inf")}, "checks.0.bound"),
        ("checks", {"bound": float("nan")}, "checks.0.bound"),
        ("checks", {"report": "saftey"}, "checks.0.report: no stage `saftey`"),
    ],
)
def test_a_line_that_can_never_say_no_is_no_line(values, section, change, expected):
    values["release"]["gate"][section][0] |= change
    with pytest.raises(UserError, match=expected):
        parse(values)


def test_a_recipe_that_states_no_gate_is_gated(values):
    del values["release"]["gate"]
    gate = parse(values).release.gate
    assert {check.report for check in gate.checks} >= {"validate", "scan", "evaluate", "safety", "prepare", "train"}
    assert [(one.task, one.against) for one in gate.comparisons] == [("bits_per_byte", "champion")]
