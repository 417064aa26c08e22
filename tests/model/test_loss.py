"""Losses over a vocabulary, walked in chunks, equal torch's own on full logits; gradients too."""

import pytest
import torch
from torch.nn import functional

from slipway.model import loss as module
from slipway.model.loss import LinearCrossEntropy, LinearDivergence, token_nats

N = 2 * module.CHUNK["cpu"] + 7


def drawn(vocabulary: int = 40) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    hidden, weight = torch.randn(N, 16, requires_grad=True), torch.randn(vocabulary, 16, requires_grad=True)
    return hidden, weight, torch.randint(0, vocabulary, (N,))


def check(ours: torch.Tensor, theirs: torch.Tensor, *inputs: torch.Tensor) -> None:
    """Equal values, and equal gradients of `inputs`."""
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-5)
    pairs = zip(torch.autograd.grad(ours, inputs), torch.autograd.grad(theirs, inputs), strict=True)
    for one, other in pairs:
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("divisor", [1.0, float(N)])
def test_value_and_gradients_equal_those_of_torch(divisor: float) -> None:
    hidden, weight, labels = drawn()
    theirs = functional.cross_entropy(hidden @ weight.T, labels, reduction="sum") / divisor
    check(LinearCrossEntropy.apply(hidden, weight, labels, divisor), theirs, hidden, weight)


def test_what_follows_the_loss_scales_its_gradients() -> None:
    hidden, weight, labels = drawn()
    theirs = 3 * functional.cross_entropy(hidden @ weight.T, labels)
    check(3 * LinearCrossEntropy.apply(hidden, weight, labels, float(N)), theirs, hidden, weight)


def test_a_frozen_head_or_frozen_states_need_no_gradient() -> None:
    hidden, weight, labels = drawn()
    both = torch.autograd.grad(LinearCrossEntropy.apply(hidden, weight, labels, 1.0), (hidden, weight))
    (alone,) = torch.autograd.grad(LinearCrossEntropy.apply(hidden, weight.detach(), labels, 1.0), hidden)
    (other,) = torch.autograd.grad(LinearCrossEntropy.apply(hidden.detach(), weight, labels, 1.0), weight)
    assert torch.equal(alone, both[0])
    assert torch.equal(other, both[1])
    with torch.no_grad():
        expected = functional.cross_entropy(hidden @ weight.T, labels, reduction="sum").item()
        assert LinearCrossEntropy.apply(hidden, weight, labels, 1.0).item() == pytest.approx(expected, rel=1e-5)


def test_half_precision_keeps_its_sums_in_float32() -> None:
    hidden, weight, labels = drawn()
    half = hidden.detach().bfloat16().requires_grad_()
    ours = LinearCrossEntropy.apply(half, weight, labels, float(N))
    assert ours.dtype == torch.float32
    theirs = functional.cross_entropy((half.float() @ weight.bfloat16().float().T), labels)
    assert ours.item() == pytest.approx(theirs.item(), rel=2e-2)
    grad_hidden, grad_weight = torch.autograd.grad(ours, (half, weight))
    assert (grad_hidden.dtype, grad_weight.dtype) == (torch.bfloat16, torch.float32)
    (expected,) = torch.autograd.grad(theirs, weight)
    assert (grad_weight - expected).norm() < 0.05 * expected.norm()


def test_the_gradient_is_that_of_finite_differences() -> None:
    torch.manual_seed(0)
    hidden = torch.randn(5, 4, dtype=torch.double, requires_grad=True)
    weight = torch.randn(6, 4, dtype=torch.double, requires_grad=True)
    labels, teacher = torch.arange(5), [torch.randn(n, 3, dtype=torch.double) for n in (5, 6)]
    inputs = (hidden, weight)
    assert torch.autograd.gradcheck(lambda h, w: LinearCrossEntropy.apply(h, w, labels, 2.0), inputs)
    assert torch.autograd.gradcheck(lambda h, w: token_nats(h, w, labels), inputs)
    assert torch.autograd.gradcheck(lambda h, w: LinearDivergence.apply(h, w, *teacher, 2.0, 3.0), inputs)


def test_nats_of_each_token_equal_those_of_torch() -> None:
    hidden, weight, labels = drawn()
    theirs = functional.cross_entropy(hidden @ weight.T, labels, reduction="none")
    ours = token_nats(hidden, weight, labels)
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)
    pull = torch.randn(N)
    check((ours * pull).sum(), (theirs * pull).sum(), hidden, weight)
    assert token_nats(hidden[:0], weight, labels[:0]).shape == (0,)


@pytest.mark.parametrize("temperature", [1.0, 3.0])
@pytest.mark.parametrize("extra", [0, 9])
def test_divergence_equals_that_of_torch(temperature: float, extra: int) -> None:
    hidden, weight, _ = drawn()
    teacher, head = torch.randn(N, 24), torch.randn(40 + extra, 24)
    ours = LinearDivergence.apply(hidden, weight, teacher, head, temperature, 5.0)
    both = [functional.log_softmax(x / temperature, 1) for x in (hidden @ weight.T, teacher @ head[:40].T)]
    theirs = functional.kl_div(*both, reduction="sum", log_target=True) * temperature**2 / 5
    check(ours, theirs, hidden, weight)


def test_a_teacher_that_is_the_student_teaches_nothing() -> None:
    hidden, weight, _ = drawn()
    ours = LinearDivergence.apply(hidden, weight, hidden.detach(), weight.detach(), 1.0, 1.0)
    assert abs(ours.item()) < 1e-3
    assert max(grad.abs().max() for grad in torch.autograd.grad(ours, (hidden, weight))) < 1e-4
