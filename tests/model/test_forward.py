"""The forward pass up to the head: the model's own loss, documents apart, experts in balance."""

from pathlib import Path

import pytest
import torch
from torch.nn import functional

from slipway.model.build import build
from slipway.model.data import IGNORED, Batch, Tokens
from slipway.model.forward import Forward, cross_entropy, head_is_linear, keeps_documents_apart, nats
from tests.model.conftest import ARCHITECTURE, conversations, write_documents
from tests.model.test_start import FAMILIES

SMALL = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
}
PHI = {"model_type": "phi", **SMALL}
"""Its head has a bias."""


def drawn(share: float = 0.0) -> Batch:
    """Three rows of random tokens; `share` of the labels do not count."""
    generator = torch.Generator().manual_seed(0)
    rows = torch.randint(1, 300, (3, 17), generator=generator)
    hidden = torch.rand(3, 16, generator=generator) < share
    return Batch(rows, rows[:, 1:].masked_fill(hidden, IGNORED))


@pytest.mark.parametrize(
    ("architecture", "linear"),
    [
        (ARCHITECTURE, True),
        (ARCHITECTURE | {"tie_word_embeddings": False}, True),
        ({"model_type": "gpt2", "n_embd": 32, "n_layer": 1, "n_head": 2}, True),
        (FAMILIES["nemotron_h"], True),
        ({"model_type": "gemma2", "final_logit_softcapping": 30.0, "head_dim": 16, **SMALL}, False),
        ({"model_type": "cohere", **SMALL}, True),  # scales its logits, which is to scale the states
        (PHI, False),
    ],
)
def test_the_head_is_left_out_only_where_it_is_a_linear_map(architecture: dict, linear: bool) -> None:
    model = build(architecture, 300, 16, seed=1)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    assert head_is_linear(model) is linear
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert (Forward(model.eval()).head is None) is not linear
    batch = drawn()
    logits = model(input_ids=batch.rows[:, :-1]).logits.flatten(0, 1)
    each = functional.cross_entropy(logits, batch.labels.flatten(), reduction="none")
    found = Forward(model)(batch)
    torch.testing.assert_close(nats(found), each, rtol=1e-4, atol=1e-5)
    assert cross_entropy(found, 48.0).item() == pytest.approx(each.mean().item(), rel=1e-5)


@pytest.mark.parametrize("architecture", [ARCHITECTURE, PHI])
def test_masked_tokens_count_neither_in_the_loss_nor_in_the_mean(architecture: dict) -> None:
    model = build(architecture, 300, 16, seed=1).eval()
    batch = drawn(0.7)
    assert 0 < batch.units < batch.places
    expected = functional.cross_entropy(
        model(input_ids=batch.rows[:, :-1]).logits.flatten(0, 1), batch.labels.flatten()
    )
    expected.backward()
    gradients = [p.grad.clone() for p in model.parameters()]
    model.zero_grad()
    value = cross_entropy(Forward(model)(batch), batch.units)
    value.backward()
    assert value.item() == pytest.approx(expected.item(), rel=1e-5)
    for parameter, gradient in zip(model.parameters(), gradients, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("architecture", [ARCHITECTURE, PHI])
def test_a_batch_in_which_nothing_counts_teaches_nothing(architecture: dict) -> None:
    model = build(architecture, 300, 16, seed=1)
    value = cross_entropy(Forward(model)(drawn(1.1)), 1.0)
    value.backward()
    assert value.item() == 0
    assert all(p.grad is None or not p.grad.any() for p in model.parameters())


@pytest.mark.parametrize("family", ["mixtral", "qwen3_moe"])
def test_the_balance_of_experts_reaches_the_router(family: str) -> None:
    def router_gradient(auxiliary: bool) -> torch.Tensor:
        architecture = FAMILIES[family] | {"output_router_logits": auxiliary}
        model = build(architecture, 300, 16, seed=1)
        found = Forward(model)(drawn())
        value = cross_entropy(found, 48.0)
        assert (found.auxiliary is not None) is auxiliary
        if found.auxiliary is not None:
            labels = drawn().labels
            asked = model(input_ids=drawn().rows[:, :-1], use_cache=False)
            nll = functional.cross_entropy(asked.logits.flatten(0, 1), labels.flatten())
            own = model.config.router_aux_loss_coef * asked.aux_loss
            assert (value + found.auxiliary).item() == pytest.approx((nll + own).item(), rel=1e-5)
            value = value + found.auxiliary
        value.backward()
        (router,) = [p for name, p in model.named_parameters() if "layers.0" in name and name.endswith("gate.weight")]
        return router.grad

    difference = (router_gradient(True) - router_gradient(False)).abs().max()
    assert difference > 1e-5


def test_validation_does_not_count_the_balance_of_experts() -> None:
    assert Forward(build(FAMILIES["mixtral"], 300, 16, seed=1).eval())(drawn()).auxiliary is None


@pytest.mark.parametrize("row_tokens", [None, 24])
def test_each_document_of_a_row_is_read_as_if_it_stood_alone(tmp_path: Path, row_tokens: int | None) -> None:
    documents = conversations(30, 4)
    write_documents(tmp_path, {"train": documents}, row_tokens=row_tokens)
    model = build(ARCHITECTURE, 300, 32, seed=1).eval()
    with torch.no_grad():
        model.get_input_embeddings().weight.mul_(20)  # so that attention matters
    assert keeps_documents_apart(model, 24)
    forward = Forward(model)
    alone: dict[tuple[int, ...], list[float]] = {}
    for tokens, counts in documents:
        rows = torch.tensor([[0, *tokens]])
        labels = rows[:, 1:].masked_fill(torch.tensor([counts]) == 0, IGNORED)
        alone[tuple(tokens)] = nats(forward(Batch(rows, labels))).tolist()
    checked = differ = 0
    plain = Tokens(tmp_path, "train", 24, 7)
    data = Tokens(tmp_path, "train", 24, 7, document_mask=True)
    for step in range(1, data.rows + 1):
        batch = data.batch(step, 1)
        assert torch.equal(batch.rows, plain.batch(step, 1).rows)
        together = torch.full((24,), float("nan"))
        together[batch.labels[0] != IGNORED] = nats(forward(batch))
        mixed = torch.full((24,), float("nan"))
        mixed[batch.labels[0] != IGNORED] = nats(forward(plain.batch(step, 1)))
        row = batch.rows[0].tolist()
        begins = [place for place, position in enumerate(batch.positions[0].tolist()) if position == 0]
        for begin in begins:
            whole = next(
                (d for d in alone if row[begin] == 0 and tuple(row[begin + 1 : begin + 1 + len(d)]) == d), None
            )
            if whole is None:
                continue
            span = slice(begin, begin + len(whole))
            counted = ~together[span].isnan()
            found = together[span][counted].tolist()
            assert found == pytest.approx(alone[whole], rel=1e-4)
            other = mixed[span][counted].tolist()
            differ += begin > 0 and other != pytest.approx(alone[whole], rel=1e-3)
            checked += 1
    assert checked >= 12
    assert differ >= 6  # without the mask it is another number


def test_a_model_that_keeps_documents_apart_is_known_by_trying() -> None:
    found = {name: keeps_documents_apart(build(a, 300, 16, seed=1), 16) for name, a in FAMILIES.items()}
    assert found == {"qwen3": True, "mixtral": True, "qwen3_moe": True, "nemotron_h": False, "mamba2": False}
