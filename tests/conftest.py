"""Fixtures shared by all tests, and how their files are shared out among several processes.

Each process of a test run has servers, states and caches of its own, so that none waits for another.
"""

import copy
import os
import shutil
import signal
import tempfile
from pathlib import Path

import pytest
from ruamel.yaml import YAML

import slipway  # noqa: F401  sets the environment before any library is imported

ROOT = Path(__file__).parents[1]

# A shell that runs the tests in the background ignores Ctrl-C, and so would every process that a test starts.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Models of these tests are too small for a second thread, which would only wait, and take the core of another test.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# `flows` sets Prefect's home when it is imported: to that of the checkout, whose database all processes would share.
HOME = tempfile.mkdtemp(prefix="slipway-prefect-")
os.environ["PREFECT_HOME"] = HOME

SHARED = {
    "tests/integration/test_journey.py": "released",
    "tests/integration/test_kill.py": "released",
    "tests/integration/test_replay.py": "released",
    # A second cluster of Ray on one machine could be taken for the first.
    "tests/integration/test_engines.py": "ray",
    "tests/adapters/test_engine.py": "ray",
}
"""Files that one process runs, because they share what takes minutes to make; all others are shared out one by one."""


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish():
    """In every process, those among several too."""
    shutil.rmtree(HOME, ignore_errors=True)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """With `--dist loadfile`: whole files to each process, those of `SHARED` together."""
    from xdist.scheduler import LoadFileScheduling

    class Files(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = super()._split_scope(nodeid)
            return SHARED.get(file, file)

    if config.getvalue("dist") != "loadfile":
        return None
    config.option.loadscopereorder = False  # else what has most tests comes first, not what takes longest
    return Files(config, log)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config, items):
    """In a process among several: what takes longest first, so that none is left alone with it at the end."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: not item.nodeid.startswith(("tests/integration/", "tests/flows/")))


@pytest.fixture(scope="session")
def default_values() -> dict:
    """The default recipe as plain values."""
    return YAML(typ="safe").load((ROOT / "params.yaml").read_text("utf-8"))


@pytest.fixture(scope="session")
def prefect_database(tmp_path_factory) -> Path:
    """An empty database for Prefect's servers: making one takes many seconds, copying it none."""
    from tests import prefect_server

    return prefect_server.database(tmp_path_factory.mktemp("prefect"))


@pytest.fixture(autouse=True)
def _own_memory(tmp_path_factory, monkeypatch):
    """What a test reads of releases is not remembered for the person who runs it."""
    monkeypatch.setenv("SLIPWAY_STATE", str(tmp_path_factory.mktemp("state")))


@pytest.fixture
def values(default_values) -> dict:
    """A copy of the default recipe that a test may change."""
    return copy.deepcopy(default_values)
