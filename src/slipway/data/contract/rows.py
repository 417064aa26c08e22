"""The verdict on every row: `reports/validate_rows.parquet`, the ids of failing rows, and quotes from them.

One row per document, in the order of the shards: `id` (null as in the data) and `fails`, the names of the lines
of the contract that the document breaks, counted against a bound or not; an empty list for a good row.
"""

# ruff: noqa: S608  the SQL is the contract's own and its users'; `database` shuts it in

import functools
import operator
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from slipway.data.contract.line import Line
from slipway.patterns import redact

if TYPE_CHECKING:
    import duckdb

SHOWN = 20
_QUOTE = 120
_BATCH = 1 << 14


def write_rows(
    connection: "duckdb.DuckDBPyConnection", path: Path, lines: Sequence[Line]
) -> dict[str, tuple[str, ...]]:
    """Write the file, complete or not at all; returns line -> the first 20 ids that break it.

    A document without an id is named by its place, `row 17` counted from 0 over all shards.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = [line.name for line in lines if line.marks_rows]
    shown: dict[str, list[str]] = {name: [] for name in names}
    schema = pa.schema([("id", pa.string()), ("fails", pa.list_(pa.string()))])
    temporary = path.with_name(f".{path.name}.part")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with pq.ParquetWriter(temporary, schema, compression="zstd", use_dictionary=["fails.list.element"]) as writer:
            start = 0
            for batch in _batches(connection):
                ids, fails = batch.column(0).cast(pa.string()), batch.column(1)
                coded = fails.dictionary_encode()
                patterns = coded.dictionary.to_pylist()
                _collect(shown, names, ids, fails.to_numpy(zero_copy_only=False), patterns, start=start)
                told = pa.array([_names(names, pattern) for pattern in patterns], pa.list_(pa.string()))
                writer.write_batch(pa.record_batch([ids, told.take(coded.indices)], schema=schema))
                start += len(fails)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return {name: tuple(found) for name, found in shown.items()}


def _batches(connection: "duckdb.DuckDBPyConnection") -> Iterator[Any]:
    """Id and bits, streamed; the ids are read again, which is cheaper than to keep them."""
    both = connection.sql(
        "SELECT d.id, r.fails FROM (SELECT id FROM documents) d POSITIONAL JOIN (SELECT fails FROM rows) r"
    )
    yield from both.to_arrow_reader(_BATCH)


def _names(names: Sequence[str], pattern: int) -> list[str]:
    return [name for bit, name in enumerate(names) if pattern >> bit & 1]


def _collect(
    shown: dict[str, list[str]],
    names: Sequence[str],
    ids: Any,
    fails: np.ndarray,
    patterns: Sequence[int],
    *,
    start: int,
) -> None:
    there = functools.reduce(operator.or_, patterns, 0)
    for bit, name in enumerate(names):
        wanted = SHOWN - len(shown[name])
        if wanted > 0 and there >> bit & 1:
            for place in np.flatnonzero(fails & np.uint64(1 << bit))[:wanted].tolist():
                identity = ids[place].as_py()
                shown[name].append(f"row {start + place}" if identity is None else identity)


def quotes(connection: "duckdb.DuckDBPyConnection", ids: Sequence[str]) -> dict[str, str]:
    """The beginning, on one line, of the documents with these ids; personal data and secrets are written as <KIND>."""
    if not ids:
        return {}
    found = connection.execute(
        f"SELECT id, left(text, {3 * _QUOTE}) FROM documents WHERE id IN (SELECT unnest($ids))",
        {"ids": sorted(set(ids))},
    ).fetchall()
    # Redacted before it is cut, so that a cut number is no longer a number that nobody recognises.
    return {identity: redact(" ".join((text or "").split()))[:_QUOTE] for identity, text in sorted(found)}
