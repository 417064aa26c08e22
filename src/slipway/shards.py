"""Sharded tables: `<directory>/<name>-00000.parquet`, `-00001`, …, read and written in that order.

A shard is the unit of work of a machine and the unit of failure: it is written under another name and moved
into place when it is complete.
"""

import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa


def shard_path(directory: Path, name: str, number: int) -> Path:
    """Where shard `number` of table `name` lies."""
    return directory / f"{name}-{number:05d}.parquet"


def shards(directory: Path, name: str) -> list[Path]:
    """The shards of table `name`, in order; empty if there is none."""
    pattern = re.compile(rf"{re.escape(name)}-(\d{{5,}})\.parquet")
    found = ((pattern.fullmatch(path.name), path) for path in directory.glob(f"{name}-*.parquet"))
    # From the hundred-thousandth on numbers have six digits, whose order by name is another.
    return [path for _, path in sorted((int(match[1]), path) for match, path in found if match)]


def write_shard(path: Path, table: "pa.Table") -> None:
    """Write one shard, complete or not at all; what a killed worker leaves, `remove_unfinished` removes."""
    import pyarrow.parquet as pq

    # A name of its own: two machines may write the same shard, if one was thought lost.
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    temporary = Path(name)
    try:
        pq.write_table(table, temporary, compression="zstd")
        temporary.chmod(0o644)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def remove_unfinished(directory: Path) -> None:
    """Remove what killed workers began and others wrote again: for who puts a finished directory in its place."""
    for stray in directory.glob(".*.parquet.*"):
        stray.unlink()


def batches(
    directory: Path, name: str, columns: Sequence[str] | None = None, rows: int = 4096
) -> Iterator["pa.RecordBatch"]:
    """The rows of a table in order, at most `rows` at a time, so that memory does not grow with the table."""
    import pyarrow.parquet as pq

    for path in shards(directory, name):
        with pq.ParquetFile(path) as file:
            yield from file.iter_batches(batch_size=rows, columns=None if columns is None else list(columns))


def count_rows(directory: Path, name: str) -> int:
    """Number of rows of a table, from its footers alone."""
    import pyarrow.parquet as pq

    return sum(pq.read_metadata(path).num_rows for path in shards(directory, name))
