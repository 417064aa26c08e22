"""A real byte-level tokenizer and a real, tiny, untrained Llama."""

import pytest

WORDS = ["array", "axis", "value", "index", "sort", "return", "the", "of", "a", "shape", "matrix", "number", "input"]


def sentences(count: int, seed: int, words: int = 14) -> list[str]:
    import numpy as np

    rng = np.random.default_rng(seed)
    return [" ".join(rng.choice(WORDS, words)).capitalize() + "." for _ in range(count)]


@pytest.fixture(scope="session")
def tokenizer():
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<|endoftext|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    backend.train_from_iterator(sentences(200, 0), trainer)
    end = "<|endoftext|>"
    return PreTrainedTokenizerFast(tokenizer_object=backend, bos_token=end, eos_token=end)


@pytest.fixture(scope="session")
def model(tokenizer):
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    torch.set_num_threads(1)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=64,
        initializer_range=0.3,
        bos_token_id=0,
        eos_token_id=0,
    )
    return LlamaForCausalLM(config).eval()


@pytest.fixture
def scorer(model, tokenizer):
    from slipway.evaluation.scoring import Scorer

    return Scorer(model, tokenizer, context=64)


@pytest.fixture(scope="session")
def words(tmp_path_factory):
    """A tokenizer with the shipped chat template."""
    from transformers import AutoTokenizer

    from tests.evaluation.made import template_directory

    place = template_directory(tmp_path_factory.mktemp("tokenizer"))
    return AutoTokenizer.from_pretrained(place, local_files_only=True)


@pytest.fixture(scope="session")
def talking(model, words):
    """The tiny model with the control tokens of the template."""
    from tests.evaluation.made import grown

    return grown(model, words)
