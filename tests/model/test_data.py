"""Batches are a pure function of seed and step, whatever the files; what does not count is marked."""

from pathlib import Path

import numpy as np
import pytest
import torch

from slipway.errors import UserError
from slipway.model.data import IGNORED, Batch, Tokens
from tests.model.conftest import conversations, write_documents, write_index, write_tokens


def same(one: Batch, other: Batch) -> bool:
    return torch.equal(one.rows, other.rows) and torch.equal(one.labels, other.labels)


def test_a_batch_is_a_pure_function_of_seed_and_step(tokens: Path) -> None:
    one, other = Tokens(tokens, "train", 16, seed=3), Tokens(tokens, "train", 16, seed=3)
    for step in (1, 2, 100):
        one.batch(step, 4)
    assert same(one.batch(57, 4), other.batch(57, 4))
    assert not same(one.batch(57, 4), Tokens(tokens, "train", 16, seed=4).batch(57, 4))


def test_an_epoch_shows_every_row_once(tokens: Path) -> None:
    data = Tokens(tokens, "train", 16, seed=3)
    rows = torch.cat([data.batch(step, 1).rows for step in range(1, data.rows + 1)])
    stream = np.fromfile(tokens / "train-00000.bin", "<u2")
    shift, _ = data._order.epoch(0)
    expected = {tuple(stream[shift + 16 * i : shift + 16 * i + 17]) for i in range(data.rows)}
    assert {tuple(row.tolist()) for row in rows} == expected


def test_the_second_epoch_has_another_order(tokens: Path) -> None:
    data = Tokens(tokens, "train", 16, seed=3)
    assert not np.array_equal(data._order.epoch(0)[1], data._order.epoch(1)[1])


def test_the_split_into_batches_does_not_change_the_order(tokens: Path) -> None:
    data = Tokens(tokens, "train", 16, seed=3)
    assert torch.equal(data.batch(1, 8).rows, torch.cat([data.batch(1, 4).rows, data.batch(2, 4).rows]))


def test_plain_text_is_learnt_everywhere(tokens: Path) -> None:
    rows, labels, positions = Tokens(tokens, "train", 16, seed=3).batch(2, 4)
    assert positions is None
    assert torch.equal(labels, rows[:, 1:])
    assert Batch(rows, labels).learnt == 64


def test_a_sample_is_fixed_and_spread(tokens: Path) -> None:
    data = Tokens(tokens, "validation", 16, seed=3)
    assert same(data.sample(5), Tokens(tokens, "validation", 16, seed=9).sample(5))
    assert len(data.sample(10**6).rows) == data.rows


@pytest.mark.parametrize("count", [0, 1, 16, 32])
def test_too_few_tokens_are_named(tmp_path: Path, count: int) -> None:
    write_tokens(tmp_path, validation=count)
    with pytest.raises(UserError, match=rf"validation holds {count} tokens.*sequence_length 16.*33"):
        Tokens(tmp_path, "validation", 16, seed=0)


def test_wide_tokens_are_read_as_such(tmp_path: Path) -> None:
    np.arange(70_000, 70_100, dtype="<u4").tofile(tmp_path / "train-00000.bin")
    write_index(tmp_path, {"train": [{"file": "train-00000.bin", "tokens": 100}]}, dtype="uint32")
    assert int(Tokens(tmp_path, "train", 16, seed=0).batch(1, 1).rows.min()) >= 70_000


def test_many_files_read_as_one(tokens: Path, tmp_path: Path) -> None:
    stream = np.fromfile(tokens / "train-00000.bin", "<u2")
    files, start = [], 0
    for number, end in enumerate([1, 1, 700, 705, 3000]):
        stream[start:end].tofile(tmp_path / f"train-{number:05d}.bin")
        files.append({"file": f"train-{number:05d}.bin", "tokens": end - start})
        start = end
    write_index(tmp_path, {"train": files})
    one, many = Tokens(tokens, "train", 16, seed=3), Tokens(tmp_path, "train", 16, seed=3)
    assert all(same(one.batch(step, 8), many.batch(step, 8)) for step in range(1, 60))
    assert same(one.sample(10**6), many.sample(10**6))


def test_a_mask_marks_the_labels_and_only_them(tmp_path: Path) -> None:
    """Two files of which only the second has a mask; tokens are their own positions."""
    position = np.arange(200, dtype="<u2")
    mask = (position % 3 == 0).astype(np.uint8)
    position[:90].tofile(tmp_path / "train-00000.bin")
    position[90:].tofile(tmp_path / "train-00001.bin")
    mask[90:].tofile(tmp_path / "train-00001.mask.bin")
    files = [{"file": "train-00000.bin", "tokens": 90}, {"file": "train-00001.bin", "tokens": 110, "masked": True}]
    write_index(tmp_path, {"train": files})
    batch = Tokens(tmp_path, "train", 16, seed=0).sample(100)
    expected = [[n if n < 90 or n % 3 == 0 else IGNORED for n in row[1:]] for row in batch.rows.tolist()]
    assert batch.labels.tolist() == expected
    assert batch.learnt == sum(label != IGNORED for row in expected for label in row)


def test_rows_of_whole_documents_begin_after_a_separator(tmp_path: Path) -> None:
    rows = np.array([[1, 2, 3, 0], [4, 0, 5, 0], [6, 0, 0, 0]], "<u2")
    mask = np.array([[1, 1, 1, 1], [1, 1, 1, 1], [1, 1, 0, 0]], np.uint8)
    rows.tofile(tmp_path / "train-00000.bin")
    mask.tofile(tmp_path / "train-00000.mask.bin")
    file = {"file": "train-00000.bin", "tokens": 10, "rows": 3, "masked": True}
    write_index(tmp_path, {"train": [file]}, packing="whole", row_tokens=4)
    data = Tokens(tmp_path, "train", 4, seed=1)
    for epoch in range(2):
        batch = data.batch(epoch + 1, 3)
        assert sorted(batch.rows.tolist()) == [[0, 1, 2, 3, 0], [0, 4, 0, 5, 0], [0, 6, 0, 0, 0]]
        assert sorted(batch.labels.tolist()) == [[1, 2, 3, 0], [4, 0, 5, 0], [6, 0, IGNORED, IGNORED]]
    with pytest.raises(UserError, match=r"rows of 4 tokens.*sequence_length is 8"):
        Tokens(tmp_path, "train", 8, seed=1)


@pytest.mark.parametrize("row_tokens", [None, 8])
def test_positions_begin_again_at_the_separator_before_each_document(tmp_path: Path, row_tokens: int | None) -> None:
    documents = [([n, n, n, 0], [1] * 4) for n in range(1, 13)]
    write_documents(tmp_path, {"train": documents}, row_tokens=row_tokens)
    data = Tokens(tmp_path, "train", 8, seed=1, document_mask=True)
    for step in range(1, 2 * data.rows):
        rows, _, positions = data.batch(step, 1)
        assert positions is not None
        place = 0
        for token, position in zip(rows[0, :8].tolist(), positions[0].tolist(), strict=True):
            place = 0 if token == 0 else place
            assert position == place
            place += 1


def test_parts_hold_the_positions_of_their_rows(tmp_path: Path) -> None:
    write_documents(tmp_path, {"train": conversations(20, 1)})
    batch = Tokens(tmp_path, "train", 16, seed=1, document_mask=True).batch(1, 5)
    parts = batch.split(2)
    assert [len(part.rows) for part in parts] == [2, 2, 1]
    for number in range(3):
        assert torch.equal(torch.cat([part[number] for part in parts]), batch[number])


def test_a_sample_reaches_further_where_little_counts(tmp_path: Path) -> None:
    silent = [(tokens, [0] * len(tokens)) for tokens, _ in conversations(40, 1)]
    write_documents(tmp_path, {"train": [*silent, *conversations(1, 2), *silent[:3]]})
    assert Tokens(tmp_path, "train", 8, seed=1).sample(1).units > 0


def test_preference_pairs_are_not_trained_on_as_text(tmp_path: Path) -> None:
    np.arange(100, dtype="<u2").tofile(tmp_path / "train-00000.bin")
    write_index(tmp_path, {"train": [{"file": "train-00000.bin", "tokens": 100, "pairs": 2}]})
    with pytest.raises(UserError, match="2 preference pairs"):
        Tokens(tmp_path, "train", 16, seed=0)


def test_a_split_of_which_nothing_is_learnt_is_refused(tmp_path: Path) -> None:
    np.arange(100, dtype="<u2").tofile(tmp_path / "train-00000.bin")
    np.zeros(100, np.uint8).tofile(tmp_path / "train-00000.mask.bin")
    write_index(tmp_path, {"train": [{"file": "train-00000.bin", "tokens": 100, "masked": True, "learnt": 0}]})
    with pytest.raises(UserError, match="no token of train counts in the loss"):
        Tokens(tmp_path, "train", 16, seed=0)


def test_a_file_of_another_size_is_named(tokens: Path, tmp_path: Path) -> None:
    write_tokens(tmp_path)
    (tmp_path / "train-00000.bin").write_bytes(b"\0" * 10)
    with pytest.raises(UserError, match=r"train-00000\.bin has 10 bytes.*3000 tokens"):
        Tokens(tmp_path, "train", 16, seed=0)
