"""Fine-tuning learns the answers and nothing of what was asked."""

from pathlib import Path

import pytest
import torch
from torch.nn import functional

from slipway.errors import UserError
from slipway.model.build import build
from slipway.model.data import IGNORED
from slipway.model.forward import Forward
from slipway.model.objectives import choose
from tests.model.conftest import ARCHITECTURE, conversations, go, settings, write_documents

SFT = {"objective": {"kind": "sft"}}


def test_what_was_asked_has_no_gradient_as_a_label(chats: Path) -> None:
    objective = choose(settings(**SFT), 7, chats, Path())
    batch = objective.train.batch(1, 8)
    assert 0 < batch.units < batch.places
    model = build(ARCHITECTURE | {"tie_word_embeddings": False}, 300, 16, seed=1)
    objective.loss(Forward(model), batch, batch.units).value.backward()
    logits = model(input_ids=batch.rows[:, :-1], position_ids=batch.positions, use_cache=False).logits
    logits.retain_grad()
    head = model.lm_head.weight.grad.clone()
    model.zero_grad()
    functional.cross_entropy(logits.flatten(0, 1), batch.labels.flatten(), ignore_index=IGNORED).backward()
    torch.testing.assert_close(head, model.lm_head.weight.grad, rtol=1e-4, atol=1e-7)
    counts = batch.labels != IGNORED
    assert not logits.grad[~counts].any()
    assert logits.grad[counts].any(-1).all()
    # Other questions as labels give the same loss, for they are none.
    other = batch._replace(rows=batch.rows.clone())
    assert objective.loss(Forward(model), other, 1.0).value == objective.loss(Forward(model), batch, 1.0).value


def test_conversations_of_a_row_do_not_see_each_other(chats: Path) -> None:
    objective = choose(settings(**SFT), 7, chats, Path())
    assert objective.train.batch(1, 2).positions is not None
    apart = choose(settings(objective={"kind": "sft", "document_mask": False}), 7, chats, Path())
    assert apart.train.batch(1, 2).positions is None


def test_data_without_answers_is_refused(tokens: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"every token of train counts.*add a source of conversations or completions"):
        go(tokens, tmp_path, settings(**SFT))
    assert not list(tmp_path.iterdir())


def test_answers_are_learnt_and_counted(chats: Path, tmp_path: Path) -> None:
    recipe = settings(**SFT, steps=30, validate_every=10)
    report = go(chats, tmp_path, recipe)
    objective = choose(recipe, 7, chats, Path())
    batches = [objective.train.batch(step, 4) for step in range(1, 31)]
    assert report.objective == "sft"
    assert report.tokens_learnt == sum(batch.units for batch in batches)
    assert report.tokens_seen == 30 * 4 * 16
    assert report.train_loss < 5.69


def test_answers_may_be_rare(tmp_path: Path) -> None:
    """The first held-out rows have none; the count of arithmetic and validation take others."""
    silent = [(tokens, [0] * len(tokens)) for tokens, _ in conversations(30, 3)]
    splits = {"train": conversations(20, 1), "validation": silent + conversations(2, 4)}
    write_documents(tmp_path / "tokens", splits)
    report = go(tmp_path / "tokens", tmp_path, settings(**SFT, steps=2, validate_every=2))
    assert report.validation_loss > 0
