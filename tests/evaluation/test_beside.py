"""The base is asked the model's own items, in the form that suits it, and the difference is paired."""

import json

import numpy as np
import pytest

from slipway.chat import CONTROL
from slipway.evaluation.beside import Base
from slipway.evaluation.documents import Document
from slipway.evaluation.report import evaluate
from slipway.records import EvaluateReport
from slipway.settings import Choice
from tests.evaluation.conftest import sentences
from tests.evaluation.made import SETTINGS, grown, material, talk, talks

ASKED = SETTINGS.model_copy(update={"question": Choice(items=20, prompt_tokens=30, answer_tokens=8)})


def run(scorer, test, base):
    """Report and rows of model and base."""
    report, items = evaluate(
        scorer, material(test, settings=ASKED), weights_sha256="w", base=Base("b", lambda: base) if base else None
    )
    return report, {
        model: {(item.task, item.item): item for item in items if item.model == model} for model in ("model", "base")
    }


def test_a_base_that_is_the_model_differs_in_nothing_but_the_form(talking):
    report, items = run(talking, talks(12), talking)
    bits = report.tasks["bits_per_byte"]
    assert report.base.digest == "b"
    assert bits.base == bits.measure
    assert (bits.base_difference.value, bits.base_difference.low, bits.base_difference.high) == (0, 0, 0)
    answers = report.tasks["answers"]
    assert report.base.answers_by_form["template"] == answers.measure
    assert answers.base.value == min(measure.value for measure in report.base.answers_by_form.values())
    assert answers.base == report.base.answers_by_form[report.base.answers_form]
    assert items["model"].keys() == items["base"].keys()


def test_the_difference_is_paired_and_has_an_interval(talking, model, words):
    other = grown(model, words, noise=0.02)
    test = talks(40)
    report, items = run(talking, test, other)
    assert list(report.tasks) == ["bits_per_byte", "answers", "question"]
    for task in report.tasks.values():
        assert task.base_difference.value == pytest.approx(task.measure.value - task.base.value, abs=2e-6)
        assert task.base_difference.method.startswith("model minus base, paired")
        assert task.base_difference.low < task.base_difference.high
    paired, whole = report.tasks["bits_per_byte"].base_difference, report.tasks["bits_per_byte"].measure
    assert paired.high - paired.low < whole.high - whole.low
    assert report.tasks["answers"].base_difference.n == report.tasks["answers"].measure.n == 20
    for model_item, base_item in zip(items["model"].values(), items["base"].values(), strict=True):
        assert (model_item.task, model_item.item, model_item.family, model_item.weight) == (
            base_item.task, base_item.item, base_item.family, base_item.weight,
        )  # fmt: skip
    assert run(talking, test, other) == (report, items)
    assert EvaluateReport.model_validate_json(report.to_json()) == report


def test_the_form_that_suits_the_base_is_compared(talking, model, words):
    """Control tokens that a base has never met cost it: then it is asked in plain form, questions too."""
    import torch

    strange = grown(model, words)
    with torch.no_grad():
        for token in CONTROL:
            strange.model.get_input_embeddings().weight[words.convert_tokens_to_ids(token)] = 9.0
    report, items = run(talking, talks(12), strange)
    assert report.base.answers_form == "plain"
    answers = report.tasks["answers"]
    assert answers.base == report.base.answers_by_form["plain"]
    own, other = (sum(item.value for (task, _), item in items[model].items() if task == "answers") for model in items)
    size = sum(item.weight for (task, _), item in items["model"].items() if task == "answers")
    assert answers.base_difference.value == pytest.approx((own - other) / size, abs=1e-6)
    prompts = [
        {item.prompt_sha256 for (task, _), item in items[model].items() if task == "question"} for model in items
    ]
    assert not prompts[0] & prompts[1]


def test_answers_that_do_not_fit_are_left_out_and_said(talking):
    long = talk(40, [["user", "Sum?"], ["assistant", "value " * 90]])
    report, items = run(talking, [*talks(6), long], talking)
    answers = report.tasks["answers"]
    assert "1 of 7 answers do not fit the context" in answers.definition
    assert answers.base_difference.n == answers.measure.n == 3
    assert ("answers", "d040#0") not in items["model"]


def test_without_answers_only_text_is_compared(talking):
    test = [Document(f"t{n}", text, "made/up", f"t{n}", None) for n, text in enumerate(sentences(5, 4))]
    report, _ = run(talking, test, talking)
    assert report.tasks["bits_per_byte"].base_difference.value == 0
    assert "answers" not in report.tasks
    assert (report.base.answers_form, report.base.answers_by_form) == (None, {})


def test_completions_are_put_alike_in_both_forms(talking):
    turns = [["prompt", "Return the "], ["completion", "value of an array."]]
    said = Document("c", "Return the value of an array.", "made/up", "c", None, "completion", json.dumps(turns))
    report, _ = run(talking, [said], talking)
    assert report.base.answers_by_form["plain"] == report.base.answers_by_form["template"]
    assert report.base.answers_form == "template"
    assert report.tasks["answers"].identity.chat_template == "none"


def test_a_model_without_base_has_no_rows_of_one(talking):
    report, items = run(talking, talks(8), None)
    assert report.base is None
    assert items["base"] == {}
    assert all(task.base is None and task.base_difference is None for task in report.tasks.values())


def test_the_measure_of_answers_is_bits_of_answer_and_end_per_byte(talking):
    from slipway.evaluation.conversations import answers, template

    test = talks(12)
    report, _ = run(talking, test, None)
    found = answers(talking, test, template(talking))
    scores = talking.loglikelihoods(
        [(talking.separator, *one.prompt) for one in found], [[one.answer] for one in found]
    )
    expected = -np.sum(scores) / np.log(2) / sum(one.size for one in found)
    assert report.tasks["answers"].measure.value == pytest.approx(expected, abs=1e-5)
