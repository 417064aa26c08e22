"""The chunked loss equals the model's own, and is not used where it would not."""

import pytest
import torch
from torch.nn import functional

from slipway.model import loss as module
from slipway.model.build import build
from slipway.model.data import IGNORED
from slipway.model.loss import LinearCrossEntropy, make_loss
from tests.model.conftest import ARCHITECTURE

SMALL = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
}


def test_value_and_gradients_equal_those_of_torch() -> None:
    torch.manual_seed(0)
    n = 2 * module.CHUNK + 7
    hidden, weight = torch.randn(n, 16, requires_grad=True), torch.randn(40, 16, requires_grad=True)
    labels = torch.randint(0, 40, (n,))
    ours = LinearCrossEntropy.apply(hidden, weight, labels)
    ours.backward()
    found = ours.item(), hidden.grad, weight.grad
    hidden.grad = weight.grad = None
    theirs = functional.cross_entropy(hidden @ weight.T, labels)
    theirs.backward()
    assert found[0] == pytest.approx(theirs.item(), rel=1e-5)
    torch.testing.assert_close(found[1], hidden.grad, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(found[2], weight.grad, rtol=1e-4, atol=1e-6)


def test_the_gradient_is_that_of_finite_differences() -> None:
    torch.manual_seed(0)
    hidden = torch.randn(5, 4, dtype=torch.double, requires_grad=True)
    weight = torch.randn(6, 4, dtype=torch.double, requires_grad=True)
    assert torch.autograd.gradcheck(lambda h, w: LinearCrossEntropy.apply(h, w, torch.arange(5)), (hidden, weight))


@pytest.mark.parametrize(
    ("architecture", "linear"),
    [
        (ARCHITECTURE, True),
        (ARCHITECTURE | {"tie_word_embeddings": False}, True),
        ({"model_type": "gpt2", "n_embd": 32, "n_layer": 1, "n_head": 2}, True),
        ({"model_type": "gemma2", "final_logit_softcapping": 30.0, "head_dim": 16, **SMALL}, False),
        ({"model_type": "cohere", **SMALL}, False),  # scales its logits
        ({"model_type": "phi", **SMALL}, False),  # has a bias in its head
    ],
)
def test_the_chunked_loss_is_used_only_where_it_is_the_same_function(architecture: dict, linear: bool) -> None:
    model = build(architecture, 300, 16, seed=1)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    assert module._head_is_linear(model) is linear
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    rows = torch.randint(0, 300, (3, 17))
    model.eval()
    expected = model(input_ids=rows[:, :-1]).logits.flatten(0, 1)
    value = functional.cross_entropy(expected, rows[:, 1:].flatten())
    assert make_loss(model)(rows).item() == pytest.approx(value.item(), rel=1e-5)


@pytest.mark.parametrize("kind", ["llama", "cohere"])
def test_masked_tokens_count_neither_in_the_loss_nor_in_the_mean(kind: str) -> None:
    architecture = ARCHITECTURE if kind == "llama" else {"model_type": "cohere", **SMALL}
    model = build(architecture, 300, 16, seed=1).eval()
    rows = torch.randint(0, 300, (3, 17))
    labels = rows[:, 1:].masked_fill(torch.rand(3, 16) < 0.7, IGNORED)
    assert 0 < (labels != IGNORED).sum() < labels.numel()
    expected = functional.cross_entropy(model(input_ids=rows[:, :-1]).logits.flatten(0, 1), labels.flatten())
    expected.backward()
    gradients = [p.grad.clone() for p in model.parameters()]
    model.zero_grad()
    value = make_loss(model)(rows, labels)
    value.backward()
    assert value.item() == pytest.approx(expected.item(), rel=1e-5)
    for parameter, gradient in zip(model.parameters(), gradients, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("kind", ["llama", "cohere"])
def test_a_batch_in_which_nothing_counts_teaches_nothing(kind: str) -> None:
    model = build(ARCHITECTURE if kind == "llama" else {"model_type": "cohere", **SMALL}, 300, 16, seed=1)
    value = make_loss(model)(torch.randint(0, 300, (2, 17)), torch.full((2, 16), IGNORED))
    value.backward()
    assert value.item() == 0
    assert all(p.grad is None or not p.grad.any() for p in model.parameters())


def test_labels_that_all_count_change_no_bit() -> None:
    model = build(ARCHITECTURE, 300, 16, seed=1)
    rows = torch.randint(0, 300, (3, 17))
    loss = make_loss(model)
    assert loss(rows).item() == loss(rows, rows[:, 1:]).item()
