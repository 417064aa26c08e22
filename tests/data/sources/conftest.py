"""Lock, fetch and acquire in a project of its own, as the stage does."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from slipway.data.sources import acquire, fetch, write_lock
from slipway.records import AcquireReport
from slipway.settings import Limits
from slipway.shards import shards
from slipway.spread import here


def quiet(done: int, total: int, note: str) -> None:
    """Progress that nobody watches."""


@pytest.fixture
def read(with_sources: Callable[..., Any], tmp_path: Path) -> Callable[..., tuple[AcquireReport, list[dict]]]:
    """Lock and acquire the given sources; returns the report and the rows."""

    def run(*sources: dict[str, Any], spread: Any = here, **settings: Any) -> tuple[AcquireReport, list[dict]]:
        recipe = with_sources(*sources)
        limits = Limits(**settings.pop("limits", {}))
        section = recipe.acquire.model_copy(update={"limits": limits, **settings})
        recipe = recipe.model_copy(update={"acquire": section})
        write_lock(recipe, tmp_path, {})
        report = acquire(recipe, tmp_path, fetch(recipe, tmp_path, {}), quiet, spread)
        found = shards(tmp_path / "data" / "raw", "documents")
        assert len(found) == report.shards
        return report, [row for path in found for row in pq.read_table(path).to_pylist()]

    return run


@pytest.fixture
def nothing_written(tmp_path: Path) -> Callable[[], None]:
    """Check that a failure left nothing in `data/`."""

    def check() -> None:
        assert [path.name for path in (tmp_path / "data").glob("*")] == []

    return check
