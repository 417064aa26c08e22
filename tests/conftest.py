"""Fixtures shared by all tests: the project root, and a recipe small enough to run whole in seconds."""

import copy
import signal
from pathlib import Path

import pytest
from ruamel.yaml import YAML

import slipway  # noqa: F401  sets the environment before any library is imported

ROOT = Path(__file__).parents[1]

# A shell that runs the tests in the background ignores Ctrl-C, and so would every process that a test starts.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def default_values() -> dict:
    """The default recipe as plain values."""
    return YAML(typ="safe").load((ROOT / "params.yaml").read_text("utf-8"))


@pytest.fixture(autouse=True)
def _own_memory(tmp_path_factory, monkeypatch):
    """What a test reads of releases is not remembered for the person who runs it."""
    monkeypatch.setenv("SLIPWAY_STATE", str(tmp_path_factory.mktemp("state")))


@pytest.fixture
def values(default_values) -> dict:
    """A copy of the default recipe that a test may change."""
    return copy.deepcopy(default_values)
