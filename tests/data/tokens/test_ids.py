"""Beside the tokens lie the ids of the documents, one for each sequence."""

import numpy as np
import pyarrow.parquet as pq
import pytest

from slipway.data.tokens import tokenize
from slipway.files import digests
from slipway.settings import Tokenize
from tests.data.tokens.conftest import CHAT, PREFERENCE, index_of, quiet, row, write_clean


def named(count: int, start: int = 0) -> list[dict]:
    return [row("text", f"word {n} " * (1 + n % 40)) | {"id": f"s/{n}"} for n in range(start, start + count)]


def files(root, split):
    return [root / "data/tokens" / shard["file"] for shard in index_of(root)["splits"][split]["shards"]]


def ids(path):
    table = pq.read_table(path.with_suffix(".ids.parquet"))
    assert table.column_names == ["id"]
    return table.column("id").to_pylist()


@pytest.mark.parametrize("packing", [{}, {"packing": "whole", "row_tokens": 32}])
def test_every_document_has_its_id_by_its_number(tmp_path, packing):
    settings = Tokenize(vocabulary=300, shard_tokens=3000, **packing)
    write_clean(tmp_path, {"train": named(3000), "validation": named(3, 9000)}, size=1400)
    tokenize(settings, tmp_path, quiet)
    assert [name for path in files(tmp_path, "train") for name in ids(path)] == [f"s/{n}" for n in range(3000)]
    assert len(files(tmp_path, "train")) > 3
    assert [ids(path) for path in files(tmp_path, "validation")] == [["s/9000", "s/9001", "s/9002"]]
    for path in files(tmp_path, "train"):
        offsets = np.load(path.with_suffix(".offsets.npy"))
        if packing:
            numbers = np.load(path.with_suffix(".pieces.npy"))
            assert len(numbers) == len(offsets)
            assert sorted(set(numbers.tolist())) == list(range(len(ids(path))))
        else:
            assert len(ids(path)) == len(offsets)


def test_a_preference_gives_its_id_twice(tmp_path):
    rows = [
        row("chat", CHAT) | {"id": "a"},
        row("preference", PREFERENCE) | {"id": "b"},
        row("text", "t") | {"id": "c"},
    ]
    write_clean(tmp_path, {"train": rows, "validation": rows})
    tokenize(Tokenize(vocabulary=300), tmp_path, quiet)
    (path,) = files(tmp_path, "train")
    assert ids(path) == ["a", "b", "b", "c"]
    assert np.load(path.with_suffix(".pairs.npy")).tolist() == [[1, 2]]


def test_the_files_have_equal_bytes_each_time_and_no_stray_beside_them(tmp_path):
    found = []
    for name in ("one", "two"):
        root = write_clean(tmp_path / name, {"train": named(1500), "validation": named(1)})
        tokenize(Tokenize(vocabulary=300, shard_tokens=4000), root, quiet)
        found.append(digests(root / "data/tokens", root))
    assert found[0] == found[1]
    stems = {path.rpartition("/")[2].split(".")[0] for path in found[0]} - {"index"}
    assert all(f"data/tokens/{stem}.ids.parquet" in found[0] for stem in stems)
