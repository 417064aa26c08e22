"""The scan in child processes: time, memory, a crash or silence of one judge refuse its path, and nothing else."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from slipway.scan import files, isolation, verdict
from slipway.scan.isolation import Task, judge
from tests.scan.corpus import seal

LIMIT = 1 << 30


def verdict_of(path, monkeypatch, checker, **limits):
    monkeypatch.setitem(verdict.CHECKERS, "text", (checker,))
    return judge([Task(path, LIMIT)], **limits)[0]


def test_the_verdict_is_that_of_the_scan(bare):
    digest = seal(bare)
    (told,) = judge([Task(bare, LIMIT, digest)])
    assert told == verdict.scan(bare, LIMIT, digest)
    assert told.passed


def test_reports_come_in_the_order_of_the_paths(bare, tmp_path):
    (tmp_path / "evil.py").write_text("x")
    paths = [bare, tmp_path / "evil.py", bare / "LICENSE", tmp_path / "evil.py", bare / "README.md"]
    told: list[tuple[int, int, str]] = []
    reports = judge([Task(path, LIMIT) for path in paths], lambda *what: told.append(what))
    assert [report.passed for report in reports] == [True, False, True, False, True]
    assert [done for done, _, _ in told] == [1, 2, 3, 4, 5]


def test_it_is_told_how_far_a_bundle_of_many_files_is(bare):
    for number in range(300):
        (bare / f"settings{number}.json").write_text('{"a": 1}')
    told: list[tuple[int, int, str]] = []
    report = judge([Task(bare, LIMIT)], lambda *what: told.append(what))[0]
    assert report.passed
    assert report.files_scanned > 300
    assert 0 < len(told) <= report.files_scanned
    assert sorted(done for done, _, _ in told) == [done for done, _, _ in told]
    assert {total for _, total, _ in told} == {sum(file.stat().st_size for file in bare.rglob("*") if file.is_file())}


def test_what_went_wrong_is_told_in_one_line(bare, monkeypatch):
    def fails(*_, **__):
        raise ValueError("first\nsecond")

    monkeypatch.setattr(verdict, "scan", fails)
    (finding,) = judge([Task(bare, LIMIT)])[0].findings
    assert "ValueError: first second" in finding.reason


def test_a_directory_of_too_many_files_is_not_judged(bare, monkeypatch):
    monkeypatch.setattr(files, "MOST", 3)
    (finding,) = judge([Task(bare, LIMIT)])[0].findings
    assert finding.rule == "scan.incomplete"
    assert "more than 3 files" in finding.reason


def test_a_judge_that_does_not_end_is_ended(bare, monkeypatch):
    def slow(_):
        time.sleep(60)
        yield

    started = time.monotonic()
    report = verdict_of(bare, monkeypatch, slow, seconds=0.5)
    assert time.monotonic() - started < 50
    assert [finding.rule for finding in report.findings] == ["scan.incomplete"]
    assert "more than" in report.findings[0].reason


def test_what_a_judge_started_ends_with_it(bare, monkeypatch, tmp_path):
    def starts(_):
        child = subprocess.Popen(["sleep", "60"])
        (tmp_path / "pid").symlink_to(str(child.pid))  # links are names only; files may not grow
        time.sleep(60)
        yield

    verdict_of(bare, monkeypatch, starts, seconds=3)
    pid = int((tmp_path / "pid").readlink().name)
    for _ in range(1200):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return
        if state == "Z":
            return
        time.sleep(0.05)
    os.kill(pid, signal.SIGKILL)
    pytest.fail("it goes on")


def test_a_judge_that_takes_too_much_memory_refuses(bare, monkeypatch):
    def greedy(_):
        held = bytearray(1 << 28)
        held[::4096] = b"x" * len(held[::4096])
        yield

    report = verdict_of(bare, monkeypatch, greedy, memory=64 << 20)
    assert {finding.rule for finding in report.findings} == {"scan.incomplete"}
    assert "Memory" in report.findings[0].reason or "memory" in report.findings[0].reason


def test_a_judge_that_is_killed_refuses(bare, monkeypatch):
    def dies(_):
        os.kill(os.getpid(), signal.SIGKILL)
        yield

    report = verdict_of(bare, monkeypatch, dies)
    assert "signal 9" in report.findings[0].reason


def test_a_judge_that_says_nothing_refuses(bare, monkeypatch):
    def leaves(_):
        os._exit(0)
        yield

    assert verdict_of(bare, monkeypatch, leaves).findings[0].rule == "scan.incomplete"


def test_a_judge_opens_no_connection_and_writes_no_file(bare, monkeypatch, tmp_path):
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()

        def calls(_):
            socket.create_connection(server.getsockname(), timeout=5)
            yield

        report = verdict_of(bare, monkeypatch, calls)
    assert "PermissionError" in report.findings[0].reason

    def writes(_):
        (tmp_path / "left").write_text("x" * 100)
        yield

    report = verdict_of(bare, monkeypatch, writes)
    assert report.findings[0].rule == "scan.incomplete"
    assert not (tmp_path / "left").exists() or (tmp_path / "left").stat().st_size == 0


def test_only_what_is_stored_has_more_time(bare):
    (bare / "stored.txt").write_bytes(b"a\n" * 1_000_000)
    with (bare / "big.safetensors").open("wb") as stream:
        stream.truncate(2_000_000_000)
    assert 2_000_000 < isolation._size(bare) < 4_000_000
    report = judge([Task(bare, LIMIT * 10)])[0]
    assert {"file.sparse"} <= {finding.rule for finding in report.findings}


def run(*arguments, cwd):
    command = [sys.executable, "-c", "import sys; from slipway.cli import main; sys.exit(main())", "scan"]
    return subprocess.run([*command, *map(str, arguments)], capture_output=True, text=True, cwd=cwd, check=False)


def test_the_command_says_a_verdict_for_each_path(bare, tmp_path):
    (tmp_path / "evil.py").write_text("x")
    done = run(bare, tmp_path / "evil.py", "--json", tmp_path / "out.json", cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    assert f"{bare}: PASS" in done.stdout
    assert "evil.py: REFUSE" in done.stdout
    document = json.loads((tmp_path / "out.json").read_text())
    assert document["format"] == "slipway-scan-1"
    assert document["passed"] is False
    assert [report["passed"] for report in document["paths"].values()] == [True, False]
    finding = document["paths"][str(tmp_path / "evil.py")]["findings"][0]
    assert finding.keys() == {"rule", "path", "offset", "reason", "remedy"}
    assert run(bare, cwd=tmp_path).returncode == 0


def test_a_path_where_nothing_is(bare, tmp_path):
    done = run(bare, tmp_path / "missing", cwd=tmp_path)
    assert done.returncode == 2
    assert "nothing is there" in done.stderr


def test_the_command_imports_neither_torch_nor_transformers(bare, tmp_path):
    code = (
        "import sys; from slipway.cli import main; "
        f"main(['scan', {str(bare)!r}, {str(bare / 'LICENSE')!r}]); print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=True)
    assert not set(done.stderr.split()) & {"torch", "transformers", "safetensors", "pandas"}
