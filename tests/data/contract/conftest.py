"""Small shards and the whole way from them to a verdict by the real judge."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pytest

from slipway.adapters.expectations import judge
from slipway.data import contract
from slipway.data.documents import Document, schema
from slipway.records import Expectation, ValidateReport
from slipway.settings import Validate
from slipway.shards import shard_path, write_shard

TEXT = (
    "The quick brown fox number {n} jumps over the lazy dog while the other animals of the forest watch it and "
    "wonder how high it may jump tomorrow."
)


def documents(number: int = 40) -> list[dict[str, Any]]:
    """Good rows of plain text."""
    return [
        {
            "id": f"d{n:02}",
            "text": TEXT.format(n=n),
            "source": f"s{n % 4}",
            "group": f"g{n // 2}",
            "licence": "MIT",
            "signature": None,
            "label": None,
            "shape": "text",
            "turns": None,
        }
        for n in range(number)
    ]


def write(directory: Path, *shards: list[dict[str, Any]]) -> Path:
    """The rows as shards of `directory`/data/raw."""
    raw = directory / "data" / "raw"
    raw.mkdir(parents=True, exist_ok=True)
    for number, rows in enumerate(shards):
        write_shard(shard_path(raw, "documents", number), pa.Table.from_pylist(rows, schema=schema()))
    return raw


class Judged(NamedTuple):
    report: ValidateReport
    message: str
    page: str
    rows: Path
    quoted: dict[str, str]

    def __getitem__(self, name: Any) -> Any:
        """The expectation whose name begins so."""
        return next(item for item in self.report.expectations if item.name.startswith(name))

    def broken(self) -> dict[str, tuple[int, tuple[str, ...]]]:
        return {e.name: (e.failing, e.failing_ids) for e in self.report.expectations if e.status == "not met"}


@pytest.fixture
def judged(tmp_path) -> Callable[..., Judged]:
    """Rows (one list per shard) and settings to the verdict; expectations/ of tmp_path is used."""

    def run(*shards: list[dict[str, Any]], baseline: Path | None = None, **settings: Any) -> Judged:
        chosen = Validate(**{"min_documents": 10, "max_largest_source": 0.6, "min_type_token_ratio": 0.01, **settings})
        columns = contract.shard_columns(write(tmp_path, *shards))
        lines = contract.suite(chosen, contract.own(tmp_path / "expectations"))
        earlier = contract.baseline(baseline, "earlier.json") if baseline else None
        with contract.opened(list(columns)) as database:
            measured = contract.measure(database, lines, chosen, earlier)
            rows = contract.write_rows(database, tmp_path / "reports" / "validate_rows.parquet", lines)
            asked = [line for line in lines if line.name not in measured.not_run]
            report = contract.report(lines, measured, judge(contract.tables(columns, measured), asked), rows)
            quoted = contract.quotes(database, [name for item in report.expectations for name in item.failing_ids])
        page = contract.page(report, lines, quoted, earlier)
        message = contract.complaint(report, lines)
        return Judged(report, message, page, tmp_path / "reports" / "validate_rows.parquet", quoted)

    return run


__all__ = ["TEXT", "Document", "Expectation", "documents", "write"]
