"""DuckDB, opened so that it can read the raw shards and nothing else, and write nothing.

The shards are named, then access to files and extensions is switched off and the configuration is locked; so a
user's SQL, which is part of a contract that may come from elsewhere, can look at the data and at nothing else.
What does not fit into memory goes to a temporary directory that is removed afterwards.
"""

# ruff: noqa: S608  the SQL is the contract's own and its users'; `database` shuts it in

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from slipway.data.contract.own import Own
from slipway.data.documents import Document
from slipway.errors import UserError

if TYPE_CHECKING:
    import duckdb

_MEMORY = "2GB"


def quoted(text: str) -> str:
    """A string literal of SQL."""
    return "'" + text.replace("'", "''") + "'"


@contextmanager
def opened(paths: Sequence[Path]) -> "Iterator[duckdb.DuckDBPyConnection]":
    """A connection with the view `documents` over the shards, in their order."""
    import duckdb

    names = [str(path.resolve()) for path in paths]
    with (
        tempfile.TemporaryDirectory(prefix="slipway-validate-") as spill,
        duckdb.connect(config={"threads": len(os.sched_getaffinity(0)), "memory_limit": _MEMORY}) as connection,
    ):
        connection.execute(f"SET temp_directory = {quoted(spill)}")
        connection.execute(f"SET allowed_paths = [{', '.join(map(quoted, names))}]")
        for option in ("autoload_known_extensions", "autoinstall_known_extensions", "enable_external_access"):
            connection.execute(f"SET {option} = false")
        connection.execute("SET lock_configuration = true")
        columns = ", ".join(f'"{name}"' for name in Document._fields)
        connection.execute(
            f"CREATE TEMP VIEW documents AS SELECT {columns}, length(text) AS characters "
            f"FROM read_parquet([{', '.join(map(quoted, names))}])"
        )
        yield connection


def check_own(connection: "duckdb.DuckDBPyConnection", own: Own) -> None:
    """Bind a user's SQL without running it.

    Raises:
        UserError: naming the file and giving DuckDB's message, for anything but one expression over a document's
            columns of the right type.
    """
    import duckdb

    statement = statement_of(own)
    try:
        if len(connection.extract_statements(statement)) != 1:
            raise _fault(own, "one expression expected, found several statements")
        described = connection.execute(f"DESCRIBE {statement}").fetchall()
        if own.rows is not None:
            # As the pass uses it: a row's column beside it makes an aggregate an error.
            connection.execute(f"EXPLAIN SELECT characters, {as_bit(own.rows, 0)} FROM documents")
    except duckdb.Error as error:
        raise _fault(own, str(error)) from None
    if len(described) != 1:
        raise _fault(own, f"one expression expected, found {len(described)}")
    if own.rows is not None and str(described[0][1]) != "BOOLEAN":
        raise _fault(own, f"`rows` must be true or false, but is of type {described[0][1]}")


def as_bit(condition: str, bit: int) -> str:
    """SQL: a number with this bit set where the condition is not true; the line end closes a comment."""
    return f"(CASE WHEN ({condition}\n) THEN 0 ELSE {1 << bit} END)::UBIGINT"


def statement_of(own: Own) -> str:
    """The user's SQL as a query over all documents; the line end closes a comment."""
    return f"SELECT ({own.rows if own.rows is not None else own.figure}\n) AS value FROM documents"


def _fault(own: Own, message: str) -> UserError:
    return UserError(f"{own.path}: {' '.join(message.split())}; see expectations/README.md")


def culprit(connection: "duckdb.DuckDBPyConnection", owns: Sequence[Own], documents: int) -> UserError | None:
    """Which user's condition fails while it runs, or gives not one value per row; each is run alone."""
    import duckdb

    for own in owns:
        try:
            values = connection.execute(f"SELECT count(*), count_if(value) FROM ({statement_of(own)})").fetchall()[0][0]
        except duckdb.Error as error:
            return _fault(own, str(error))
        if values != documents:
            return _fault(own, f"`rows` must give one value per row, but gives {values:,} for {documents:,}")
    return None


def figure(connection: "duckdb.DuckDBPyConnection", own: Own) -> float | None:
    """The number that a user's aggregate gives; None for null.

    Raises:
        UserError: naming the file, for an error of DuckDB, several rows, or no number.
    """
    import duckdb

    try:
        found = connection.execute(statement_of(own)).fetchmany(2)
    except duckdb.Error as error:
        raise _fault(own, str(error)) from None
    if len(found) != 1:
        raise _fault(own, "`figure` must be one number over all rows, such as avg(characters)")
    value = found[0][0]
    try:
        return None if value is None else float(value)
    except (TypeError, ValueError):
        raise _fault(own, f"`figure` must be a number, but is {value!r:.60}") from None
