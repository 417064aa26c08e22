"""Muon against its reference, schedules against their definition."""

import pytest
import torch

from slipway.model.build import build
from slipway.model.optim import Optimisers, orthogonalise, schedule
from tests.model.conftest import ARCHITECTURE, settings


def test_the_rate_rises_stays_and_falls() -> None:
    recipe = settings(steps=100, warmup_share=0.1, decay_share=0.4)
    rates = [schedule(recipe, step) for step in range(1, 101)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[9:60] == [1.0] * 51
    assert rates[60:] == sorted(rates[60:], reverse=True)
    assert 0 < rates[-1] < 0.03


def test_the_cosine_rises_and_falls_to_its_floor() -> None:
    recipe = settings(steps=100, warmup_share=0.1, schedule="cosine", floor_share=0.2)
    rates = [schedule(recipe, step) for step in range(1, 101)]
    assert rates[:10] == pytest.approx([step / 10 for step in range(1, 11)])
    assert rates[9:] == sorted(rates[9:], reverse=True)
    assert rates[54] == pytest.approx(0.6)  # half way
    assert rates[-1] == pytest.approx(0.2)


@pytest.mark.parametrize("kind", ["wsd", "cosine"])
@pytest.mark.parametrize("shares", [(0.0, 0.0), (1.0, 1.0), (0.0, 1.0)])
def test_extreme_shares_keep_the_rate_within_bounds(shares: tuple[float, float], kind: str) -> None:
    recipe = settings(steps=7, warmup_share=shares[0], decay_share=shares[1], schedule=kind, floor_share=0.01)
    assert all(0 < schedule(recipe, step) <= 1 for step in range(1, 8))


def test_singular_values_come_close_to_one() -> None:
    torch.manual_seed(0)
    values = torch.linalg.svdvals(orthogonalise(torch.randn(3, 24, 64)))
    assert values.min() > 0.5
    assert values.max() < 1.4


def test_float32_muon_follows_that_of_torch() -> None:
    torch.manual_seed(0)
    start, gradients = torch.randn(24, 64), torch.randn(4, 24, 64)
    theirs = torch.nn.Parameter(start.clone())
    reference = torch.optim.Muon([theirs], lr=0.02, weight_decay=0.1)
    from slipway.model.optim import Muon

    ours = torch.nn.Parameter(start.clone())
    optimiser = Muon([ours], lr=0.02, weight_decay=0.1)
    for gradient in gradients:
        ours.grad, theirs.grad = gradient.clone(), gradient.clone()
        optimiser.step()
        reference.step()
    moved = (theirs - start).norm()
    assert (ours - theirs).norm() < 0.03 * moved  # what bfloat16 leaves


def test_every_parameter_has_one_optimiser_and_embeddings_are_not_muons() -> None:
    model = build(ARCHITECTURE | {"tie_word_embeddings": False}, 300, 16, seed=0)
    optimisers = Optimisers(model, settings())
    groups = [[id(p) for g in part.param_groups for p in g["params"]] for part, _ in optimisers._parts]
    assert sorted(groups[0] + groups[1]) == sorted(id(p) for p in model.parameters())
    outside = {id(model.get_input_embeddings().weight), id(model.get_output_embeddings().weight)}
    assert not outside & set(groups[1])


@pytest.mark.parametrize("kind", ["adamw", "muon"])
def test_the_state_round_trips(kind: str) -> None:
    recipe = settings(optimizer=kind, weight_decay=0.1)

    def advance(model: torch.nn.Module, optimisers: Optimisers, step: int) -> None:
        for number, parameter in enumerate(model.parameters()):
            parameter.grad = torch.sin(parameter.detach() * (step + number))
        optimisers.step(step)

    one = build(ARCHITECTURE, 300, 16, seed=0)
    optimisers = Optimisers(one, recipe)
    advance(one, optimisers, 1)
    other = build(ARCHITECTURE, 300, 16, seed=9)
    other.load_state_dict(one.state_dict())
    resumed = Optimisers(other, recipe)
    kept = {name: tensor.clone() for name, tensor in optimisers.state().items()}
    assert resumed.state().keys() == kept.keys()
    for name, tensor in resumed.state().items():
        tensor.copy_(kept[name])
    for step in (2, 3):
        advance(one, optimisers, step)
        advance(other, resumed, step)
    for a, b in zip(one.parameters(), other.parameters(), strict=True):
        assert torch.equal(a, b)
