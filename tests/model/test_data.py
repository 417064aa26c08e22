"""Batches are a pure function of seed and step."""

from pathlib import Path

import numpy as np
import pytest
import torch

from slipway.errors import UserError
from slipway.model.data import Tokens
from tests.model.conftest import write_tokens


def test_a_batch_is_a_pure_function_of_seed_and_step(tokens: Path) -> None:
    one, other = Tokens(tokens, "train", 16, seed=3), Tokens(tokens, "train", 16, seed=3)
    for step in (1, 2, 100):
        one.batch(step, 4)
    assert torch.equal(one.batch(57, 4), other.batch(57, 4))
    assert not torch.equal(one.batch(57, 4), Tokens(tokens, "train", 16, seed=4).batch(57, 4))


def test_an_epoch_shows_every_row_once(tokens: Path) -> None:
    data = Tokens(tokens, "train", 16, seed=3)
    rows = torch.cat([data.batch(step, 1) for step in range(1, data.rows + 1)])
    stream = np.fromfile(tokens / "train.bin", "<u2")
    shift, _ = data._order(0)
    expected = {tuple(stream[shift + 16 * i : shift + 16 * i + 17]) for i in range(data.rows)}
    assert {tuple(row.tolist()) for row in rows} == expected


def test_the_second_epoch_has_another_order(tokens: Path) -> None:
    data = Tokens(tokens, "train", 16, seed=3)
    assert not np.array_equal(data._order(0)[1], data._order(1)[1])


def test_the_split_into_batches_does_not_change_the_order(tokens: Path) -> None:
    data = Tokens(tokens, "train", 16, seed=3)
    assert torch.equal(data.batch(1, 8), torch.cat([data.batch(1, 4), data.batch(2, 4)]))


def test_a_sample_is_fixed_and_spread(tokens: Path) -> None:
    data = Tokens(tokens, "validation", 16, seed=3)
    assert torch.equal(data.sample(5), Tokens(tokens, "validation", 16, seed=9).sample(5))
    assert len(data.sample(10**6)) == data.rows


@pytest.mark.parametrize("count", [0, 1, 16, 32])
def test_too_few_tokens_are_named(tmp_path: Path, count: int) -> None:
    write_tokens(tmp_path, validation=count)
    with pytest.raises(UserError, match=rf"validation.bin holds {count} tokens.*sequence_length 16.*33"):
        Tokens(tmp_path, "validation", 16, seed=0)


def test_wide_tokens_are_read_as_such(tmp_path: Path) -> None:
    write_tokens(tmp_path)
    stream = np.arange(70_000, 70_100, dtype="<u4")
    stream.tofile(tmp_path / "train.bin")
    index = (tmp_path / "index.json").read_text().replace("uint16", "uint32")
    (tmp_path / "index.json").write_text(index)
    assert int(Tokens(tmp_path, "train", 16, seed=0).batch(1, 1).min()) >= 70_000
