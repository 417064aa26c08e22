"""The base is scored on the model's own text and answers, in the form that suits it, and the difference is paired."""

import copy
import json

import numpy as np
import pytest

from slipway.chat import CONTROL, TEMPLATE
from slipway.data.tokens import bpe
from slipway.evaluation.answers import answers, measured, score, template
from slipway.evaluation.beside import Base
from slipway.evaluation.documents import Document
from slipway.evaluation.report import evaluate
from slipway.evaluation.scoring import Scorer
from slipway.evaluation.statistics import derived
from slipway.records import EvaluateReport
from slipway.settings import Choice, Evaluate
from tests.evaluation.conftest import sentences

SETTINGS = Evaluate(
    stride=32,
    continuation=Choice(items=8, prompt_tokens=20, answer_tokens=8),
    signature=Choice(items=8, prompt_tokens=20, answer_tokens=12),
    files=(),
    bootstrap=200,
)
TALK = [["user", "Sort the array?"], ["assistant", "Return the index."], ["user", "Sum?"], ["assistant", "The value."]]


def document(number, turns):
    text = "\n\n".join(content for _, content in turns)
    return Document(f"d{number:02}", text, "made/up", f"f{number // 2}", None, "chat", json.dumps(turns))


def talks(count):
    said = zip(sentences(count, 1, 4), sentences(count, 2, 6), strict=True)
    return [document(n, [["user", one], ["assistant", other]]) for n, (one, other) in enumerate(said)]


@pytest.fixture(scope="module")
def words(tmp_path_factory):
    from transformers import AutoTokenizer

    place = tmp_path_factory.mktemp("tokenizer")
    bpe.save(bpe.train([*sentences(200, 0), "user assistant"], 400, CONTROL), place, TEMPLATE)
    return AutoTokenizer.from_pretrained(place, local_files_only=True)


def grown(model, words, noise=0.0):
    import torch

    other = copy.deepcopy(model)
    torch.manual_seed(1)
    other.resize_token_embeddings(len(words))
    with torch.no_grad():
        for weights in other.parameters():
            weights.add_(noise * torch.randn_like(weights))
    return Scorer(other, words, context=64)


@pytest.fixture(scope="module")
def talking(model, words):
    return grown(model, words)


def run(scorer, test, base):
    report, _ = evaluate(
        scorer, test, ["some text"], SETTINGS, 17, weights_sha256="w", test_sha256="t", base=Base("b", lambda: base)
    )
    return report


def test_in_plain_form_no_control_token_is_shown_and_the_answer_alone_counts(talking):
    asked = answers(talking, [document(1, TALK)], template(talking), plain=True)
    decode = talking.tokenizer.decode
    assert [one.item for one in asked] == ["d01#0", "d01#1"]
    assert [decode(one.prompt) for one in asked] == [
        "Sort the array?\n\n",
        "Sort the array?\n\nReturn the index.\n\nSum?\n\n",
    ]
    assert [decode(one.answer) for one in asked] == ["Return the index.", "The value."]
    assert [one.size for one in asked] == [17, 10]
    (whole,) = talking.encode(["Sort the array?\n\nReturn the index."])
    assert [*asked[0].prompt, *asked[0].answer] == whole


def test_a_base_that_is_the_model_differs_in_nothing_but_the_form(talking):
    report = run(talking, talks(12), talking)
    base = report.base
    assert base.digest == "b"
    assert base.bits_per_byte == report.bits_per_byte["model"]
    assert (base.bits_per_byte_difference.value, base.bits_per_byte_difference.low) == (0, 0)
    assert base.bits_per_byte_difference.high == 0
    assert base.answers_by_form["template"] == report.answers
    assert base.answers.value == min(measure.value for measure in base.answers_by_form.values())
    assert base.answers == base.answers_by_form[base.answers_form]


def test_the_difference_is_paired_and_has_an_interval(talking, model, words):
    other = grown(model, words, noise=0.02)
    test = talks(30)
    report = run(talking, test, other)
    base = report.base
    model_bits = report.bits_per_byte["model"]
    assert base.bits_per_byte_difference.value == pytest.approx(model_bits.value - base.bits_per_byte.value, abs=2e-6)
    assert base.answers_difference.value == pytest.approx(report.answers.value - base.answers.value, abs=2e-6)
    assert base.answers_difference.n == report.answers.n == 15
    assert base.answers_difference.method.startswith("model minus base, paired; percentile bootstrap over families")
    for difference, whole in (
        (base.bits_per_byte_difference, model_bits),
        (base.answers_by_form["template"], report.answers),
    ):
        assert difference.low < difference.value < difference.high
        assert whole.low < whole.high
    paired = base.bits_per_byte_difference
    assert paired.high - paired.low < model_bits.high - model_bits.low
    assert run(talking, test, other) == report
    assert EvaluateReport.model_validate_json(report.to_json()) == report


def test_the_form_that_suits_the_base_is_compared(talking, model, words):
    """Control tokens that a base has never met cost it: then it is asked in plain form."""
    import torch

    strange = grown(model, words)
    with torch.no_grad():
        for token in CONTROL:
            strange.model.get_input_embeddings().weight[words.convert_tokens_to_ids(token)] = 9.0
    test = talks(12)
    base = run(talking, test, strange).base
    assert base.answers_form == "plain"
    plain = score(strange, answers(strange, test, template(strange), plain=True))
    assert base.answers == measured(plain, SETTINGS.bootstrap, derived(17, "answers"))
    own = score(talking, answers(talking, test, template(talking)))
    sizes = sum(one.size for one in own.asked)
    expected = (own.nats.sum() - plain.nats.sum()) / np.log(2) / sizes
    assert base.answers_difference.value == pytest.approx(expected, abs=1e-6)


def test_answers_that_do_not_fit_in_every_form_are_left_out_of_the_comparison(talking):
    long = document(40, [["user", "Sum?"], ["assistant", "value " * 90]])
    report = run(talking, [*talks(6), long], talking)
    assert "1 of 7 answers do not fit the context" in report.answers.method
    assert "1 of 7 answers do not fit the context" in report.base.answers_difference.method
    assert report.base.answers_difference.n == report.answers.n == 3


def test_without_answers_only_text_is_compared(talking):
    test = [Document(f"t{n}", text, "made/up", f"t{n}", None) for n, text in enumerate(sentences(5, 4))]
    base = run(talking, test, talking).base
    assert base.bits_per_byte_difference.value == 0
    assert (base.answers, base.answers_form, base.answers_difference, base.answers_by_form) == (None, None, None, {})


def test_completions_are_put_alike_in_both_forms(talking):
    turns = [["prompt", "Return the "], ["completion", "value of an array."]]
    said = Document("c", "Return the value of an array.", "made/up", "c", None, "completion", json.dumps(turns))
    assert answers(talking, [said], None, plain=True) == answers(talking, [said], None)
    base = run(talking, [said], talking).base
    assert base.answers_by_form["plain"] == base.answers_by_form["template"]
    assert base.answers_form == "template"


def test_records_without_a_base_still_read(talking):
    report, _ = evaluate(talking, talks(4), ["a"], SETTINGS, 17, weights_sha256="w", test_sha256="t")
    assert report.base is None
    kept = json.loads(report.to_json())
    del kept["base"]
    assert EvaluateReport.model_validate_json(json.dumps(kept)) == report
