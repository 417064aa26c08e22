"""Architectures that do not take a shortcut are found out, and score as they do by themselves."""

import numpy as np
import pytest
import torch

from slipway.evaluation.scoring import Scorer
from slipway.evaluation.scoring.forward import Forward

SIZES = {
    "vocab_size": 400,
    "hidden_size": 32,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "max_position_embeddings": 64,
    "initializer_range": 0.3,
    "bos_token_id": 0,
    "eos_token_id": 0,
}


def built(name: str, **changes):
    import transformers

    torch.manual_seed(1)
    config = getattr(transformers, f"{name}Config")(**SIZES, num_key_value_heads=1, **changes)
    return getattr(transformers, f"{name}ForCausalLM")(config).eval()


ARCHITECTURES = {
    # name: (model, head applied to scored positions, choices share a row, texts share a buffer)
    "llama": (lambda: built("Llama"), True, True, True),
    "window": (lambda: built("Mistral", sliding_window=8), True, False, False),
    "wide window": (lambda: built("Mistral", sliding_window=64), True, True, True),
    "scaled logits": (lambda: built("Granite", logits_scaling=3.0), False, True, True),
    "capped logits": (lambda: built("Gemma2", head_dim=16, final_logit_softcapping=2.0), False, True, None),
}


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_architecture_scores_and_writes_as_it_does_by_itself(tokenizer, name):
    make, heads, shares, _lines = ARCHITECTURES[name]
    model, rng = make(), np.random.default_rng(3)
    scorer = Scorer(model, tokenizer, context=64, batch_tokens=300, batch_logits=20_000)
    prompts = [[0, *rng.integers(1, 300, size).tolist()] for size in (30, 5, 9, 30)]
    choices = [[rng.integers(1, 300, size).tolist() for size in (1, 7, 3)] for _ in prompts]
    found = scorer.judged(prompts, choices)
    assert (scorer.forward.decoder is not None) is heads
    assert scorer.shares_prompts is shares
    for prompt, options, judged in zip(prompts, choices, found, strict=True):
        for option, (score, greedy) in zip(options, judged, strict=True):
            with torch.no_grad():
                logits = model(torch.tensor([prompt + option])).logits[0, len(prompt) - 1 : -1].double().log_softmax(-1)
            assert score == pytest.approx(float(logits[range(len(option)), option].sum()), abs=1e-4)
            assert greedy is bool((logits.argmax(-1) == torch.tensor(option)).all())
    written = scorer.generate(prompts, 20)
    for prompt, tokens in zip(prompts, written, strict=True):
        own = model.generate(torch.tensor([prompt]), max_new_tokens=20, do_sample=False, pad_token_id=0)
        own = own[0, len(prompt) :].tolist()
        assert tokens == (own[: own.index(0)] if 0 in own else own)
    if _lines is not None:
        assert scorer.forward.takes_lines is _lines


def test_questions_that_need_no_branches_decide_nothing(model, tokenizer):
    scorer = Scorer(model, tokenizer, context=64)
    scorer.loglikelihoods([[0, 5]], [[[7], [8]]])
    assert scorer.shares_prompts is None
    scorer.loglikelihoods([[0, 5]], [[[7, 9], [8, 9]]])
    assert scorer.shares_prompts is True


def test_logits_over_the_vocabulary_never_exist_for_more_than_the_bound(model, tokenizer, monkeypatch):
    seen = []
    head = model.get_output_embeddings()
    handle = head.register_forward_hook(lambda _module, _given, logits: seen.append(logits.numel()))
    try:
        scorer = Scorer(model, tokenizer, context=64, batch_logits=10 * len(tokenizer))
        rng = np.random.default_rng(0)
        scorer.forward.decoder  # the trial, of 16 positions  # noqa: B018
        seen.clear()
        scorer.documents([rng.integers(1, 300, 150).tolist() for _ in range(8)], 32)
    finally:
        handle.remove()
    assert max(seen) <= 10 * len(tokenizer)


def test_all_choices_empty_score_zero(scorer):
    assert scorer.loglikelihoods([[0, 5], [0]], [[[], []], [[]]]) == [[0, 0], [0]]
    assert scorer.judged([[0]], [[[]]]) == [[(0.0, True)]]


def test_overflow_is_told_from_damaged_weights(model):
    from slipway.evaluation.scoring.forward import damaged

    assert "they overflow" in str(damaged(model))
    assert Forward(model, 0, 64, 1 << 20).plain
