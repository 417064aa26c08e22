"""What is wrong with data, recipe or model has a stated outcome: a refusal, a task not run, or a wide interval."""

import copy

import numpy as np
import pytest

from slipway.errors import UserError
from slipway.evaluation.documents import Document
from slipway.evaluation.report import evaluate
from slipway.evaluation.scoring import Scorer
from slipway.evaluation.tasks.file import FileTask, Item
from tests.evaluation.made import SETTINGS, described, document, material, talks


def run(scorer, test, **other):
    return evaluate(scorer, material(test), weights_sha256="w", **other)


def altered(model, tokenizer, change, context=64):
    """The tiny model after `change`."""
    import torch

    other = copy.deepcopy(model)
    with torch.no_grad():
        change(other)
    return Scorer(other, tokenizer, context=context)


def test_a_task_with_no_items_is_not_run_and_says_why(scorer):
    report, items = run(scorer, described(3, signed=False), files=[FileTask("empty", "\n", ())])
    assert set(report.tasks) == {"bits_per_byte"}
    assert set(report.not_run) == {"answers", "continuation", "signature", "empty"}
    assert report.not_run["signature"].startswith("0 of 3 test documents have a signature")
    assert report.not_run["continuation"].startswith("3 of 3 test documents have twice answer_tokens tokens")
    assert report.not_run["answers"].startswith("no test document is a completion")
    assert report.not_run["empty"] == "its file holds no question"
    assert {item.task for item in items} == {"bits_per_byte"}


def test_answers_of_which_none_fits_are_not_run(talking):
    from tests.evaluation.made import talk

    report, _ = run(talking, [talk(0, [["user", "Sum?"], ["assistant", "value " * 90]])])
    assert report.not_run["answers"] == "none of the 1 answers in the test split fits a context of 64 tokens"


def test_items_that_are_all_alike_make_no_question_and_no_spread(scorer):
    """The same document ten times: no wrong answer differs from the true one."""
    same = [document(i, "The value of the array is the index of the axis." * 3) for i in range(12)]
    report, _ = run(scorer, same)
    assert "different answers" in report.not_run["continuation"]
    bits = report.tasks["bits_per_byte"].measure
    assert bits.n == 12
    assert bits.high - bits.low < 1e-5


def test_questions_answered_all_alike_keep_an_interval(scorer):
    quiz = FileTask("quiz", "\n", tuple(Item(str(i), f"Number {i}?", ("same", "same"), i % 2) for i in range(20)))
    report, items = run(scorer, described(4), files=[quiz])
    found = report.tasks["quiz"]
    assert all(item.value == 1 for item in items if item.task == "quiz"), "choices that say the same are all right"
    assert found.measure.value == 1
    assert found.measure.low < 0.9


@pytest.mark.parametrize("count", [1, 2, 9])
def test_fewer_than_ten_items_have_a_wide_interval_or_none(scorer, count):
    report, _ = run(scorer, described(count, signed=False))
    measure = report.tasks["bits_per_byte"].measure
    assert measure.n == count
    assert (measure.low is None) == (count == 1)
    if count == 9:
        many = run(scorer, described(90, signed=False))[0].tasks["bits_per_byte"].measure
        assert measure.high - measure.low > 2 * (many.high - many.low)
    quiz = FileTask("quiz", "\n", tuple(Item(str(i), f"Number {i}?", ("one", "two"), i % 2) for i in range(count)))
    found = run(scorer, described(4), files=[quiz])[0].tasks["quiz"]
    assert found.measure.high - found.measure.low > 0.4
    assert found.calibration.expected_error.low is None


def test_a_model_whose_scores_are_not_numbers_leaves_no_report(model, tokenizer):
    broken = altered(model, tokenizer, lambda other: other.model.norm.weight.fill_(float("nan")))
    with pytest.raises(UserError, match="not numbers"):
        run(broken, described(4))


def test_a_model_that_only_ends_is_measured_and_adds_nothing(model, tokenizer):
    """Its samples are empty, every choice scores alike, and so it is right as often as guessing."""
    import torch

    def only_ends(other):
        # Hidden states all alike, and one word that they ask for; all other words are equally far.
        other.model.norm.weight.fill_(1.0)
        for layer in other.model.layers:
            layer.self_attn.o_proj.weight.zero_()
            layer.mlp.down_proj.weight.zero_()
        other.model.embed_tokens.weight.fill_(1.0)
        other.lm_head.weight = torch.nn.Parameter(torch.zeros_like(other.lm_head.weight))
        other.lm_head.weight[tokenizer.eos_token_id].fill_(2.0)

    silent = altered(model, tokenizer, only_ends)
    report, items = run(silent, described(30))
    assert [sample.text for sample in report.samples] == [""] * 8
    found = report.tasks["continuation"]
    assert all(abs(score) < 1e-4 for item in items if item.task == "continuation" for score in item.scores)
    assert found.measure.low < 0.25 < found.measure.high
    assert all(np.isfinite([item.value for item in items]))


def test_a_context_longer_than_the_models_is_refused(model, tokenizer):
    longer = Scorer(model, tokenizer, context=model.config.max_position_embeddings + 1)
    with pytest.raises(UserError, match=r"sequence_length is 65, but the model has 64 positions"):
        run(longer, described(4))


def test_a_stride_longer_than_the_context_is_refused(scorer):
    with pytest.raises(UserError, match=r"evaluate\.stride is 65"):
        evaluate(
            scorer,
            material(described(4), settings=SETTINGS.model_copy(update={"stride": 65})),
            weights_sha256="w",
        )


def test_text_in_any_script_is_measured_in_its_bytes(scorer):
    texts = ["naïve café", "日本語の文書です。", "🙂🙂🙂 👩‍👩‍👧", "\u0301combining", "<|endoftext|> as text"]
    report, items = run(scorer, [Document(f"d{i}", text, "s", f"f{i}", None) for i, text in enumerate(texts)])
    assert [item.weight for item in items] == [len(text.encode()) for text in texts]
    assert report.test_bytes == sum(len(text.encode()) for text in texts)
    assert report.tasks["bits_per_byte"].measure.value == pytest.approx(
        sum(item.value for item in items) / report.test_bytes, abs=1e-6
    )


def test_a_talking_model_that_has_no_room_for_an_answer_is_still_sampled(talking):
    report, _ = run(talking, talks(4))
    assert len(report.samples) == 8
