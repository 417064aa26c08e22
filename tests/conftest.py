"""Fixtures shared by all tests: the project root, and a recipe small enough to run whole in seconds."""

import copy
from pathlib import Path

import pytest
from ruamel.yaml import YAML

import slipway  # noqa: F401  sets the environment before any library is imported

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def default_values() -> dict:
    """The default recipe as plain values."""
    return YAML(typ="safe").load((ROOT / "params.yaml").read_text("utf-8"))


@pytest.fixture
def values(default_values) -> dict:
    """A copy of the default recipe that a test may change."""
    return copy.deepcopy(default_values)
