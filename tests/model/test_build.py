"""A model from its configuration: the same parameters from the same seed, faults named by key."""

import pytest
import torch

from slipway.errors import UserError
from slipway.model.build import build, configure
from tests.model.conftest import ARCHITECTURE


def test_equal_seeds_give_equal_parameters_and_leave_the_generator_alone() -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    one = build(ARCHITECTURE, 300, 16, seed=5)
    assert torch.equal(before, torch.get_rng_state())
    torch.manual_seed(2)
    other, third = build(ARCHITECTURE, 300, 16, seed=5), build(ARCHITECTURE, 300, 16, seed=6)
    for name, tensor in one.state_dict().items():
        assert torch.equal(tensor, other.state_dict()[name])
    assert not torch.equal(one.get_input_embeddings().weight, third.get_input_embeddings().weight)


def test_what_the_tokenizer_decides_is_set() -> None:
    config = configure(ARCHITECTURE, 300, 16)
    assert (config.vocab_size, config.max_position_embeddings) == (300, 16)
    assert (config.bos_token_id, config.eos_token_id) == (0, 0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hiden_size": 32}, r"architecture\.hiden_size: unknown to LlamaConfig; did you mean `hidden_size`"),
        ({"auto_map": {}}, r"architecture\.auto_map: unknown"),
        ({"vocab_size": 9}, r"architecture\.vocab_size: follows from tokenize\.vocabulary; remove it"),
        ({"model_type": "lama"}, r"`lama` is no causal language model; did you mean `llama`"),
        ({"model_type": None}, r"model_type: missing"),
        ({"hidden_size": "32"}, r"LlamaConfig refuses it.*hidden_size.*expected int"),
        ({"hidden_size": 33, "num_attention_heads": 2}, r"train\.architecture"),
        ({"hidden_act": "no-such-function"}, r"transformers cannot build it.*no-such-function"),
    ],
)
def test_a_wrong_key_is_named(change: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        build(ARCHITECTURE | change, 300, 16, seed=0)


def test_other_names_of_a_key_are_known() -> None:
    config = configure({"model_type": "gpt2", "n_embd": 32, "n_layer": 1, "n_head": 2}, 300, 16)
    assert (config.hidden_size, config.n_positions) == (32, 16)
