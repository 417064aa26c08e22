"""Every shortcut of the scorer gives what the model itself gives, row by row, without shortcuts."""

import numpy as np
import pytest
import torch

from slipway.errors import UserError
from slipway.evaluation.scoring import Scorer


def reference(model, prompt: list[int], choice: list[int]) -> float:
    with torch.no_grad():
        logits = model(torch.tensor([prompt + choice])).logits[0].double().log_softmax(-1)
    return sum(float(logits[len(prompt) + i - 1, token]) for i, token in enumerate(choice))


@pytest.fixture
def questions():
    rng = np.random.default_rng(3)
    prompts = [[0, *rng.integers(1, 300, size).tolist()] for size in (0, 1, 5, 9, 9, 30)]
    choices = [[rng.integers(1, 300, size).tolist() for size in (1, 7, 3, 20)] for _ in prompts]
    choices[0][1] = choices[0][3][:4]  # one choice is the beginning of another
    return prompts, choices


@pytest.mark.parametrize("batch_tokens", [1, 100, 4096])
def test_shared_prompts_give_the_scores_of_plain_rows(model, tokenizer, questions, batch_tokens):
    scorer = Scorer(model, tokenizer, context=64, batch_tokens=batch_tokens)
    found = scorer.loglikelihoods(*questions)
    assert scorer.shares_prompts
    for prompt, options, scores in zip(*questions, found, strict=True):
        assert scores == pytest.approx([reference(model, prompt, choice) for choice in options], abs=1e-4)


def test_an_architecture_that_ignores_the_mask_is_fed_plain_rows(model, tokenizer, questions):
    class Deaf(torch.nn.Module):
        """Drops the mask, as architectures with their own masks may."""

        device, dtype, get_output_embeddings = model.device, model.dtype, model.get_output_embeddings

        def forward(self, tokens, **rest):
            return model(tokens, **{key: value for key, value in rest.items() if key != "attention_mask"})

    scorer = Scorer(Deaf(), tokenizer, context=64)
    found = scorer.loglikelihoods(*questions)
    assert scorer.shares_prompts is False
    assert found[4] == pytest.approx([reference(model, questions[0][4], c) for c in questions[1][4]], abs=1e-4)


def test_a_prompt_that_is_too_long_loses_its_beginning(model, scorer):
    prompt, choices = [0, *range(1, 100)], [[5, 6, 7], [8]]
    (found,) = scorer.loglikelihoods([prompt], [choices])
    kept = prompt[-62:]  # 62 + 2 fed tokens of the longest choice = 64
    assert found == pytest.approx([reference(model, kept, choice) for choice in choices], abs=1e-4)


def test_an_empty_choice_scores_zero_and_an_empty_question_gives_nothing(scorer):
    assert scorer.loglikelihoods([[0, 5], [0]], [[[], [4]], []])[0][0] == 0
    assert scorer.loglikelihoods([], []) == []


@pytest.mark.parametrize(
    ("prompt", "choice", "message"),
    [([], [1], "without a prompt"), ([0], list(range(65)), "does not fit a context of 64")],
)
def test_what_cannot_be_scored_is_refused(scorer, prompt, choice, message):
    with pytest.raises(UserError, match=message):
        scorer.loglikelihoods([prompt], [[choice]])


def test_scores_that_are_not_numbers_are_refused(model, tokenizer):
    import copy

    broken = copy.deepcopy(model)
    broken.get_output_embeddings().weight.data[3] = float("nan")
    with pytest.raises(UserError, match="not numbers"):
        Scorer(broken, tokenizer, context=64).loglikelihoods([[0]], [[[1]]])


@pytest.mark.parametrize("length", [0, 1, 62, 63, 64, 65, 200])
@pytest.mark.parametrize("stride", [1, 24, 64])
def test_a_document_is_scored_once_from_separator_to_separator(model, scorer, length, stride):
    tokens = np.random.default_rng(length).integers(1, 300, length).tolist()
    stream, expected, done = [0, *tokens, 0], 0.0, 1
    while done < len(stream):
        end = min(len(stream), 65 if done == 1 else done + stride)
        begin = max(0, end - 65)
        expected -= reference(model, stream[begin:done], stream[done:end])
        done = end
    assert scorer.documents([tokens], stride) == pytest.approx([expected], abs=1e-3)


@pytest.mark.parametrize("batch_tokens", [1, 200])
def test_every_token_has_its_score_and_a_long_document_is_cut(model, tokenizer, batch_tokens):
    rng, scorer = np.random.default_rng(4), Scorer(model, tokenizer, context=64, batch_tokens=batch_tokens)
    documents = [rng.integers(1, 300, size).tolist() for size in (0, 5, 63, 64, 100, 30)]
    found = scorer.token_scores(documents)
    assert [len(scores) for scores in found] == [1, 6, 64, 64, 64, 31]
    for tokens, scores in zip(documents, found, strict=True):
        stream = [0, *tokens, 0][:65]
        expected = [reference(model, stream[:place], stream[place : place + 1]) for place in range(1, len(stream))]
        assert scores.dtype == np.float64
        assert scores == pytest.approx(expected, abs=1e-4)
    assert scorer.token_scores([]) == []


@pytest.mark.parametrize("batch_tokens", [1, 200])
def test_the_next_token_is_scored_over_the_whole_vocabulary(model, tokenizer, batch_tokens):
    rng, scorer = np.random.default_rng(4), Scorer(model, tokenizer, context=64, batch_tokens=batch_tokens)
    prompts = [rng.integers(0, 300, size).tolist() for size in (1, 7, 7, 3, 64, 90)]
    found = scorer.next_scores(prompts)
    assert (found.shape, found.dtype) == ((6, len(tokenizer)), np.float32)
    with torch.no_grad():
        for prompt, scores in zip(prompts, found, strict=True):
            logits = model(torch.tensor([prompt[-64:]])).logits[0, -1]
            assert scores == pytest.approx(logits.log_softmax(-1).numpy(), abs=1e-4)
    assert scorer.next_scores([]).shape == (0, len(tokenizer))
    with pytest.raises(UserError, match="empty prompt cannot be continued"):
        scorer.next_scores([[0], []])


def test_a_stride_beyond_the_context_is_refused(scorer):
    with pytest.raises(UserError, match=r"evaluate.stride is 65"):
        scorer.documents([[1]], 65)


def test_greedy_generation_is_the_models_own(model, scorer):
    prompts = [[0], [0, 7, 9], [0, 30, 31], [0, 40, 41, 42]]
    for prompt, found in zip(prompts, scorer.generate(prompts, 20), strict=True):
        expected = model.generate(torch.tensor([prompt]), max_new_tokens=20, do_sample=False, pad_token_id=0)
        expected = expected[0, len(prompt) :].tolist()
        assert found == (expected[: expected.index(0)] if 0 in expected else expected)


def test_a_sample_depends_on_its_own_row_only_and_follows_the_distribution(model, scorer):
    uniforms = np.random.default_rng(5).random((4000, 2))
    both = scorer.generate([[0]] * 4000, 2, uniforms)
    assert scorer.generate([[0]], 2, uniforms[7:8]) == [both[7]]
    with torch.no_grad():
        expected = model(torch.tensor([[0]])).logits[0, -1].double().softmax(-1).numpy()
    observed = np.bincount([tokens[0] if tokens else 0 for tokens in both], minlength=len(expected)) / 4000
    assert np.abs(observed - expected).max() < 0.03


def test_generation_that_cannot_fit_is_refused(scorer):
    assert len(scorer.generate([list(range(100))], 64)[0]) <= 64
    with pytest.raises(UserError, match="65 new tokens"):
        scorer.generate([[0]], 65)


def test_control_tokens_in_text_stay_letters(scorer):
    (tokens,) = scorer.encode(["a<|endoftext|>b"])
    assert scorer.separator not in tokens
    assert scorer.decode(tokens) == "a<|endoftext|>b"
    assert scorer.encode([]) == []
