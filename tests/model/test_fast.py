"""Faster layers: same logits, loss and gradients as the layers they stand in for, and nowhere else."""

import copy
from types import MethodType
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

from slipway.model import fast
from slipway.model.build import build
from slipway.model.fast import speed_up
from slipway.model.loss import LinearCrossEntropy
from slipway.model.trial import same

SMALL = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}
HYBRID = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "mamba_num_heads": 4,
    "mamba_head_dim": 16,
    "ssm_state_size": 16,
    "n_groups": 1,
    "layers_block_type": ["mamba", "attention", "mlp"],
}
KINDS: dict[str, tuple[dict[str, Any], list[str]]] = {
    "llama": (SMALL, ["LlamaAttention x 2", "LlamaMLP x 2", "LlamaRMSNorm x 5"]),
    "qwen3": (SMALL | {"head_dim": 8}, ["Qwen3MLP x 2", "Qwen3RMSNorm x 9"]),  # norms queries and keys
    "qwen2": (SMALL, ["Qwen2MLP x 2", "Qwen2RMSNorm x 5"]),  # has biases
    "mistral": (SMALL | {"sliding_window": 8}, ["MistralAttention x 2", "MistralMLP x 2", "MistralRMSNorm x 5"]),
    "gemma2": (SMALL | {"head_dim": 8}, ["Gemma2RMSNorm x 9"]),  # caps its scores, gates by gelu, norms by 1 + weight
    "mixtral": (SMALL | {"num_local_experts": 2}, ["MixtralAttention x 2", "MixtralRMSNorm x 5"]),
    "cohere": (SMALL, ["CohereMLP x 2"]),  # turns neighbours, subtracts the mean
    "gpt2": ({"n_embd": 32, "n_layer": 1, "n_head": 2}, []),
    "nemotron_h": (HYBRID, ["NemotronHRMSNorm x 4"]),
}
PLACES = torch.tensor([[*range(10), *range(6)], [*range(3), *range(13)]])
"""Two documents a row."""


def result(model: Any, rows: torch.Tensor, **more: Any) -> list[torch.Tensor]:
    """Logits, loss and gradients."""
    model.zero_grad()
    logits = model(input_ids=rows[:, :-1], use_cache=False, **more).logits
    loss = functional.cross_entropy(logits.flatten(0, 1), rows[:, 1:].flatten())
    loss.backward()
    return [logits.detach(), loss.detach(), *(p.grad.clone() for p in model.parameters() if p.grad is not None)]


def alike(one: list[torch.Tensor], other: list[torch.Tensor]) -> None:
    for a, b in zip(one, other, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5 * max(float(b.abs().max()), 1e-3))


@pytest.mark.parametrize("places", [None, PLACES], ids=["one document", "two documents"])
@pytest.mark.parametrize("kind", KINDS)
def test_logits_loss_and_gradients_are_those_of_transformers(kind: str, places: torch.Tensor | None) -> None:
    architecture, expected = KINDS[kind]
    plain = build({"model_type": kind, **architecture}, 300, 16, seed=1).eval()  # gpt2 has dropout
    quick = copy.deepcopy(plain)
    before, noise = quick.state_dict(), torch.get_rng_state()
    assert speed_up(quick) == expected
    assert torch.equal(torch.get_rng_state(), noise)
    assert all(torch.equal(value, before[name]) for name, value in quick.state_dict().items())
    assert list(quick.state_dict()) == list(plain.state_dict())
    rows = torch.randint(1, 300, (2, 17), generator=torch.Generator().manual_seed(3))
    more = {} if places is None else {"position_ids": places}
    found = result(quick, rows, **more)
    alike(found, result(plain, rows, **more))
    assert all(torch.equal(a, b) for a, b in zip(found, result(quick, rows, **more), strict=True))


@pytest.fixture
def pair() -> tuple[Any, Any]:
    plain = build({"model_type": "llama", **SMALL}, 300, 16, seed=1).train()
    quick = copy.deepcopy(plain)
    assert speed_up(quick)
    return plain, quick


ROWS = torch.arange(34).view(2, 17) * 7 % 300


def test_activation_checkpointing_changes_nothing(pair: tuple[Any, Any]) -> None:
    plain, quick = pair
    expected = result(quick, ROWS)
    quick.gradient_checkpointing_enable({"use_reentrant": False})
    assert all(torch.equal(a, b) for a, b in zip(result(quick, ROWS), expected, strict=True))
    alike(expected, result(plain, ROWS))


def test_adapters_put_in_later_are_heard(pair: tuple[Any, Any]) -> None:
    from peft import LoraConfig, get_peft_model

    found = []
    for model in pair:
        torch.manual_seed(2)
        config = LoraConfig(r=4, target_modules=["q_proj", "up_proj"], init_lora_weights=False)
        found.append(result(get_peft_model(model, config), ROWS))
    alike(found[1], found[0])


def test_frozen_weights_get_no_gradient(pair: tuple[Any, Any]) -> None:
    for model in pair:
        for name, parameter in model.named_parameters():
            parameter.requires_grad = "layers.1.self_attn" in name or "up_proj" in name or "embed" in name
    alike(result(pair[1], ROWS), result(pair[0], ROWS))


def test_half_precision_and_a_cache_take_the_own_way(pair: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    plain, quick = pair
    with torch.autocast("cpu", torch.bfloat16):
        assert all(torch.equal(*both) for both in zip(result(quick, ROWS), result(plain, ROWS), strict=True))
    told = [model.generate(ROWS[:, :4], max_new_tokens=6, do_sample=False) for model in pair]
    assert torch.equal(*told)
    monkeypatch.setattr(fast._Heads, "apply", None)
    with torch.no_grad():
        cached = quick(input_ids=ROWS[:, :4], use_cache=True)
    assert cached.past_key_values.get_seq_length() == 4


class Centred(nn.Module):
    """Looks like a norm by its root mean square until it is tried."""

    def __init__(self) -> None:
        super().__init__()
        self.weight, self.eps = nn.Parameter(torch.ones(8)), 1e-6

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.layer_norm(x, (8,), self.weight, eps=self.eps)


class Constant(Centred):
    """Equals one with the weights it starts with."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.rms_norm(x, (8,), None, self.eps) * self.weight.detach()


@pytest.mark.parametrize("kind", [Centred, Constant])
def test_what_only_looks_alike_stays(kind: type[nn.Module]) -> None:
    module = kind()
    assert speed_up(nn.Sequential(module)) == []
    assert "forward" not in vars(module)


class Scale(Centred):
    """No norm at all."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.weight


def test_a_trial_leaves_the_layer_as_it_was() -> None:
    module = Scale().eval()
    assert not same(module, lambda _self, x: x)
    assert same(module, lambda self, x: self.weight * x)
    assert "forward" not in vars(module)
    assert not module.training
    module.forward = MethodType(Scale.forward, module)
    assert speed_up(module) == []  # somebody else's forward is left alone


@pytest.mark.parametrize(("dtype", "bound"), [(torch.float32, 1e-5), (torch.float64, 1e-12), (torch.bfloat16, 2e-2)])
def test_the_chunked_loss_is_that_of_torch_in_every_precision(dtype: torch.dtype, bound: float) -> None:
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(600, 16, generator=generator).to(dtype).requires_grad_()
    weight = torch.randn(40, 16, generator=generator).to(dtype).requires_grad_()
    labels = torch.randint(0, 40, (600,), generator=generator)
    logits = (hidden @ weight.T).to(torch.promote_types(dtype, torch.float32))
    expected = functional.cross_entropy(logits, labels, reduction="sum") / 7
    wanted = [expected, *torch.autograd.grad(expected, [hidden, weight])]
    value = LinearCrossEntropy.apply(hidden, weight, labels, 7.0)
    found = [value, *torch.autograd.grad(value, [hidden, weight], retain_graph=True)]
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=bound, atol=bound * float(other.detach().abs().max()))
    twice = torch.autograd.grad(2 * value, [hidden, weight])
    for one, other in zip(twice, wanted[1:], strict=True):
        torch.testing.assert_close(one, 2 * other, rtol=bound, atol=2 * bound * float(other.abs().max()))


def test_scores_far_from_zero_neither_overflow_nor_vanish() -> None:
    hidden, labels = torch.full((4, 8), 50.0), torch.arange(4)
    weight = torch.randn(30, 8, generator=torch.Generator().manual_seed(1)).mul_(20).requires_grad_()
    value = LinearCrossEntropy.apply(hidden, weight, labels, 1.0)
    expected = functional.cross_entropy(hidden @ weight.T, labels, reduction="sum")
    torch.testing.assert_close(value, expected)
    torch.testing.assert_close(*(torch.autograd.grad(loss, weight)[0] for loss in (value, expected)))


def test_a_frozen_head_costs_no_gradient() -> None:
    hidden, weight = torch.randn(5, 4, requires_grad=True), torch.randn(6, 4)
    LinearCrossEntropy.apply(hidden, weight, torch.arange(5), 1.0).backward()
    assert hidden.grad is not None
    assert weight.grad is None


@pytest.mark.parametrize("kind", ["llama", "mistral"])
def test_a_model_with_long_rows_is_that_of_transformers(kind: str) -> None:
    plain = build({"model_type": kind, **SMALL, "num_key_value_heads": 4}, 300, 400, seed=1)
    quick = copy.deepcopy(plain)
    assert speed_up(quick)
    rows = torch.randint(1, 300, (2, 401), generator=torch.Generator().manual_seed(3))
    alike(result(quick, rows), result(plain, rows))
