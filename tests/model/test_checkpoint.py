"""Checkpoints are whole or absent, and damage is noticed."""

import shutil
from pathlib import Path

import pytest
import torch

from slipway.errors import UserError
from slipway.model.checkpoint import Checkpoints, Snapshot


def snapshot(step: int) -> Snapshot:
    return Snapshot(step, {"a": torch.full((3,), float(step))}, {"0.0.m": torch.ones(2, 2)}, {"step": step})


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def checkpoints(tmp_path: Path, said: list[str]) -> Checkpoints:
    made = Checkpoints(tmp_path, "key", said.append)
    made.begin()
    return made


def test_what_is_saved_is_loaded(checkpoints: Checkpoints) -> None:
    digest = checkpoints.save(snapshot(5), best_step=5)
    found, same = checkpoints.load(5)
    assert same == digest
    assert (found.step, found.state) == (5, {"step": 5})
    assert torch.equal(found.model["a"], torch.full((3,), 5.0))
    assert torch.equal(found.optimiser["0.0.m"], torch.ones(2, 2))


def test_equal_content_gives_equal_digests(tmp_path: Path) -> None:
    one, other = Checkpoints(tmp_path, "a", print), Checkpoints(tmp_path, "b", print)
    assert one.save(snapshot(5), 5) == other.save(snapshot(5), 5) != other.save(snapshot(6), 5)


@pytest.mark.parametrize("name", ["model.safetensors", "optimiser.safetensors", "state.json", "manifest.json"])
@pytest.mark.parametrize("harm", ["flip", "truncate", "remove"])
def test_any_damage_is_found_and_passed_over(checkpoints: Checkpoints, said: list[str], name: str, harm: str) -> None:
    for step in (4, 8):
        checkpoints.save(snapshot(step), best_step=4)
    path = checkpoints.path(8) / name
    data = path.read_bytes()
    if harm == "remove":
        path.unlink()
    else:
        path.write_bytes(data[:-3] if harm == "truncate" else bytes([data[0] ^ 1]) + data[1:])
    found = checkpoints.newest()
    assert found is not None
    assert found[0].step == 4
    assert "step-000008" in said[0]
    assert checkpoints.save(snapshot(8), best_step=4)
    assert checkpoints.load(8)[0].step == 8


def test_nothing_valid_means_none(checkpoints: Checkpoints) -> None:
    assert checkpoints.newest() is None
    checkpoints.path(3).mkdir()
    assert checkpoints.newest() is None


def test_a_directory_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("in the way")
    with pytest.raises(UserError, match=r"step 5 could not be written to .*key.*there is no earlier one"):
        Checkpoints(tmp_path, "key", print).save(snapshot(5), 5)


def test_a_disk_with_too_little_room_is_named_before_training(checkpoints: Checkpoints, tmp_path: Path) -> None:
    checkpoints.save(snapshot(0), 0)
    checkpoints.preflight(0, 1000)
    free = shutil.disk_usage(tmp_path).free
    with pytest.raises(UserError, match=r"checkpoints need \d+ MB and \d+ MB are free"):
        checkpoints.preflight(0, free)
    with pytest.raises(UserError, match="cannot be read back"):
        checkpoints.preflight(1, 1000)
