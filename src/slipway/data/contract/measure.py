"""One pass over `documents.parquet`: a table of checks per row, and figures over all rows.

The text itself stays in DuckDB; what comes out is one narrow row per document, so memory depends on the
number of documents and not on their length. Lengths are Unicode code points.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from slipway.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

_QUERY = """
SELECT coalesce(id, 'row ' || file_row_number) AS name, id, source, "group", licence,
       length(text) AS characters, md5(text) AS digest, contains(text, chr(0)) AS nul,
       signature IS NULL OR starts_with(text, signature || chr(10)) AS signature_leads
FROM read_parquet(?, file_row_number = true)
ORDER BY name, file_row_number
"""


@dataclass(frozen=True)
class Measured:
    """What the contract is judged on."""

    rows: "pd.DataFrame"
    """Per document, sorted by name: name, id, source, group, licence, characters, copy, nul, signature_leads."""
    sources: "pd.DataFrame"
    """Per source: source, characters, share of all characters."""
    statistics: dict[str, float]
    histogram: tuple[tuple[int, int], ...]
    """Lower edge (0, 1, 2, 4, 8, … characters) and number of documents."""


def measure(path: Path) -> Measured:
    """Compute everything the contract asks about; raises UserError for a file without a single row."""
    import duckdb

    with duckdb.connect() as connection:
        rows = connection.execute(_QUERY, [str(path)]).df()
    if rows.empty:
        raise UserError(f"{path.name} holds no document; check acquire.sources in params.yaml, then run acquire again")
    rows["copy"] = rows.duplicated("digest", keep="first") & rows["digest"].notna()
    rows = rows.drop(columns="digest")
    lengths = rows["characters"].fillna(0).astype("int64")
    by_source = lengths.groupby(rows["source"].fillna("none"), sort=True).sum()
    sources = by_source.rename("characters").rename_axis("source").reset_index()
    sources["share"] = sources["characters"] / max(int(by_source.sum()), 1)
    return Measured(rows, sources, _statistics(rows, sources, lengths.to_numpy()), _histogram(lengths.to_numpy()))


def _statistics(rows: "pd.DataFrame", sources: "pd.DataFrame", lengths: np.ndarray) -> dict[str, float]:
    quantile = {f"characters_p{p}": np.quantile(lengths, p / 100, method="inverted_cdf") for p in (5, 25, 50, 75, 95)}
    figures = {
        "documents": len(rows),
        "characters": lengths.sum(),
        "characters_shortest": lengths.min(),
        "characters_longest": lengths.max(),
        "characters_mean": lengths.mean(),
        "sources": len(sources),
        "groups": rows["group"].nunique(),
        "share_without_licence": rows["licence"].isna().mean(),
        "share_of_copies": rows["copy"].mean(),
        "share_of_largest_source": sources["share"].max(),
        **quantile,
    }
    return {name: float(value) for name, value in sorted(figures.items())}


def _histogram(lengths: np.ndarray) -> tuple[tuple[int, int], ...]:
    # frexp gives the exact exponent: 2**(e-1) <= n < 2**e; 0 has exponent 0.
    exponents = np.frexp(lengths.astype(np.float64))[1]
    counts = np.bincount(exponents)
    edges = [0 if e == 0 else 2 ** (e - 1) for e in range(len(counts))]
    first = int(np.flatnonzero(counts)[0])
    return tuple((edge, int(count)) for edge, count in list(zip(edges, counts, strict=True))[first:])


def quotes(path: Path, names: list[str], length: int = 120) -> dict[str, str]:
    """The first `length` characters, on one line, of the documents with these ids."""
    import duckdb

    query = "SELECT id, left(text, ?) FROM read_parquet(?) WHERE id IN (SELECT unnest(?)) ORDER BY id"
    with duckdb.connect() as connection:
        found = connection.execute(query, [length, str(path), names]).fetchall()
    return {name: " ".join((text or "").split()) for name, text in found}
