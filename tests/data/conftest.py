"""A small recipe and a small project for the data rooms; real files, real libraries."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from slipway.recipe import Recipe, load
from slipway.settings import Acquire

PROJECT = Path(__file__).resolve().parents[2]


def quiet(done: int, total: int, note: str) -> None:
    """Progress that nobody watches."""


@pytest.fixture(scope="session")
def recipe() -> Recipe:
    return load(PROJECT / "params.yaml")


@pytest.fixture
def with_sources(recipe: Recipe) -> Callable[..., Recipe]:
    """The project's recipe with other sources."""

    def make(*sources: dict[str, Any]) -> Recipe:
        return recipe.model_copy(update={"acquire": Acquire.model_validate_json(json.dumps({"sources": sources}))})

    return make


@pytest.fixture
def jsonl(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Write rows as JSON lines and return the source that reads them."""

    def make(*rows: Any, **settings: Any) -> dict[str, Any]:
        lines = [row if isinstance(row, bytes) else json.dumps(row).encode() for row in rows]
        (tmp_path / "rows.jsonl").write_bytes(b"".join(line + b"\n" for line in lines))
        return {"kind": "jsonl", "name": "mine", "path": "rows.jsonl", "licence": "CC0-1.0", **settings}

    return make
