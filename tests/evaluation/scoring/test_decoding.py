"""Texts of different lengths that are continued side by side are what the model writes for each alone."""

import copy

import numpy as np
import pytest
import torch

from slipway.errors import UserError
from slipway.evaluation.scoring import Sampling, Scorer
from slipway.evaluation.scoring.lines import SLACK


def alone(model, prompt: list[int], limit: int) -> list[int]:
    tokens = model.generate(torch.tensor([prompt]), max_new_tokens=limit, do_sample=False, pad_token_id=0)
    found = tokens[0, len(prompt) :].tolist()
    return found[: found.index(0)] if 0 in found else found


@pytest.fixture(scope="module")
def prompts():
    rng = np.random.default_rng(1)
    return [[0, *rng.integers(1, 300, size).tolist()] for size in (0, 3, 30, 7, 12, 12, 1, 25, 18, 2, 9, 30)]


@pytest.mark.parametrize("batch_tokens", [16, 48, 2048])
def test_mixed_lengths_and_limits_give_what_each_prompt_gives_alone(model, tokenizer, prompts, batch_tokens):
    """With few tokens a batch, texts wait for a line, take it from those that ended, and are shifted."""
    scorer = Scorer(model, tokenizer, context=64, batch_tokens=batch_tokens)
    limits = [1, 30, 5, 12, 0, 30, 20, 9, 17, 30, 2, 30]
    found = scorer.generate(prompts, limits)
    assert scorer.forward.takes_lines
    assert found == [
        alone(model, prompt, limit) if limit else [] for prompt, limit in zip(prompts, limits, strict=True)
    ]


def test_columns_that_no_text_uses_are_shifted_out(tokenizer):
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(3)
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = LlamaConfig(vocab_size=400, max_position_embeddings=512, initializer_range=0.5, eos_token_id=0, **sizes)
    model = LlamaForCausalLM(config).eval()
    model.get_output_embeddings().weight.data[0] = 0  # it goes on and on
    rng = np.random.default_rng(2)
    prompts = [[0, *rng.integers(1, 300, size).tolist()] for size in (3 * SLACK, 10, 4, 20, 8, 3)]
    limits = [8, 2 * SLACK, 2 * SLACK, SLACK, 2 * SLACK, 30]
    found = Scorer(model, tokenizer, context=512, batch_tokens=192).generate(prompts, limits)
    assert found == [alone(model, prompt, limit) for prompt, limit in zip(prompts, limits, strict=True)]


def test_an_architecture_without_positions_is_fed_prompts_of_equal_length(model, tokenizer, prompts):
    class Plain(torch.nn.Module):
        device, dtype, get_output_embeddings = model.device, model.dtype, model.get_output_embeddings

        def forward(self, tokens, **rest):
            return model(tokens, **rest)

    scorer = Scorer(Plain(), tokenizer, context=64)
    assert scorer.generate(prompts, 12) == Scorer(model, tokenizer, context=64).generate(prompts, 12)
    assert scorer.forward.takes_lines is False


def test_a_model_that_only_ends_texts_gives_empty_ones(model, tokenizer, prompts):
    ended = copy.deepcopy(model)
    ended.get_output_embeddings().weight.data[:] = 0  # all tokens alike: the first wins, which is the separator
    scorer = Scorer(ended, tokenizer, context=64)
    assert scorer.generate(prompts, 10) == [[] for _ in prompts]
    assert scorer.loglikelihoods([[0]], [[[5], [0]]])[0] == pytest.approx([-np.log(len(tokenizer))] * 2)


def test_a_text_ends_at_its_own_stop_texts_and_at_further_ends(scorer, prompts):
    plain = scorer.generate(prompts, 20)
    stops = [[scorer.tokenizer.decode(tokens[4:6])] if len(tokens) > 6 else [] for tokens in plain]
    assert any(map(any, stops))
    for stop, whole, found in zip(stops, plain, scorer.generate(prompts, 20, stops=stops), strict=True):
        assert found == whole[: len(found)]
        if stop and stop[0]:
            assert stop[0] in scorer.tokenizer.decode(found)
            assert stop[0] not in scorer.tokenizer.decode(found[:-1])
        else:
            assert found == whole
    end = next(tokens[3] for tokens in plain if len(tokens) > 3)
    cut = [tokens[: tokens.index(end)] if end in tokens else tokens for tokens in plain]
    assert scorer.generate(prompts, 20, ends=[end]) == cut


def test_drawn_texts_do_not_depend_on_their_neighbours(model, tokenizer, prompts):
    uniforms = np.random.default_rng(5).random((len(prompts), 20))
    found = Scorer(model, tokenizer, context=64, batch_tokens=48).generate(prompts, 20, uniforms)
    scorer = Scorer(model, tokenizer, context=64)
    for prompt, row, tokens in zip(prompts, uniforms, found, strict=True):
        assert scorer.generate([prompt], 20, row[None]) == [tokens]


def test_only_the_most_probable_tokens_are_drawn():
    logits = torch.log(torch.tensor([[0.1, 0.4, 0.2, 0.3]]))
    assert Sampling(top_k=2).probabilities(logits)[0].tolist() == pytest.approx([0, 4 / 7, 0, 3 / 7])
    kept = Sampling(top_p=0.6).probabilities(logits)[0]
    assert (kept > 0).tolist() == [False, True, False, True]
    assert (Sampling(top_p=1e-9).probabilities(logits)[0] > 0).tolist() == [False, True, False, False]
    cold = Sampling(temperature=0.5).probabilities(logits)[0]
    assert cold.tolist() == pytest.approx((np.array([1, 16, 4, 9]) / 30).tolist())


@pytest.mark.parametrize("drawn", [False, True])
def test_damaged_weights_are_named(model, tokenizer, drawn):
    broken = copy.deepcopy(model)
    broken.model.layers[1].mlp.up_proj.weight.data[3, 3] = float("nan")
    uniforms = np.full((1, 4), 0.5) if drawn else None
    with pytest.raises(UserError, match=r"NaN or infinite values in model\.layers\.1\.mlp\.up_proj\.weight"):
        Scorer(broken, tokenizer, context=64).generate([[0, 5]], 4, uniforms)


def test_an_empty_prompt_is_refused(scorer):
    with pytest.raises(UserError, match="empty prompt cannot be continued"):
        scorer.generate([[0], []], 4)
    assert scorer.generate([], 4) == []
