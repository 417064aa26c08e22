"""Sharded tables: order, flat reading, and shards that are there whole or not at all."""

import multiprocessing
import os
import signal

import pyarrow as pa
import pytest

from slipway import shards, spread


def table(*values: int) -> pa.Table:
    return pa.table({"n": list(values), "twice": [2 * value for value in values]})


def test_rows_come_back_in_the_order_of_the_shards(tmp_path):
    for number in (10, 2, 0):
        shards.write_shard(shards.shard_path(tmp_path, "t", number), table(number, number + 1))
    assert [path.name for path in shards.shards(tmp_path, "t")] == [f"t-{n:05d}.parquet" for n in (0, 2, 10)]
    rows = [value for batch in shards.batches(tmp_path, "t", ["n"], rows=1) for value in batch["n"].to_pylist()]
    assert rows == [0, 1, 2, 3, 10, 11]
    assert shards.count_rows(tmp_path, "t") == 6


def test_another_table_in_the_directory_is_not_read(tmp_path):
    shards.write_shard(shards.shard_path(tmp_path, "t", 0), table(1))
    shards.write_shard(shards.shard_path(tmp_path, "t-more", 0), table(2))
    assert shards.count_rows(tmp_path, "t") == 1
    assert shards.shards(tmp_path, "none") == []


def test_a_shard_that_cannot_be_written_leaves_the_old_one(tmp_path, monkeypatch):
    path = shards.shard_path(tmp_path, "t", 0)
    shards.write_shard(path, table(1))

    def full(source, target, **_):
        target.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pyarrow.parquet.write_table", full)
    with pytest.raises(OSError, match="No space left"):
        shards.write_shard(path, table(2))
    monkeypatch.undo()
    assert [batch["n"].to_pylist() for batch in shards.batches(tmp_path, "t")] == [[1]]
    assert list(tmp_path.iterdir()) == [path]


def test_here_is_a_spread():
    assert list(spread.here(abs, [-1, 2])) == [1, 2]


def test_the_hundred_thousandth_shard_is_one_of_them_and_the_last(tmp_path):
    for number in (99_999, 100_000, 20_000):
        shards.write_shard(shards.shard_path(tmp_path, "t", number), table(number))
    rows = [value for batch in shards.batches(tmp_path, "t", ["n"]) for value in batch["n"].to_pylist()]
    assert rows == [20_000, 99_999, 100_000]


def _die_while_writing(path):
    def die(*_, **__):
        os.kill(os.getpid(), signal.SIGKILL)

    pytest.MonkeyPatch().setattr("pyarrow.parquet.write_table", die)
    shards.write_shard(path, table(1))


def test_what_a_killed_worker_began_is_removed_and_nothing_else(tmp_path):
    path = shards.shard_path(tmp_path, "t", 0)
    process = multiprocessing.get_context("spawn").Process(target=_die_while_writing, args=(path,))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    shards.write_shard(path, table(2))
    (tmp_path / "other.json").write_text("{}")
    assert len(list(tmp_path.iterdir())) == 3
    shards.remove_unfinished(tmp_path)
    assert sorted(found.name for found in tmp_path.iterdir()) == ["other.json", "t-00000.parquet"]
