"""The same bytes from one process, from two, and from a Ray cluster of two nodes that loses one of them midway."""

import os
import signal
import time
from collections import Counter
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from slipway.adapters import engine
from slipway.data.clean import bands, prepare
from slipway.data.documents import Document, schema
from slipway.errors import Refusal, UserError
from slipway.files import digests
from slipway.recipe import load
from slipway.shards import shard_path, write_shard

pytestmark = pytest.mark.journey
ray = pytest.importorskip("ray", reason="the optional extra ray is not installed")

ROOT = Path(__file__).parents[2]
SHARDS, DOCUMENTS, BANDS = 8, 20_000, 40


@pytest.fixture(scope="module")
def keys(tmp_path_factory) -> list[Path]:
    """Key files with planted pairs, triples and one bucket of boilerplate."""
    directory = tmp_path_factory.mktemp("keys")
    random = np.random.default_rng(1)
    table = random.integers(0, 2**64, (SHARDS * DOCUMENTS, BANDS), np.uint64)
    table[1000:41000:2, ::3] = table[1001:41001:2, ::3]
    table[-9000::3, 5] = table[-1, 5]
    paths = [directory / f"keys-{number:05d}.npy" for number in range(SHARDS)]
    for path, part in zip(paths, np.split(table, SHARDS), strict=True):
        bands.write_keys(path, part)
    return paths


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    # Otherwise Ray makes a token in the home directory.
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    # Where the nodes find the functions of this file.
    monkeypatch.setenv("PYTHONPATH", f"{ROOT / 'src'}{os.pathsep}{ROOT}")


def witness(function, item):
    """The result, and the Ray node on which it was made."""
    if not ray.is_initialized():
        return function(item), None
    if "bands" not in function.__module__:
        time.sleep(0.2)  # shorter work would all be given to the worker that has just been free
    return function(item), ray.get_runtime_context().get_node_id()


def corpus(root: Path) -> None:
    """Raw documents in twelve shards: copies, near copies and addresses, across shards."""
    random = np.random.default_rng(2)
    words = np.array([f"word{number}" for number in range(3000)])
    texts = [" ".join(words[random.integers(0, 3000, 80)]) for _ in range(1500)]
    texts += [text.upper() for text in texts[:200]] + [text + " and some more" for text in texts[200:500]]
    texts += [text + f" write to person{number}@mail.example.org" for number, text in enumerate(texts[500:600])]
    (root / "data" / "raw").mkdir(parents=True)
    (root / "data" / "tasks").mkdir()
    order = random.permutation(len(texts)).tolist()
    for shard in range(12):
        rows = [
            Document(f"own/{number:05d}", texts[number], "own", f"group{number % 97}", "MIT", None)
            for number in order[shard::12]
        ]
        table = pa.Table.from_pylist([row._asdict() for row in rows], schema())
        write_shard(shard_path(root / "data" / "raw", "documents", shard), table)


class Work:
    """Both jobs on the engine that the environment names, and what they made as path to digest."""

    def __init__(self, keys: list[Path], watch=lambda _: None) -> None:
        self.keys, self.watch = keys, watch
        self.engine = engine.choose()

    def spread(self, function, items):
        for result, node in self.engine(partial(witness, function), items):
            self.watch(node)
            yield result

    def __call__(self, root: Path) -> dict[str, str]:
        corpus(root)
        recipe = load(ROOT / "params.yaml")
        try:
            # A node's first worker takes seconds to start; the work would be done by then.
            list(self.engine(partial(witness, time.sleep), [1.0] * 4 if ray.is_initialized() else []))
            report = prepare(recipe.prepare, 1, recipe.bundle.licence, root, lambda *_: None, self.spread)
            # Small parts: each band is cut into eight.
            bands.candidate_files(self.keys, root / "joined", self.spread, memory=SHARDS * DOCUMENTS * 3)
        finally:
            self.engine.close()
        assert report.rejects["exact duplicate"] == 200
        (root / "report.json").write_text(report.to_json())
        return digests(root, root)


@pytest.fixture
def cluster():
    """A head and a second node, one core each, as processes of this machine."""
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    made.add_node(num_cpus=1)
    made.wait_for_nodes()
    yield made
    ray.shutdown()
    made.shutdown()


def test_a_cluster_that_loses_a_node_makes_the_same_bytes(keys, cluster, tmp_path, monkeypatch):
    monkeypatch.setattr(bands, "_KEYS", 1)  # each band is an item
    monkeypatch.setenv("SLIPWAY_WORKERS", "1")
    expected = Work(keys)(tmp_path / "one")
    assert {"joined/bands/pairs-000000.npy", "data/clean/train-00000.parquet", "report.json"} <= expected.keys()
    monkeypatch.setenv("SLIPWAY_WORKERS", "2")
    assert Work(keys)(tmp_path / "two") == expected

    monkeypatch.setenv("SLIPWAY_ENGINE", "ray")
    monkeypatch.setenv("RAY_ADDRESS", cluster.address)
    ray.init(address=cluster.address, log_to_driver=False)
    first, second = cluster.list_all_nodes()
    results = Counter[str]()

    def kill(node: str) -> None:
        results[node] += 1
        if results[second.node_id] == 1:
            os.kill(second.all_processes["raylet"][0].process.pid, signal.SIGKILL)

    assert Work(keys, kill)(tmp_path / "ray") == expected
    assert 1 <= results[second.node_id] < 10, "the second node was to be killed while it worked on the first shards"
    assert results[first.node_id] > 100


def test_errors_on_a_cluster_are_those_of_a_pool(monkeypatch, tmp_path):
    monkeypatch.setenv("SLIPWAY_ENGINE", "ray")
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setenv("SLIPWAY_WORKERS", "2")
    chosen = engine.choose()
    try:
        assert list(chosen(abs, range(-9, 0))) == list(range(9, 0, -1))
        results = chosen(partial(refuse, tmp_path), range(1000))
        assert [next(results), next(results)] == [0, 1]
        with pytest.raises(Refusal, match=r"^number 2$"):
            next(results)
        assert len(list(tmp_path.iterdir())) < 20
        with pytest.raises(UserError, match=r"end\(1\) was lost 3 times \(.*memory"):
            list(chosen(end, range(3)))
    finally:
        chosen.close()


def refuse(directory: Path, number: int) -> int:
    (directory / str(number)).touch()
    if number >= 2:
        raise Refusal(f"number {number}")
    return number


def end(number: int) -> None:
    if number == 1:
        os.kill(os.getpid(), signal.SIGKILL)
