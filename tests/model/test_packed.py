"""Files as one stream, and the names of what lies in it."""

from pathlib import Path

import numpy as np
import pytest

from slipway.errors import UserError
from slipway.model.data import Tokens, read_index
from slipway.model.packed import Documents, Files
from tests.model.conftest import conversations, write_documents, write_tokens


def test_files_read_as_one_whatever_the_cuts(tmp_path: Path) -> None:
    stream, paths, lengths = np.arange(50, dtype="<u2"), [], []
    for number, (start, end) in enumerate([(0, 7), (7, 7), (7, 8), (8, 50)]):
        paths.append(tmp_path / str(number))
        lengths.append(end - start)
        stream[start:end].tofile(paths[-1])
    files = Files([*paths], lengths, np.dtype("<u2"))
    assert len(files) == 50
    for start in range(50):
        for count in range(1, 51 - start):
            assert np.array_equal(files.take(start, count), stream[start : start + count])


def test_a_file_without_a_mask_counts_everywhere(tmp_path: Path) -> None:
    np.zeros(3, np.uint8).tofile(tmp_path / "mask")
    files = Files([None, tmp_path / "mask", None], [2, 3, 2], np.dtype(np.uint8))
    assert files.take(0, 7).tolist() == [1, 1, 0, 0, 0, 1, 1]


@pytest.mark.parametrize("row_tokens", [None, 24])
def test_documents_of_a_step_are_those_with_tokens_in_its_rows(tmp_path: Path, row_tokens: int | None) -> None:
    documents = conversations(40, 5)
    for number, (tokens, _) in enumerate(documents):
        tokens[:-1] = [number + 1] * (len(tokens) - 1)  # a document's tokens are its number
    write_documents(tmp_path, {"train": documents}, row_tokens=row_tokens)
    data = Tokens(tmp_path, "train", 24, seed=3)
    for step in range(1, 2 * data.rows):
        rows = data.batch(step, 1).rows[0].tolist()
        expected = {f"train/{token - 1}" for token in rows if token}
        found = set(data.documents(step, 1))
        assert expected <= found
        assert len(found) <= len(expected) + 1  # the first or last token may be a document's separator


def test_pieces_of_a_document_have_its_name(tmp_path: Path) -> None:
    write_documents(tmp_path, {"train": conversations(9, 5)}, row_tokens=24)
    np.save(tmp_path / "train-00000.pieces.npy", np.array([0, 0, 0, 1, 1, 2, 2, 2, 3]))
    index = read_index(tmp_path)
    documents = Documents(tmp_path, index["splits"]["train"], index)
    assert documents.names(0, 10**6) == ["train/0", "train/1", "train/2", "train/3"]


def test_without_ids_documents_are_numbered(tokens: Path) -> None:
    index = read_index(tokens)
    documents = Documents(tokens, index["splits"]["train"], index)
    assert documents.names(40, 151) == [f"train-00000#{number}" for number in range(4)]
    assert documents.starts(50, 151) == [50, 100, 150]
    assert documents.starts(51, 100) == []


def test_lost_offsets_are_named(tmp_path: Path) -> None:
    write_tokens(tmp_path)
    (tmp_path / "train-00000.offsets.npy").unlink()
    with pytest.raises(UserError, match=r"train-00000\.offsets\.npy: missing; rebuild with `slipway build --force"):
        Tokens(tmp_path, "train", 16, 7, document_mask=True).batch(1, 1)
