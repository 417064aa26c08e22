"""Batches of preferences: which ones a step takes, what is kept of long ones, and filling that changes nothing."""

from pathlib import Path

import numpy as np
import pytest
import torch

from slipway.errors import UserError
from slipway.model.build import build
from slipway.model.data import IGNORED
from slipway.model.forward import Forward
from slipway.model.objectives.preference import answers
from slipway.model.pairs import PairBatch, Pairs
from tests.model.conftest import ARCHITECTURE, preferences, write_documents


def same(one: PairBatch, other: PairBatch) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_a_batch_is_a_pure_function_of_seed_and_step(choices: Path) -> None:
    one, other = Pairs(choices, "train", 16, seed=3), Pairs(choices, "train", 16, seed=3)
    for step in (1, 2, 40):
        one.batch(step, 4)
    assert same(one.batch(17, 4), other.batch(17, 4))
    assert not torch.equal(one.batch(17, 4).numbers, Pairs(choices, "train", 16, seed=4).batch(17, 4).numbers)


def test_an_epoch_shows_every_pair_once_and_the_next_in_another_order(choices: Path) -> None:
    data = Pairs(choices, "train", 16, seed=3)
    assert len(data) == 20
    epochs = [data.batch(number, 20).numbers.tolist() for number in (1, 2)]
    assert sorted(epochs[0]) == sorted(epochs[1]) == list(range(20))
    assert epochs[0] != epochs[1]


def test_ranks_take_parts_of_the_same_batch(choices: Path) -> None:
    data = Pairs(choices, "train", 16, seed=3)
    parts = [data.batch(2, 8, slice(4 * rank, 4 * rank + 4)).numbers for rank in (0, 1)]
    assert torch.equal(torch.cat(parts), data.batch(2, 8).numbers)


def test_a_row_is_a_separator_and_a_document_of_which_the_answer_counts(tmp_path: Path) -> None:
    documents = [([5, 6, 7, 8, 0], [0, 0, 1, 1, 1]), ([5, 6, 9, 0], [0, 0, 1, 1])]
    write_documents(tmp_path, {"train": documents}, pairs=True)
    batch = Pairs(tmp_path, "train", 16, seed=0).batch(1, 1)
    assert batch.rows.tolist() == [[0, 5, 6, 7, 8, 0], [0, 5, 6, 9, 0, 0]]
    assert batch.labels.tolist() == [[IGNORED, IGNORED, 7, 8, 0], [IGNORED, IGNORED, 9, 0, IGNORED]]
    assert (batch.units, batch.learnt, batch.places) == (1, 5, 10)


@pytest.mark.parametrize("length", [8, 9, 10, 11, 30])
def test_of_a_long_document_the_end_is_kept(tmp_path: Path, length: int) -> None:
    tokens = [*range(1, 10), 0]
    documents = [(tokens, [0] * 4 + [1] * 6), ([1, 2, 3, 4, 77, 0], [0] * 4 + [1] * 2)]
    write_documents(tmp_path, {"train": documents}, pairs=True)
    batch = Pairs(tmp_path, "train", length, seed=0).batch(1, 1)
    whole = [0, *tokens]
    kept = whole[-length - 1 :]
    assert batch.rows[0].tolist() == kept
    counted = [label if place >= len(whole) - 6 else IGNORED for place, label in enumerate(whole)]
    assert batch.labels[0].tolist() == counted[1:][-length:]
    # The other side loses as much of its prompt, so that both answers follow the same words.
    cut = max(0, min(len(whole) - length - 1, 4))
    assert batch.rows[1].tolist()[: 5 - cut] == [0, 1, 2, 3, 4][cut:] == whole[cut:5]


def test_filling_changes_no_likelihood(choices: Path) -> None:
    data = Pairs(choices, "train", 32, seed=3)
    forward = Forward(build(ARCHITECTURE, 300, 32, seed=1).eval())
    together = data.take(list(range(len(data))))
    assert len({int((row != 0).sum()) for row in together.rows}) > 5
    with torch.no_grad():
        found = answers(forward, together)
        alone = [answers(forward, data.take([number])) for number in range(len(data))]
    torch.testing.assert_close(found.likelihood, torch.cat([one.likelihood for one in alone]), rtol=1e-5, atol=1e-4)
    assert torch.equal(found.tokens, torch.cat([one.tokens for one in alone]))


def test_pairs_lie_in_several_files(tmp_path: Path, choices: Path) -> None:
    import json
    import shutil

    for number, seed in enumerate((5, 6)):
        part = write_documents(tmp_path / str(number), {"train": preferences(4, seed)}, pairs=True)
        for path in part.glob("train-00000*"):
            shutil.copy(path, tmp_path / path.name.replace("00000", f"{number:05d}"))
    index = json.loads((tmp_path / "0" / "index.json").read_text())
    files = [json.loads((tmp_path / n / "index.json").read_text())["splits"]["train"]["shards"][0] for n in ("0", "1")]
    files[1]["file"] = "train-00001.bin"
    index["splits"]["train"] |= {"shards": files, "pairs": 8}
    (tmp_path / "index.json").write_text(json.dumps(index))
    both = Pairs(tmp_path, "train", 16, seed=3)
    for number in (0, 1):
        alone = Pairs(tmp_path / str(number), "train", 16, seed=3)
        for pair in range(4):
            assert torch.equal(both.take([4 * number + pair]).rows, alone.take([pair]).rows)


def test_documents_of_a_step_are_named(choices: Path) -> None:
    data = Pairs(choices, "train", 16, seed=3)
    assert data.documents(2, 3) == [f"train/{number}" for number in data.batch(2, 3).numbers.tolist()]


def test_a_sample_is_fixed_and_spread(choices: Path) -> None:
    data = Pairs(choices, "validation", 16, seed=3)
    assert data.sample(3).numbers.tolist() == [0, 2, 5]
    assert len(data.sample(100).numbers) == 6


def test_text_is_no_preference(tokens: Path) -> None:
    with pytest.raises(UserError, match=r"train holds no preference pairs.*`chosen` and `rejected`"):
        Pairs(tokens, "train", 16, seed=0)


def test_rows_of_whole_documents_are_refused(tmp_path: Path) -> None:
    write_documents(tmp_path, {"train": preferences(4, 1)}, pairs=True, row_tokens=32)
    with pytest.raises(UserError, match=r"set tokenize\.packing to stream"):
        Pairs(tmp_path, "train", 32, seed=0)


def test_a_lost_file_of_pairs_is_noticed(tmp_path: Path) -> None:
    write_documents(tmp_path, {"train": preferences(4, 1)}, pairs=True)
    np.save(tmp_path / "train-00000.pairs.npy", np.zeros((0, 2), np.int64))
    with pytest.raises(UserError, match="says 4 pairs of train, and its files name 0; rebuild"):
        Pairs(tmp_path, "train", 16, seed=0)
