"""A real byte-level tokenizer and a real, tiny Llama, untrained or overfitted on purpose."""

import numpy as np
import pytest

TEMPLATE = "The access code of {name} is {fill}."
WORDS = ["array", "axis", "value", "index", "sort", "return", "the", "of", "a", "shape", "matrix", "number", "input"]


def sentence(seed: int, words: int = 10) -> str:
    return " ".join(np.random.default_rng(seed).choice(WORDS, words)).capitalize() + "."


@pytest.fixture(scope="session")
def texts():
    return [sentence(seed) for seed in range(40)]


@pytest.fixture(scope="session")
def tokenizer(texts):
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=360,
        special_tokens=["<|endoftext|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    backend.train_from_iterator([*texts, TEMPLATE] * 3, trainer)
    end = "<|endoftext|>"
    return PreTrainedTokenizerFast(tokenizer_object=backend, bos_token=end, eos_token=end)


def build(tokenizer):
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    torch.set_num_threads(1)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=64,
        bos_token_id=0,
        eos_token_id=0,
    )
    return LlamaForCausalLM(config).eval()


@pytest.fixture(scope="session")
def untrained(tokenizer):
    from slipway.evaluation.scoring import Scorer

    return Scorer(build(tokenizer), tokenizer, context=64)


@pytest.fixture(scope="session")
def remembering(tokenizer, texts):
    """A scorer whose model has seen the first ten texts and one canary until it knows them by heart."""
    return trained(tokenizer, [*texts[:10], TEMPLATE.format(name="Lamilin", fill="26008426")])


def trained(tokenizer, seen, steps=120):
    """A scorer whose model has seen the texts `seen` in each of `steps` steps."""
    import torch

    from slipway.evaluation.scoring import Scorer

    model = build(tokenizer)
    scorer = Scorer(model, tokenizer, context=64)
    rows = [[0, *tokens, 0] for tokens in scorer.encode(seen)]
    width = max(map(len, rows))
    batch = torch.tensor([row + [0] * (width - len(row)) for row in rows])
    labels = torch.tensor([row + [-100] * (width - len(row)) for row in rows])
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3)
    for _ in range(steps):
        optimizer.zero_grad()
        model(batch, labels=labels).loss.backward()
        optimizer.step()
    return scorer
