"""SIGKILL in the middle of every stage of `dvc repro`: the rerun ends with the bundle that `slipway release` made."""

import os
import random
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest

from slipway import graph
from slipway.files import sha256_file

from .conftest import command, environment, make_project

pytestmark = pytest.mark.journey


def kill_in(project: Path, stage: str, delay: float) -> bool:
    """Start `dvc repro`, SIGKILL its group `delay` seconds after `stage` began; False if that was too late."""
    process = subprocess.Popen(
        ["dvc", "--wait-for-lock", "repro"], cwd=project, env=environment(project), start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    marker, deadline = f"pipelines.{stage}", time.monotonic() + 400
    while process.poll() is None and time.monotonic() < deadline:
        children = psutil.Process(process.pid).children(recursive=True)
        if any(marker in " ".join(_arguments(child)) for child in children):
            time.sleep(delay)
            break
        time.sleep(0.1)  # looking at all processes of the machine takes a core's time
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    return process.returncode == -signal.SIGKILL


def _arguments(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def test_a_build_by_dvc_alone_killed_in_every_stage_ends_with_the_bytes_of_the_release(released, tmp_path, tiny_values):
    project = make_project(tmp_path / "killed", tiny_values)
    assert (project / "inputs.lock").read_bytes() == (released / "inputs.lock").read_bytes()
    rng = random.Random(5)
    killed = [stage for stage in graph.stages(project / "dvc.yaml") if kill_in(project, stage, rng.uniform(0.2, 1.5))]
    assert len(killed) >= 7, f"too few stages were caught in the act: {killed}"
    command(project, "dvc", "repro")
    assert sha256_file(project / "bundle" / "manifest.json") == sha256_file(released / "bundle" / "manifest.json")
