"""The whole stage: tasks and baseline, complete or nothing, and the same bytes wherever the work is done."""

import json
import os
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from slipway.data.sources import acquire, fetch, write_lock
from slipway.errors import Refusal, UserError
from slipway.files import digests, sha256_file
from slipway.settings import TaskFile

QUESTION = {"question": "2 + 2?", "choices": ["3", "4"], "answer": 1}


@pytest.fixture
def make(with_sources, jsonl, tmp_path):
    """Lock and acquire with a task file and, if given, a baseline; `between` happens after the lock was checked."""

    def run(*items: object, baseline: str | None = None, between=lambda: None):
        lines = [item if isinstance(item, str) else json.dumps(item) for item in items]
        (tmp_path / "sums.jsonl").write_text("\n".join(lines))
        recipe = with_sources(jsonl({"text": "a"}))
        task = TaskFile(name="sums", path="sums.jsonl", licence="CC0-1.0")
        evaluate = recipe.evaluate.model_copy(update={"files": (task,)})
        validate = recipe.validate_.model_copy(update={"baseline": baseline})
        recipe = recipe.model_copy(update={"evaluate": evaluate, "validate_": validate})
        write_lock(recipe, tmp_path, {})
        inputs = fetch(recipe, tmp_path, {})
        between()
        return acquire(recipe, tmp_path, inputs, lambda *_: None)

    return run


def test_tasks_become_tables(make, tmp_path):
    report = make(QUESTION, {**QUESTION, "answer": 0, "more": "ignored"})
    rows = pq.read_table(tmp_path / "data/tasks/sums.parquet").to_pylist()
    assert rows[0] == {"item": "sums#1", **QUESTION}
    assert rows[1]["answer"] == 0
    [task] = report.tasks
    assert (task.name, task.location, task.items) == ("sums", "sums.jsonl", 2)
    assert task.digest == sha256_file(tmp_path / "sums.jsonl")


@pytest.mark.parametrize(
    ("item", "words"),
    [
        ({"question": "?", "choices": ["a", "b"]}, ["no column `answer`", "question, choices"]),
        ({**QUESTION, "question": " "}, ["`question`"]),
        ({**QUESTION, "choices": ["a"]}, ["`choices`", "two strings or more"]),
        ({**QUESTION, "choices": ["a", 1]}, ["`choices`"]),
        ({**QUESTION, "choices": ["a", "a"]}, ["holds a choice twice"]),
        ({**QUESTION, "answer": 2}, ["`answer`", "0 to 1", "2"]),
        ({**QUESTION, "answer": -1}, ["`answer`", "-1"]),
        ({**QUESTION, "answer": True}, ["`answer`", "true"]),
        ({**QUESTION, "answer": "1"}, ["`answer`"]),
        ("[1]", ["a list where a JSON object was expected"]),
    ],
)
def test_a_question_that_is_none_is_named_and_nothing_is_written(make, nothing_written, item, words):
    with pytest.raises(UserError) as error:
        make(QUESTION, item)
    for word in ["sums.jsonl:2", *words]:
        assert word in str(error.value)
    nothing_written()


def test_an_empty_task_file_is_named(make):
    with pytest.raises(UserError, match=r"sums\.jsonl: no question in it"):
        make("")


def test_the_baseline_is_copied_and_its_directory_always_exists(make, tmp_path):
    make(QUESTION)
    assert list((tmp_path / "data/baseline").iterdir()) == []
    (tmp_path / "old.json").write_text('{"a": 1}')
    make(QUESTION, baseline="old.json")
    assert (tmp_path / "data/baseline/validate.json").read_text() == '{"a": 1}'


@pytest.mark.parametrize("name", ["rows.jsonl", "sums.jsonl", "old.json"])
def test_a_file_that_changes_after_the_check_is_refused_by_name(make, nothing_written, tmp_path, name):
    (tmp_path / "old.json").write_text("{}")

    def change() -> None:
        (tmp_path / name).write_text(json.dumps({**QUESTION, "text": "b"}))

    with pytest.raises(Refusal, match=name):
        make(QUESTION, baseline="old.json", between=change)
    nothing_written()


def test_a_failure_leaves_nothing_of_an_earlier_run_either(make, nothing_written, tmp_path):
    make(QUESTION)
    assert sorted(path.name for path in (tmp_path / "data").iterdir()) == ["baseline", "raw", "tasks"]
    (tmp_path / "data" / ".acquire").mkdir()  # as a kill leaves it
    with pytest.raises(UserError):
        make("nonsense")
    nothing_written()


def test_what_is_left_of_a_killed_run_does_no_harm(make, tmp_path):
    (tmp_path / "data" / ".acquire" / "raw").mkdir(parents=True)
    (tmp_path / "data" / ".acquire" / "raw" / "documents-00009.parquet").write_bytes(b"old")
    make(QUESTION)
    assert sorted(path.name for path in (tmp_path / "data/raw").iterdir()) == [
        "documents-00000.parquet",
        "sources.json",
    ]


def test_workers_change_no_byte(read, tmp_path):
    for name in range(7):
        rows = (json.dumps({"text": f"{name} {row}"}) for row in range(200 * name))
        (tmp_path / f"{name}.jsonl").write_text("\n".join(rows))
    files = {"kind": "jsonl", "name": "mine", "path": "*.jsonl", "licence": "MIT"}
    packages = {"kind": "pydocs", "name": "docs", "packages": ["tqdm", "certifi", "networkx"]}
    alone, _ = read(files, packages, shard_characters=100_000)
    bytes_alone = digests(tmp_path / "data", tmp_path)
    with ProcessPoolExecutor(2, mp_context=get_context("forkserver")) as pool:
        pids = set(pool.map(_pid, range(4)))
        assert os.getpid() not in pids
        together, _ = read(files, packages, shard_characters=100_000, spread=pool.map)
    assert together == alone
    assert alone.shards > 3
    assert digests(tmp_path / "data", tmp_path) == bytes_alone


def _pid(_: int) -> int:
    return os.getpid()


def test_sources_are_listed_beside_the_shards(read, jsonl, tmp_path: Path):
    report, _ = read(jsonl({"text": "abc"}))
    [listed] = json.loads((tmp_path / "data/raw/sources.json").read_text())
    assert listed == report.sources[0].model_dump(mode="json")
    assert (listed["location"], listed["documents"], listed["characters"], listed["version"]) == (
        "rows.jsonl",
        1,
        3,
        None,
    )
