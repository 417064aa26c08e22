"""The ledger: each attempt leaves what it spent, however it ends; the sums tell known from unknown."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from slipway.errors import UserError
from slipway.model.ledger import Attempt
from slipway.records import AttemptRecord, LedgerReport, read_ledger
from slipway.records.ledger import SILENCE, attempts
from slipway.settings import Price

KEY, OTHER = "0123456789abcdef", "fedcba9876543210"


def begin(folder, key=KEY, **changes):
    facts = {"recipe": "tiny", "device": "cpu AVX2", "devices": 1, "peak_flops": 1e9} | changes
    return Attempt.begin(folder, key=key, **facts)


def write(folder, name="a", **changes):
    """An attempt that ended some time ago."""
    facts = {
        "key": KEY, "recipe": "tiny", "began": "2026-01-01T00:00:00+00:00", "host": "elsewhere", "pid": 1,
        "started": 1.0, "device": "cuda NVIDIA H100", "devices": 8, "seconds": 1800.0, "tokens": 10,
        "flops": 36 * 10**14, "peak_flops": 4e12, "energy_joules": 3.6e6, "energy_method": "NVML",
        "outcome": "finished", "step": 7,
    }  # fmt: skip
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.json"
    path.write_text(AttemptRecord(**facts | changes).to_json())
    return path


@pytest.mark.parametrize("outcome", ["finished", "failed", "interrupted"])
def test_an_attempt_ends_as_it_is_said(tmp_path, outcome):
    attempt = begin(tmp_path / "ledger")
    (running,) = attempts(tmp_path / "ledger")
    assert (running.outcome, running.step, running.tokens) == ("running", None, 0)
    for _ in range(5):
        attempt.add(64, 6_400)
    attempt.end(outcome, 5)
    (found,) = attempts(tmp_path / "ledger")
    assert (found.outcome, found.step, found.tokens, found.flops) == (outcome, 5, 320, 32_000)
    assert 0 < found.seconds < 60
    assert getattr(read_ledger(tmp_path / "ledger", KEY, None).this_run, outcome) == 1


def test_a_killed_attempt_counts_with_what_it_wrote_last(tmp_path):
    code = (
        "import sys, time\nfrom pathlib import Path\nfrom slipway.model.ledger import Attempt\n"
        "attempt = Attempt.begin(Path('ledger'), key='0123456789abcdef', recipe='tiny', device='cpu AVX2', devices=1,"
        " peak_flops=1e9, interval=0.1)\n"
        "attempt.add(64, 6400)\ntime.sleep(0.5)\nprint('now', flush=True)\ntime.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "now\n"
    assert attempts(tmp_path / "ledger")[0].outcome == "running"
    process.send_signal(signal.SIGKILL)
    process.communicate()
    (found,) = attempts(tmp_path / "ledger")
    assert (found.outcome, found.tokens) == ("killed", 64)
    assert found.seconds >= 0.1
    total = read_ledger(tmp_path / "ledger", KEY, None).this_run
    assert (total.attempts, total.killed, total.running) == (1, 1, 0)


def test_a_pid_that_is_used_again_is_another_process(tmp_path):
    attempt = begin(tmp_path)
    (path,) = tmp_path.glob("*.json")
    facts = json.loads(path.read_text())
    path.write_text(json.dumps(facts | {"started": facts["started"] - 100}))
    assert attempts(tmp_path)[0].outcome == "killed"
    attempt.end("finished", 1)
    assert attempts(tmp_path)[0].outcome == "finished", "the last word is the attempt's own"


def test_an_attempt_on_another_machine_is_alive_while_it_writes(tmp_path):
    path = write(tmp_path, outcome="running")
    assert attempts(tmp_path)[0].outcome == "running"
    long_ago = time.time() - SILENCE - 1
    os.utime(path, (long_ago, long_ago))
    assert attempts(tmp_path)[0].outcome == "killed"


def test_this_run_and_all_runs(tmp_path):
    write(tmp_path, "a", outcome="failed")
    write(tmp_path, "b")
    write(tmp_path, "c", key=OTHER, device="cpu AVX2", devices=1, peak_flops=None, energy_joules=None)
    found = read_ledger(tmp_path, KEY, Price(per_device_hour=2.5, currency="USD"))
    this, every = found.this_run, found.all_runs
    assert (this.attempts, this.finished, this.failed, this.tokens) == (2, 1, 1, 20)
    assert (this.device_hours, this.cost, this.currency) == (8, 20, "USD")
    assert (this.mfu, this.energy_kwh, this.energy_unknown) == (0.5, 2, 0)
    assert (every.attempts, every.device_hours, every.cost) == (3, 8.5, 21.25)
    # What lacks a peak or an energy is left out of the sum, and counted.
    assert (every.mfu, every.peak_unknown, every.energy_kwh, every.energy_unknown) == (0.5, 1, 2, 1)
    assert every.devices == ("cpu AVX2", "cuda NVIDIA H100")
    assert LedgerReport.model_validate_json(found.to_json()) == found


def test_nothing_recorded_is_no_zero_cost(tmp_path):
    found = read_ledger(tmp_path / "none", KEY, Price(per_device_hour=1.0, currency="EUR"))
    assert found.this_run.attempts == 0
    assert (found.this_run.mfu, found.this_run.energy_kwh, found.this_run.cost) == (None, None, None)
    write(tmp_path)
    assert read_ledger(tmp_path, KEY, None).this_run.cost is None


def test_a_file_that_is_no_attempt_is_named(tmp_path):
    write(tmp_path).write_text("{")
    with pytest.raises(UserError, match=r"a\.json: not an attempt"):
        read_ledger(tmp_path, KEY, None)


def test_a_ledger_that_cannot_be_written_is_said_before_the_first_step(tmp_path):
    (tmp_path / "ledger").write_text("a file")
    with pytest.raises(UserError, match="ledger cannot be written"):
        begin(tmp_path / "ledger")


def test_a_full_disk_later_does_not_end_the_training(tmp_path, capsys):
    attempt = begin(tmp_path / "ledger")
    (tmp_path / "ledger").rename(tmp_path / "moved")
    (tmp_path / "ledger").write_text("in the way")
    attempt.end("finished", 1)
    assert "could not be written" in capsys.readouterr().err


def test_energy_of_a_job_on_several_machines_says_what_it_covers(tmp_path, monkeypatch):
    from slipway.model import energy

    folder = tmp_path / "powercap" / "intel-rapl:0"
    folder.mkdir(parents=True)
    for name, text in (("name", "package-0"), ("max_energy_range_uj", "1000"), ("energy_uj", "5")):
        (folder / name).write_text(text)
    monkeypatch.setattr(energy.Meter.start.__func__, "__kwdefaults__", {"powercap": tmp_path / "powercap"})
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    begin(tmp_path / "ledger", devices=8).end("finished", 1)
    (found,) = attempts(tmp_path / "ledger")
    assert found.energy_joules == 0
    assert found.energy_method.endswith("; the first machine only, 4 of 8 devices")


def test_a_step_costs_next_to_nothing(tmp_path):
    attempt = begin(tmp_path)
    began = time.thread_time()
    for _ in range(100_000):
        attempt.add(1, 1)
    assert time.thread_time() - began < 0.5, "5 microseconds a step"
    attempt.end("finished", 1)
