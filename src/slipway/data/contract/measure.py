"""One pass over the raw shards: every row checked, every figure counted, and no text kept but a small sample.

DuckDB reads the shards once and keeps 34 bytes for a document: hashes of id and text, length, source, licence and
label as small numbers, and the lines of the contract that it breaks as bits. All figures come from that table. So
memory depends on the number of documents and not on their length, and DuckDB moves it to disk beyond 2 GB.
Lengths are Unicode code points. Copies are texts with equal 64-bit hash.
"""

# ruff: noqa: S608  the SQL is the contract's own and its users'; `database` shuts it in

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from slipway.data.contract.database import as_bit, check_own, culprit, figure
from slipway.data.contract.drift import Baseline, drift
from slipway.data.contract.language import PREFIX, UNKNOWN, Languages, Sampled, languages, type_token_ratio
from slipway.data.contract.line import Line
from slipway.errors import UserError
from slipway.settings import Validate

if TYPE_CHECKING:
    import duckdb

_SAMPLE = "SELECT rowid, characters, sample FROM rows WHERE sample IS NOT NULL ORDER BY rowid"
NONE = "none"
"""Stands for null in the tables by source and licence."""
_BY = "SELECT {0}::VARCHAR, {1} FROM rows WHERE {0} IS NOT NULL GROUP BY {0} ORDER BY {0}::VARCHAR"
_CODED = {"source": f"coalesce(source, '{NONE}')", "licence": f"coalesce(licence, '{NONE}')", "label": "label"}


@dataclass(frozen=True)
class Measured:
    """What the contract is judged on."""

    documents: int
    facts: dict[str, float | None]
    """Figure to its value; None where there is nothing to measure."""
    failing: dict[str, int]
    """Line about rows to the number of documents that break it."""
    shares: dict[str, float | None]
    """The same as a share of the documents that were looked at."""
    statistics: dict[str, float]
    length_histogram: tuple[tuple[int, int], ...]
    """Lower edge (0, 1, 2, 4, 8, … characters) and number of documents."""
    characters_by_source: dict[str, int]
    documents_by_licence: dict[str, int]
    documents_by_label: dict[str, int]
    languages: Languages
    baseline: Baseline | None = None
    drift: dict[str, float] = field(default_factory=dict)
    not_run: dict[str, str] = field(default_factory=dict)
    """Line to the reason why it cannot be judged."""

    @property
    def characters_by_language(self) -> dict[str, int]:
        return self.languages.characters


def measure(
    connection: "duckdb.DuckDBPyConnection", lines: Sequence[Line], settings: Validate, baseline: Baseline | None = None
) -> Measured:
    """Fill the table `rows` of the connection (see `database.opened`) and compute everything the contract asks.

    Raises:
        UserError: for shards without a row, for unreadable ones, and for a user's SQL that does not run.
    """
    for line in lines:
        if line.own:
            check_own(connection, line.own)
    bits = {line.name: bit for bit, line in enumerate(line for line in lines if line.marks_rows)}
    documents = connection.execute("SELECT count(*) FROM documents").fetchall()[0][0]
    if not documents:
        raise UserError("data/raw holds no document; check acquire.sources in params.yaml, then run acquire again")
    _scan(connection, lines, bits, documents, max(1, documents // settings.sample))
    _mark_repeated(connection, bits)
    sample = [Sampled(*row) for row in _all(connection, _SAMPLE)]
    told = languages(sample, documents)
    if settings.languages:
        others = [row for row, language in told.by_row.items() if language not in (*settings.languages, UNKNOWN)]
        bit = next(bits[line.name] for line in lines if line.marks == "language")
        connection.execute(
            f"UPDATE rows SET fails = fails | {1 << bit}::UBIGINT WHERE rowid IN (SELECT unnest($rows))",
            {"rows": others},
        )
    measured = _figures(connection, lines, settings, bits=bits, told=told, diversity=type_token_ratio(sample))
    return _drifted(measured, lines, baseline)


def _all(connection: "duckdb.DuckDBPyConnection", query: str) -> list[Any]:
    return connection.execute(query).fetchall()


def _scan(
    connection: "duckdb.DuckDBPyConnection", lines: Sequence[Line], bits: dict[str, int], documents: int, one_in: int
) -> None:
    """The one pass: read the shards into the table `rows`, in their order."""
    import duckdb

    for name, value in _CODED.items():
        known = f"SELECT DISTINCT {value} AS value FROM documents WHERE value IS NOT NULL ORDER BY value"
        connection.execute(f"CREATE TYPE {name}_code AS ENUM ({known})")
    fails = " | ".join(as_bit(line.condition, bits[line.name]) for line in lines if line.condition)
    sampled = f"CASE WHEN hash(id) % {one_in} = 0 AND text IS NOT NULL THEN left(text, {PREFIX}) END"
    codes = ", ".join(f"({value})::{name}_code AS {name}" for name, value in _CODED.items())
    mine = [line.own for line in lines if line.own and line.condition]
    try:
        connection.execute(
            "CREATE TEMP TABLE rows AS SELECT hash(id) AS id_hash, hash(text) AS text_hash, "
            f"coalesce(characters, 0)::UINTEGER AS characters, {codes}, "
            f"turns IS NOT NULL OR coalesce(shape <> 'text', true) AS spoken, {fails} AS fails, {sampled} AS sample "
            "FROM documents"
        )
    except duckdb.Error as error:
        if fault := culprit(connection, mine, documents):
            raise fault from None
        raise UserError(f"data/raw cannot be read: {' '.join(str(error).split())[:500]}. Run acquire again") from None
    if _all(connection, "SELECT count(*) FROM rows")[0][0] != documents:
        raise culprit(connection, mine, documents) or RuntimeError("the pass did not give one row per document")


def _mark_repeated(connection: "duckdb.DuckDBPyConnection", bits: dict[str, int]) -> None:
    """Mark every document with an id that another has too, and every copy of a text but the first."""
    for column, line, null, also in (
        ("id_hash", "ids are unique", "every document has an id", ""),
        ("text_hash", "few exact copies", "every document has text", "AND rows.rowid <> repeated.first"),
    ):
        there = f"fails & {1 << bits[null]}::UBIGINT = 0"
        connection.execute(
            f"CREATE OR REPLACE TEMP TABLE repeated AS SELECT {column} AS value, min(rowid) AS first FROM rows "
            f"WHERE {there} GROUP BY {column} HAVING count(*) > 1"
        )
        connection.execute(
            f"UPDATE rows SET fails = fails | {1 << bits[line]}::UBIGINT FROM repeated "
            f"WHERE {column} = value AND {there} {also}"
        )


def _failing(connection: "duckdb.DuckDBPyConnection", bits: dict[str, int]) -> dict[str, int]:
    """Line to number of rows that break it: distinct patterns are few."""
    patterns = _all(connection, "SELECT fails, count(*) FROM rows GROUP BY fails")
    return {name: sum(count for pattern, count in patterns if pattern >> bit & 1) for name, bit in bits.items()}


def _figures(
    connection: "duckdb.DuckDBPyConnection",
    lines: Sequence[Line],
    settings: Validate,
    *,
    bits: dict[str, int],
    told: Languages,
    diversity: float | None,
) -> Measured:
    """Everything that follows from the table `rows`."""
    by_source = dict(_all(connection, _BY.format("source", "sum(characters)::BIGINT")))
    by_licence = dict(_all(connection, _BY.format("licence", "count(*)")))
    by_label = dict(_all(connection, _BY.format("label", "count(*)")))
    conversations = _all(connection, "SELECT count(*) FROM rows WHERE spoken")[0][0]
    statistics, histogram = _lengths(connection)
    documents, characters = int(statistics["documents"]), int(statistics["characters"])
    failing = _failing(connection, bits)
    shares: dict[str, float | None] = {name: count / documents for name, count in failing.items()}
    facts: dict[str, float | None] = {
        "documents": documents,
        "share_of_largest_source": max(by_source.values()) / max(characters, 1),
        "type_token_ratio": diversity,
    }
    not_run = {}
    for line in lines:
        if line.own and line.own.figure is not None:
            facts[line.figure] = figure(connection, line.own)
        elif line.marks == "language":
            shares[line.figure] = told.share_of_others(settings.languages) if settings.languages else None
            if not settings.languages:
                not_run[line.name] = "the recipe names no languages (validate.languages)"
            elif not told.told:
                not_run[line.name] = "the language of no document in the sample could be told"
        elif line.marks == "conversation" and not conversations:
            not_run[line.name] = "no document is a conversation"
        elif line.column == "label" and not by_label:
            not_run[line.name] = "no document has a label"
    if by_label:
        labelled = sum(by_label.values())
        facts["share_of_largest_class"] = max(by_label.values()) / labelled
        facts["share_of_smallest_class"] = min(by_label.values()) / labelled
    if diversity is None:
        not_run |= {line.name: "the sample holds no word" for line in lines if line.figure == "type_token_ratio"}
    statistics |= {
        "share_of_largest_source": facts["share_of_largest_source"] or 0.0,
        "sources": float(len(by_source)),
        "conversations": float(conversations),
    } | ({} if diversity is None else {"type_token_ratio": diversity})
    return Measured(
        documents, facts, failing, shares, dict(sorted(statistics.items())), histogram,
        by_source, by_licence, by_label, told, not_run=not_run,
    )  # fmt: skip


def _lengths(connection: "duckdb.DuckDBPyConnection") -> tuple[dict[str, float], tuple[tuple[int, int], ...]]:
    """Figures of the lengths, and their histogram: columns that double in width, from the first to the last in use."""
    rows = _all(connection, "SELECT characters, count(*) FROM rows GROUP BY characters ORDER BY characters")
    lengths, counts = np.array(rows, np.int64).T
    until = np.cumsum(counts)
    documents, characters = int(until[-1]), int(lengths @ counts)
    figures = {
        "documents": documents,
        "characters": characters,
        "characters_shortest": int(lengths[0]),
        "characters_longest": int(lengths[-1]),
        "characters_mean": characters / documents,
    }
    for percent in (5, 25, 50, 75, 95):  # the smallest length that this share of the documents does not exceed
        figures[f"characters_p{percent}"] = int(lengths[np.searchsorted(until, documents * percent / 100)])
    # frexp gives the exact exponent: 2**(e-1) <= n < 2**e; 0 has exponent 0.
    bins = np.bincount(np.frexp(lengths.astype(np.float64))[1], weights=counts).astype(int).tolist()
    first = next(number for number, count in enumerate(bins) if count)
    histogram = tuple((2 ** (n - 1) if n else 0, bins[n]) for n in range(first, len(bins)))
    return {name: float(value) for name, value in figures.items()}, histogram


def _drifted(measured: Measured, lines: Sequence[Line], baseline: Baseline | None) -> Measured:
    """With the distances to the baseline, or the reason why there are none."""
    found = drift(measured, baseline.report) if baseline else {}
    missing = "the recipe names no baseline (validate.baseline)"
    if baseline:
        missing = "this data or the baseline has nothing to compare"
    asked = {line.name: line.figure for line in lines if line.figure.startswith("drift_")}
    not_run = {name: missing for name, about in asked.items() if about.removeprefix("drift_") not in found}
    return replace(
        measured,
        baseline=baseline,
        drift=found,
        facts=measured.facts | {f"drift_{about}": value for about, value in found.items()},
        not_run=measured.not_run | not_run,
    )
