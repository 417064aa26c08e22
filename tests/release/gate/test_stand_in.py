"""The first release of a name: what stands in for the champion that there is not."""

import pytest

from slipway.records import Measure
from slipway.release.gate.comparing import lines
from tests.evaluation_records import items
from tests.gate_cases import comparison, model, policy, with_base


def only(ours, wanted, **changes):
    (found,) = lines(policy(wanted, **changes), ours, None, seed=17)
    return found


def with_references(ours, task, **references):
    known = {name: Measure(value=value, low=None, high=None, n=1, method="-") for name, value in references.items()}
    tasks = ours.report.tasks | {task: ours.report.tasks[task].model_copy(update={"references": known})}
    return type(ours)(ours.report.model_copy(update={"tasks": tasks}), ours.items, digest=ours.digest)


@pytest.mark.parametrize(("bits", "verdict"), [(1.9, "GO"), (2.1, "INCONCLUSIVE"), (2.6, "NO-GO")])
def test_a_task_must_beat_what_its_report_holds_it_against(bits, verdict):
    found = only(model(items(bits=bits)), comparison())
    assert found.verdict == verdict
    assert found.check == "bits_per_byte: below gzip, in place of a champion"
    assert "first release" in found.observed
    assert bool(found.action) == (verdict != "GO")


@pytest.mark.parametrize(("right", "verdict"), [(0.6, "GO"), (0.3, "INCONCLUSIVE"), (0.02, "NO-GO")])
def test_a_share_must_be_above_chance(right, verdict):
    found = only(model(items(right=right)), comparison("continuation"))
    assert (found.verdict, found.bound) == (verdict, 0.25)


def test_all_references_count_unless_the_policy_names_one():
    ours = with_references(model(), "bits_per_byte", gzip=2.1, xz=1.5)
    assert only(ours, comparison()).verdict == "NO-GO"
    assert only(ours, comparison(reference="gzip")).verdict == "GO"


@pytest.mark.parametrize(
    ("references", "wanted", "verdict", "words"),
    [
        ({}, comparison(), "INCONCLUSIVE", "held against nothing"),
        ({"gzip": 2.1}, comparison(reference="gzp"), "NO-GO", "did you mean `gzip`?"),
        ({"gzip": 2.1}, comparison(reference="elo"), "NO-GO", "there is: gzip"),
    ],
)
def test_a_reference_that_is_not_there(references, wanted, verdict, words):
    found = only(with_references(model(), "bits_per_byte", **references), wanted)
    assert (found.verdict, words in found.observed, bool(found.action)) == (verdict, True, True)


def test_nothing_may_stand_in_and_the_line_says_so():
    found = only(model(items(bits=9.0)), comparison(), first_release="nothing")
    assert (found.verdict, "first release" in found.observed) == ("GO", True)


@pytest.mark.parametrize(("bits", "verdict"), [(1.91, "GO"), (2.5, "NO-GO")])
def test_the_base_may_stand_in(bits, verdict):
    found = only(with_base(bits, 1.9), comparison(), first_release="base")
    assert (found.id, found.verdict) == ("bits_per_byte vs champion", verdict)
    assert "against the base" in found.observed
    assert "before the first release" in found.check
