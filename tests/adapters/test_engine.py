"""The engines: order, errors with their own type, killed workers, one thread each, nothing left behind."""

import os
import re
import resource
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import psutil
import pytest

from pipelines.frame import Frame
from slipway.adapters import engine
from slipway.adapters.engine.pool import Pool
from slipway.adapters.engine.task import packed, unpacked, work
from slipway.errors import Refusal, UserError, Waiting
from slipway.processes import free_port


@pytest.fixture
def pool():
    made = Pool(2)
    yield made
    made.close()


def double(number: int) -> int:
    # The first items take longest, so that the last are ready before them.
    time.sleep(0.02 if number < 3 else 0)
    return 2 * number


def whoami(_: int) -> tuple[int, str, int, int]:
    import pyarrow as pa

    time.sleep(0.05)
    return os.getpid(), os.environ["OMP_NUM_THREADS"], pa.cpu_count(), pa.io_thread_count()


def fail(directory: Path, number: int) -> int:
    (directory / str(number)).touch()
    if number == 2:
        time.sleep(0.3)
        raise Refusal("number 2")
    if number == 3:
        raise UserError("number 3")
    return number


def end_once(directory: Path, number: int) -> int:
    mark = directory / str(number)
    if number == 2 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def end_always(number: int) -> int:
    if number == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


class Odd(Exception):
    def __init__(self, one: str, two: str) -> None:
        super().__init__(one + two)


def odd(_: int) -> None:
    raise Odd("a", "b")


def open_missing(number: int) -> None:
    Path(f"/nowhere/{number}").read_bytes()


def hang(_: int) -> None:
    time.sleep(600)


def workers_of(pid: int) -> list[psutil.Process]:
    return [child for child in psutil.Process(pid).children(recursive=True) if child.is_running()]


def test_results_come_in_the_order_of_the_items(pool):
    assert list(pool(double, range(20))) == [2 * number for number in range(20)]


def test_no_process_for_one_item_or_one_worker(pool):
    assert {who[0] for who in pool(_pid, [1])} == {(os.getpid())}
    assert {who[0] for who in Pool(1)(_pid, [1, 2, 3])} == {os.getpid()}
    assert list(pool(_pid, [])) == []


def _pid(_: int) -> tuple[int]:
    return (os.getpid(),)


def test_workers_are_kept_and_have_one_thread_each(pool):
    first, second = list(pool(whoami, range(6))), list(pool(whoami, range(6)))
    assert {who[0] for who in first} == {who[0] for who in second}
    assert len({who[0] for who in first} - {os.getpid()}) == 2
    assert {who[1:] for who in first} == {("1", 1, 1)}


def test_the_first_error_in_order_is_raised_with_its_type_and_the_rest_stops(pool, tmp_path):
    results = pool(partial(fail, tmp_path), range(1000))
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(Refusal, match="number 2"):
        next(results)
    assert len(list(tmp_path.iterdir())) <= 5
    assert list(pool(double, [4, 5])) == [8, 10]


def test_a_caller_that_stops_asking_leaves_nobody_working(pool):
    results = pool(double, range(100))
    next(results)
    results.close()
    assert list(pool(double, [4, 5])) == [8, 10]


def burn(_: int) -> None:
    deadline = time.process_time() + 0.3
    while time.process_time() < deadline:
        pass


def test_after_close_no_process_is_left_and_its_time_is_counted():
    def spent() -> float:
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime

    pool, before = Pool(2), spent()
    list(pool(burn, range(4)))
    pool.close()
    assert spent() - before > 1.1
    assert not [child for child in workers_of(os.getpid()) if "forkserver" in " ".join(child.cmdline())]


def test_two_calls_at_once(pool):
    one, two = pool(double, range(5)), pool(double, range(5, 10))
    assert [a + b for a, b in zip(one, two, strict=True)] == [10, 14, 18, 22, 26]


@pytest.mark.parametrize("error", [UserError("a"), Refusal("b"), Waiting("c")])
def test_errors_for_people_travel_unchanged(error):
    result, returned = unpacked(work(packed(_raise, error)))
    assert result is None
    assert type(returned) is type(error)
    assert str(returned) == str(error)
    assert not getattr(returned, "__notes__", [])


def _raise(error: Exception) -> None:
    raise error


def test_a_bug_keeps_its_traceback_and_an_os_error_its_file(pool):
    with pytest.raises(FileNotFoundError) as caught:
        list(pool(open_missing, [1, 2]))
    assert caught.value.filename == "/nowhere/1"
    assert "in open_missing" in caught.value.__notes__[0]


def test_an_error_that_does_not_pickle_is_told(pool):
    with pytest.raises(RuntimeError, match=r"Odd: ab"):
        list(pool(odd, [1, 2]))


def test_the_item_of_a_killed_worker_is_repeated(pool, tmp_path):
    assert list(pool(partial(end_once, tmp_path), range(6))) == list(range(6))


def test_an_item_that_always_ends_its_worker_is_named(pool):
    with pytest.raises(UserError, match=r"end_always\(1\) was lost 3 times \(SIGKILL\).*memory"):
        list(pool(end_always, range(6)))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_workers_end_with_their_parent(number):
    code = (
        "import tests.adapters.test_engine as t; from slipway.adapters.engine.pool import Pool\n"
        "if __name__ == '__main__': list(Pool(2)(t.hang, [1, 2]))"
    )
    root = Path(__file__).parents[2]
    parent = subprocess.Popen([sys.executable, "-c", code], cwd=root, stderr=subprocess.DEVNULL, start_new_session=True)
    deadline = time.monotonic() + 120
    while len(workers_of(parent.pid)) < 3 and time.monotonic() < deadline:
        time.sleep(0.05)
    children = workers_of(parent.pid)
    assert len(children) >= 3
    time.sleep(0.3)
    os.killpg(parent.pid, number) if number == signal.SIGINT else parent.kill()
    parent.wait(60)
    assert psutil.wait_procs(children, timeout=60)[1] == []


def test_the_environment_chooses(monkeypatch):
    monkeypatch.delenv("SLIPWAY_ENGINE", raising=False)
    monkeypatch.setenv("SLIPWAY_WORKERS", "1")
    assert list(engine.choose()(_pid, [1, 2])) == [(os.getpid(),)] * 2
    monkeypatch.setenv("SLIPWAY_WORKERS", "none")
    with pytest.raises(UserError, match="SLIPWAY_WORKERS=none"):
        engine.choose()
    monkeypatch.setenv("SLIPWAY_ENGINE", "spark")
    with pytest.raises(UserError, match="SLIPWAY_ENGINE=spark"):
        engine.choose()


def test_ray_without_its_library_is_said(monkeypatch):
    monkeypatch.setenv("SLIPWAY_ENGINE", "ray")
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UserError, match=r"pip install 'slipway\[ray\]'"):
        engine.choose()


def test_a_stage_closes_what_it_spread_over(monkeypatch, tmp_path):
    monkeypatch.setenv("SLIPWAY_WORKERS", "2")
    frame = Frame("prepare", tmp_path)
    frame.close()
    assert "spread" not in vars(frame)
    who = {pid for (pid,) in frame.spread(_pid, range(4))}
    assert os.getpid() not in who
    frame.close()
    assert not any(psutil.pid_exists(pid) for pid in who)


def test_a_cluster_that_does_not_answer_is_named(monkeypatch):
    pytest.importorskip("ray", reason="the optional extra ray is not installed")
    address = f"127.0.0.1:{free_port()}"
    monkeypatch.setenv("SLIPWAY_ENGINE", "ray")
    monkeypatch.setenv("RAY_ADDRESS", address)
    with pytest.raises(UserError, match=f"RAY_ADDRESS={address} .*refused"):
        list(engine.choose()(_pid, [1, 2]))


def test_a_node_of_another_version_says_so_and_is_not_called_lost(monkeypatch):
    cluster = pytest.importorskip("slipway.adapters.engine.cluster")
    result, error = unpacked(cluster._task(packed(double, 1), "0.0"))
    assert result is None
    assert isinstance(error, UserError)
    assert re.search(r"has slipway .*, the one that asks has 0\.0; install the same", str(error))
