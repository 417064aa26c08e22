"""Before step 1 a checkpoint is written, read back and removed, and the disk is asked for."""

import resource
import shutil
from pathlib import Path

import pytest
import torch

from slipway.errors import UserError
from slipway.model.checkpoint import Checkpoints
from slipway.model.parallel import World
from slipway.model.preflight import bytes_needed, preflight
from tests.model.conftest import settings

TENSORS = {"model.a": torch.ones(1000), "optimiser.a.m": torch.ones(2000)}


def test_the_need_is_what_the_policy_keeps() -> None:
    assert bytes_needed(settings(), TENSORS) == (2 + 2) * 12_000 + 4_000
    assert bytes_needed(settings(keep={"last": 5}), TENSORS) == (5 + 2) * 12_000 + 4_000
    # Of 24 steps those of 0, 8, 16 and 24 stay.
    assert bytes_needed(settings(keep={"every": 8}), TENSORS) == (2 + 2 + 4) * 12_000 + 4_000


def test_it_writes_reads_and_removes_one_of_full_size(tmp_path: Path) -> None:
    read: list[tuple[int, int]] = []

    class Watched(Checkpoints):
        def read(self, step: int) -> tuple[dict, str, list[str]]:
            found = super().read(step)
            read.append((step, sum(p.stat().st_size for p in self.path(step).iterdir())))
            return found

    checkpoints = Checkpoints(tmp_path, "key", print)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("slipway.model.preflight.Checkpoints", Watched)
        preflight(checkpoints, settings(), TENSORS, World(), print)
    assert [step for step, _ in read] == [0]
    assert read[0][1] >= 12_000
    assert list((tmp_path / "key").iterdir()) == []


def test_too_little_room_is_told_in_numbers(tmp_path: Path) -> None:
    free = shutil.disk_usage(tmp_path).free
    huge = {"model.a": torch.empty(free // 16, dtype=torch.float32, device="meta")}
    with pytest.raises(UserError, match=r"checkpoints and model need [\d,]+ MB and [\d,]+ MB are free.*train\.keep"):
        preflight(Checkpoints(tmp_path, "key", print), settings(), huge, World(), print)


def test_a_run_that_goes_on_needs_less_by_what_it_has_written(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, "key", print)
    checkpoints.begin()
    have = shutil.disk_usage(tmp_path).free
    with open(checkpoints.directory / "held", "wb") as stream:
        stream.truncate(have)  # sparse: a size without blocks
    tensors = {"model.a": torch.empty(have // 20, device="meta")}
    assert have < bytes_needed(settings(keep={"last": 3}), tensors) < 2 * have
    with pytest.raises(NotImplementedError, match="meta"):  # past the question for room: such tensors cannot be written
        preflight(checkpoints, settings(keep={"last": 3}), tensors, World(), print)


def test_a_disk_that_refuses_is_told_and_nothing_is_left(tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (6_000, before[1]))
    try:
        with pytest.raises(UserError, match=r"step 0 could not be written to .*: File too large"):
            preflight(Checkpoints(tmp_path, "key", print), settings(), TENSORS, World(), print)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list((tmp_path / "key").iterdir()) == []
