"""One line of the policy: a number in a report against a bound."""

import pytest

from slipway.release.gate.checks import lines
from tests import release_project
from tests.gate_cases import check, judge

MEASURE = {"value": 0.5, "low": 0.4, "high": 0.6, "n": 90, "method": "Wilson"}


def judged(result, **changes):
    return lines([check("validate", **changes)], {"validate": result}, {})


@pytest.mark.parametrize(
    ("result", "changes", "verdict", "words"),
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
        ({"x": float("nan")}, {}, "NO-GO", "nan not < 1"),
        ({"x": 0, "y": 1}, {"bound": "z"}, "NO-GO", "no `z`"),
        ({"some.dots": {"x": 0}}, {"value": "some.dots.x"}, "GO", "0 < 1"),
        ({"known": 1}, {"value": "knwon"}, "NO-GO", "there is: known"),
        # Of several bounds none was chosen, least of all the first.
        ({"x": 1, "y": {"loose": 2, "strict": 0}}, {"bound": "y.*"}, "NO-GO", "no `y.*`"),
        ({"x": {"a": {"high": 1}}}, {"value": "x.*.high", "bound": "x.*.low"}, "NO-GO", "no `x.a.low`"),
    ],
)
def test_one_line_of_the_policy(result, changes, verdict, words):
    (found,) = judged(result, **changes)
    assert (found.verdict, words in found.observed) == (verdict, True), found
    assert bool(found.action) == (verdict != "GO")


def test_a_measure_is_shown_with_its_interval():
    (found,) = judged({"share": MEASURE}, value="share.high")
    assert found.measure.n == 90
    assert (found.bound, "0.5, 95 % interval 0.4 to 0.6, n = 90" in found.observed) == (1, True)


def test_a_star_is_a_line_for_each_entry():
    found = judged({"residual": {"test": 0.2, "quiz": 3}}, value="residual.*")
    assert {line.id: line.verdict for line in found} == {
        "validate.residual.test": "GO",
        "validate.residual.quiz": "NO-GO",
    }


def test_a_star_in_the_bound_is_what_the_value_matched():
    tasks = {name: {"low": low, "chance": chance} for name, low, chance in (("a", 0.3, 0.25), ("b", 0.3, 0.5))}
    found = judged({"tasks": tasks}, value="tasks.*.low", relation="above", bound="tasks.*.chance")
    assert [line.verdict for line in found] == ["GO", "NO-GO"]


def test_a_star_over_a_list_and_one_that_leads_nowhere_in_one_entry():
    found = judged({"x": [{"y": 0}, {}]}, value="x.*.y")
    assert [(line.id, line.verdict) for line in found] == [("validate.x.0.y", "GO"), ("validate.x.1.y", "NO-GO")]


@pytest.mark.parametrize("tasks", [{}, {"quiz": {"low": 0.3}, "other": {}}])
def test_a_task_that_was_not_run_does_not_vanish_behind_a_star(tasks):
    result = {"tasks": tasks, "not_run": {"mmlu.law": "its data is not here"}}
    found = {line.id: line for line in judged(result, value="tasks.*.low", relation="above", bound=0.25)}
    own = {"validate.tasks.quiz.low": "GO", "validate.tasks.other.low": "NO-GO"} if tasks else {}
    assert {name: line.verdict for name, line in found.items()} == own | {"validate.tasks.mmlu.law.low": "INCONCLUSIVE"}
    assert "its data is not here" in found["validate.tasks.mmlu.law.low"].observed


@pytest.mark.parametrize("result", [{"residual": {}}, {"residual": []}, {"residual": 1}, {}])
def test_a_star_that_matches_nothing_is_no_go(result):
    (found,) = judged(result, value="residual.*")
    assert (found.id, found.verdict) == ("validate.residual.*", "NO-GO")


@pytest.mark.parametrize("status", ["not run", "not applicable"])
def test_a_probe_that_was_not_run_is_inconclusive_and_says_why(status):
    probe = {"status": status, "reason": "there is no lexicon", "measures": {}}
    (found,) = lines(
        [check("safety", "probes.toxicity.measures.rate.value")], {"safety": {"probes": {"toxicity": probe}}}, {}
    )
    assert (found.verdict, found.observed) == ("INCONCLUSIVE", f"toxicity: {status}: there is no lexicon")
    assert found.action


def test_a_probe_that_was_run_and_lacks_the_figure_is_no_go():
    probe = {"status": "run", "reason": "", "measures": {"rate": MEASURE}}
    asked = check("safety", "probes.toxicity.measures.rat.value")
    (found,) = lines([asked], {"safety": {"probes": {"toxicity": probe}}}, {})
    assert (found.verdict, "there is: rate" in found.observed) == ("NO-GO", True)


@pytest.mark.parametrize("name", ["quiz", "mmlu.law"])
def test_a_task_that_was_not_run_is_inconclusive_and_says_why(name):
    result = {"tasks": {}, "not_run": {name: "it needs the network"}}
    (found,) = lines([check("evaluate", f"tasks.{name}.measure.low")], {"evaluate": result}, {})
    assert (found.verdict, found.observed) == ("INCONCLUSIVE", f"{name}: not run: it needs the network")


def test_a_missing_report_is_no_go(site):
    (site.root / "reports" / "scan.json").unlink()
    found = judge(site, check("scan", "passed", "equals"))
    (mine,) = [one for one in found.lines if one.id == "scan.passed"]
    assert (mine.verdict, "no such report" in mine.observed) == ("NO-GO", True)


def test_not_a_number_in_a_file_never_passes(site):
    path = release_project.report(site.root, "validate", {"x": 0})
    path.write_text(path.read_text().replace('"x": 0', '"x": NaN'))
    (found,) = [one for one in judge(site, check("validate")).lines if one.id == "validate.x"]
    assert found.verdict == "NO-GO"
