"""The comparisons: against base and champion, item by item, and only where both were asked the same."""

from dataclasses import replace

import pytest

from slipway.records import BaseComparison
from slipway.release.gate.comparing import Measured, base_lines, lines
from tests.evaluation_records import items
from tests.gate_cases import DIGEST, OTHER, champion, comparison, model, policy, report, table, with_base


def compared(ours, other, *comparisons, registered=None, **changes):
    return lines(policy(*comparisons, **changes), ours, other, registered, seed=17)


def only(ours, other, *comparisons, **changes):
    (found,) = compared(ours, other, *comparisons, **changes)
    return found


def test_the_same_answers_are_go():
    found = only(model(), champion())
    assert (found.id, found.verdict, found.action) == ("bits_per_byte vs champion", "GO", "")
    assert (found.measure.value, found.bound, found.measure.n) == (0, -0.02, 30)
    assert "0 bits per byte against tiny v1" in found.observed


@pytest.mark.parametrize(
    ("bits", "verdict"), [(1.8, "GO"), (1.91, "GO"), (1.92, "INCONCLUSIVE"), (1.93, "NO-GO"), (3.0, "NO-GO")]
)
def test_lower_is_better_and_the_margin_decides(bits, verdict):
    found = only(model(items(bits=bits, noise=1)), champion())
    assert found.verdict == verdict, found
    assert found.measure.value == pytest.approx(1.9 - bits, abs=0.005)
    assert bool(found.action) == (verdict != "GO")


@pytest.mark.parametrize(("right", "verdict"), [(0.9, "GO"), (0.4, "INCONCLUSIVE"), (0.02, "NO-GO")])
def test_higher_is_better_and_few_items_show_little(right, verdict):
    """Sixty equal answers do not show that less than five in a hundred are lost."""
    found = only(model(items(right=right)), champion(items(right=0.4)), comparison("continuation", margin=0.05))
    assert found.verdict == verdict, found
    assert "share right" in found.observed
    assert "McNemar p = " in found.observed


def test_an_inconclusive_line_tells_a_seen_loss_from_no_evidence():
    found = only(model(items(bits=1.92, noise=1)), champion())
    assert "neither a loss beyond that nor its absence is shown" in found.observed
    assert "more items" in found.action


def test_many_comparisons_do_not_add_up_to_a_false_no_go():
    """A loss that would stop a release alone is INCONCLUSIVE among many that are none."""
    rows = items(bits=1.924, noise=4)
    alone = only(model(rows), champion())
    assert alone.verdict == "NO-GO", alone
    many = [comparison("continuation", margin=0.9) for _ in range(40)]
    first, *rest = compared(model(rows), champion(), comparison(), *many)
    assert first.verdict == "INCONCLUSIVE"
    assert "not after correction for 41 comparisons" in first.observed
    assert first.p_value > alone.p_value
    assert {line.verdict for line in rest} == {"GO"}


@pytest.mark.parametrize(
    ("identity", "words"),
    [
        ({"harness": "slipway 0.0.9"}, "harness (here slipway 0.1.0, there slipway 0.0.9)"),
        ({"tokenizer": "ff" * 32, "data": "ee" * 32}, "tokenizer, data"),
        ({"few_shot": "5"}, "few_shot"),
        ({"chat_template": "ff" * 32}, "chat_template"),
    ],
)
def test_what_was_asked_otherwise_is_not_comparable_and_no_number(identity, words):
    found = only(model(), champion(items(bits=9.0), **identity))
    assert (found.verdict, found.measure, found.p_value) == ("INCONCLUSIVE", None, None)
    assert found.observed == f"not comparable with tiny v1: {words}"
    assert found.action


def test_items_that_one_side_lacks_are_not_comparable():
    found = only(model(), champion(items(documents=58)))
    assert (found.verdict, found.measure) == ("INCONCLUSIVE", None)
    assert "on one side only" in found.observed


def test_not_a_number_in_the_model_is_no_go_and_in_the_champion_inconclusive():
    broken = items()
    broken[0] = replace(broken[0], value=float("nan"))
    ours = Measured(report(items()), table(broken), digest=DIGEST)
    assert only(ours, champion()).verdict == "NO-GO"
    other = replace(champion(), items=table(broken))
    assert only(model(), other).verdict == "INCONCLUSIVE"


@pytest.mark.parametrize(("fewest", "verdict"), [(30, "GO"), (31, "INCONCLUSIVE")])
def test_a_comparison_needs_families(fewest, verdict):
    found = only(model(), champion(), min_items=fewest)
    assert found.verdict == verdict
    assert ("30 families are too few" in found.observed) == (verdict != "GO")


def test_fewer_than_ten_pairs_are_inconclusive_however_bad():
    found = only(model(items(bits=9.0, documents=8)), champion(items(documents=8)))
    assert (found.verdict, "4 families are too few, 10 are needed" in found.observed) == ("INCONCLUSIVE", True)


def test_one_family_alone_is_inconclusive():
    rows = [replace(row, family="all") for row in items()]
    found = only(model(rows), champion(rows), min_items=2)
    assert (found.verdict, found.measure.low) == ("INCONCLUSIVE", None)


def test_a_champion_without_the_task():
    other = champion()
    tasks = {"bits_per_byte": other.report.tasks["bits_per_byte"]}
    lacking = {"tasks": tasks, "not_run": {"continuation": "too few documents"}}
    other = replace(other, report=other.report.model_copy(update=lacking))
    found = only(model(), other, comparison("continuation"))
    assert (found.verdict, found.observed) == (
        "INCONCLUSIVE", "tiny v1 has no task `continuation`: too few documents",
    )  # fmt: skip
    assert "waived" in found.action


def test_a_champion_of_a_slipway_that_kept_no_items():
    other = replace(champion(), items=None, unfit="it has no records/evaluate_items.parquet")
    found = only(model(), other)
    assert (found.verdict, "it has no records/evaluate_items.parquet" in found.observed) == ("INCONCLUSIVE", True)
    assert "waived" in found.action


@pytest.mark.parametrize(("not_run", "verdict"), [({"question": "no conversations"}, "INCONCLUSIVE"), ({}, "NO-GO")])
def test_a_model_without_the_task(not_run, verdict):
    ours = model()
    ours = replace(ours, report=ours.report.model_copy(update={"not_run": not_run}))
    assert only(ours, champion(), comparison("question")).verdict == verdict


def test_a_model_without_report_or_items_is_no_go():
    found = only(Measured(None, None, "no such report"), champion())
    assert (found.verdict, found.observed, found.action) == ("NO-GO", "no such report", "run `slipway build`")


def test_two_champions_are_compared_with_neither():
    found = only(model(), champion(), registered="dd" * 32)
    assert (found.verdict, found.measure) == ("INCONCLUSIVE", None)
    assert found.observed == (
        "two champions: the channel names tiny v1, bundle bbbbbbbbbbbb; the registry calls bundle dddddddddddd released"
    )
    assert "alias" in found.action
    assert only(model(), champion(), registered=OTHER).verdict == "GO"


def test_a_registry_that_knows_a_release_and_a_channel_that_does_not():
    found = only(model(), None, registered="dd" * 32)
    assert (found.verdict, "the channel names no release" in found.observed) == ("INCONCLUSIVE", True)


@pytest.mark.parametrize("registered", [None, "dd" * 32])
def test_the_same_bundle_again_has_nothing_to_compare(registered):
    found = only(model(items(bits=9.0)), replace(champion(), manifest_sha256=DIGEST), registered=registered)
    assert (found.verdict, found.observed) == ("GO", "this very bundle is tiny v1 already: nothing to compare")


@pytest.mark.parametrize(("bits", "verdict"), [(1.5, "GO"), (2.5, "NO-GO")])
def test_the_base_is_asked_the_same_in_the_same_build(bits, verdict):
    against = comparison(against="base", margin=0.0)
    found = only(with_base(bits, 1.9), None, against)
    assert (found.id, found.verdict) == ("bits_per_byte vs base", verdict)
    assert "against the base" in found.observed
    assert base_lines(policy(against, comparison()), with_base(bits, 1.9), seed=17) == [found]


def test_a_base_that_was_not_asked():
    found = only(model(), None, comparison(against="base"))
    assert (found.verdict, "the base was not asked" in found.observed) == ("INCONCLUSIVE", True)


def test_a_base_in_its_own_form_is_asked_in_other_words():
    """Only where the report states its form: the base may not know the template."""

    def renamed(ours, form):
        rows = ours.items.to_pylist()
        for row in rows:
            row["task"] = "answers"
            row["prompt_sha256"] = row["prompt_sha256"] if row["model"] == "model" else "plain"
        found = ours.report.model_copy(
            update={
                "tasks": {"answers": ours.report.tasks["bits_per_byte"]},
                "base": BaseComparison(digest="ee" * 32, answers_form=form),
            }
        )
        kept = [row for row in rows if row["item"].startswith("document")]
        return Measured(found, ours.items.from_pylist(kept, schema=ours.items.schema), digest=DIGEST)

    against = comparison("answers", against="base")
    assert only(renamed(with_base(1.5, 1.9), "plain"), None, against).verdict == "GO"
    assert "another prompt" in only(renamed(with_base(1.5, 1.9), None), None, against).observed


def test_equal_input_gives_equal_lines():
    rows = items(bits=1.92, noise=1)
    assert compared(model(rows), champion()) == compared(model(rows[::-1]), champion(items()[::-1]))


def test_the_tier_is_the_policys():
    assert only(model(), champion(), comparison(tier="advisory")).tier == "advisory"
