"""Parts and shards: order, cuts, memory and ids."""

import pyarrow.parquet as pq
import pytest

from slipway.data.documents import Document
from slipway.data.sources import documents
from slipway.data.sources.documents import ShardWriter, read_part, write_part
from slipway.errors import UserError
from slipway.shards import shards


def document(name: str, text: str = "x") -> Document:
    return Document(name, text, "mine", name, None, None)


def write(directory, *parts: list[Document], characters: int = 100) -> ShardWriter:
    writer, paths = ShardWriter(directory, characters), []
    for number, rows in enumerate(parts):
        paths.append(directory / f"{number}.arrow")
        write_part(paths[-1], ((row, f"file {number}, row {n}") for n, row in enumerate(rows, 1)))
        for batch in read_part(paths[-1]):
            writer.add(batch)
    writer.close(paths)
    return writer


def test_long_documents_are_written_in_small_batches(tmp_path, monkeypatch):
    monkeypatch.setattr(documents, "BATCH_CHARACTERS", 100)
    write_part(tmp_path / "a.arrow", ((document(str(n), "x" * 60), "") for n in range(10)))
    assert [len(batch) for batch in read_part(tmp_path / "a.arrow")] == [2] * 5


@pytest.mark.parametrize("lengths", [[250, 1, 1], [99, 1, 100, 101], [0, 0, 0], [30] * 11])
def test_a_shard_ends_with_the_document_that_fills_it(tmp_path, lengths):
    rows = [document(str(n), "é" * length) for n, length in enumerate(lengths)]
    writer = write(tmp_path, rows[:2], rows[2:])
    tables = [pq.read_table(path).to_pylist() for path in shards(tmp_path, "documents")]
    assert [row["id"] for table in tables for row in table] == [row.id for row in rows]
    sizes = [[len(row["text"]) for row in table] for table in tables]
    assert all(sum(size) >= 100 for size in sizes[:-1])
    assert all(sum(size[:-1]) < 100 for size in sizes)
    assert (writer.shards, writer.characters.total(), writer.documents["mine"]) == (
        len(tables),
        sum(lengths),
        len(lengths),
    )


def test_an_id_that_stands_twice_names_both_places(tmp_path):
    with pytest.raises(UserError, match="file 1, row 2: the id `b` was already used at file 0, row 2"):
        write(tmp_path, [document("a"), document("b")], [document("c"), document("b")])


def test_ids_that_only_share_a_hash_are_no_error(tmp_path, monkeypatch):
    import numpy as np

    monkeypatch.setattr(documents, "_hashes", lambda ids: np.zeros(len(ids), np.uint64))
    assert write(tmp_path, [document("a"), document("b")]).documents["mine"] == 2
    with pytest.raises(UserError, match="the id `a` was already used"):
        write(tmp_path, [document("a"), document("b"), document("a")])
