"""Checkpoints are whole or absent, kept by the policy, and damage is noticed."""

import os
import resource
from pathlib import Path
from typing import Any

import pytest
import torch

from slipway.errors import UserError
from slipway.files import sha256_file
from slipway.model.checkpoint import Checkpoints
from slipway.settings import Keep


def tensors(value: float = 0.0) -> dict[str, torch.Tensor]:
    return {"model.a": torch.full((3,), value), "optimiser.a.momentum": torch.full((2, 2), value)}


def save(checkpoints: Checkpoints, step: int, best_step: int = 0, **state: Any) -> str:
    """Save and wait; returns the digest."""
    checkpoints.settle()
    checkpoints.save(step, tensors(step), {"step": step} | state, best_step)
    done = checkpoints.settle()
    assert done is not None
    assert done[0] == step
    return done[1]


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def checkpoints(tmp_path: Path, said: list[str]) -> Checkpoints:
    made = Checkpoints(tmp_path, "key", said.append)
    made.begin()
    return made


def test_what_is_saved_is_loaded(checkpoints: Checkpoints) -> None:
    digest = save(checkpoints, 5)
    into = tensors()
    kept = list(into.values())
    assert checkpoints.load(5, into) == ({"step": 5}, digest)
    assert all(torch.equal(tensor, tensors(5)[name]) for name, tensor in into.items())
    assert all(one is other for one, other in zip(kept, into.values(), strict=True))  # filled where they are


def test_what_is_saved_is_a_copy_of_that_moment(checkpoints: Checkpoints) -> None:
    current = {"model.a": torch.zeros(300_000)}
    checkpoints.save(5, current, {}, 5)
    current["model.a"].fill_(1.0)
    checkpoints.settle()
    checkpoints.load(5, current)
    assert not current["model.a"].any()


def test_the_digest_is_that_of_the_manifest_and_equal_for_equal_content(tmp_path: Path) -> None:
    one, other = Checkpoints(tmp_path, "a", print), Checkpoints(tmp_path, "b", print)
    assert save(one, 5) == save(other, 5) == sha256_file(one.path(5) / "manifest.json")
    assert save(one, 6) != save(other, 6, lines=[1])


@pytest.mark.parametrize("name", ["model.safetensors", "optimiser.safetensors", "state.json", "manifest.json"])
@pytest.mark.parametrize("harm", ["flip", "truncate", "remove", "empty"])
def test_any_damage_is_found_and_passed_over(checkpoints: Checkpoints, said: list[str], name: str, harm: str) -> None:
    for step in (4, 8):
        save(checkpoints, step, best_step=4)
    path = checkpoints.path(8) / name
    data = path.read_bytes()
    if harm == "remove":
        path.unlink()
    else:
        changed = {"truncate": data[:-3], "empty": b"", "flip": bytes([data[0] ^ 1]) + data[1:]}
        path.write_bytes(changed[harm])
    into = tensors()
    found = checkpoints.newest(into)
    assert found is not None
    assert found[:2] == (4, {"step": 4})
    assert torch.equal(into["model.a"], torch.full((3,), 4.0))
    assert said[0].startswith("checkpoint passed over: step-000008")
    save(checkpoints, 8, best_step=4)
    assert checkpoints.load(8, into)[0] == {"step": 8}


def test_nothing_valid_means_none(checkpoints: Checkpoints, said: list[str]) -> None:
    assert checkpoints.newest(tensors()) is None
    checkpoints.path(3).mkdir()
    (checkpoints.directory / ".partial-000004").mkdir()
    assert checkpoints.newest(tensors()) is None
    assert said == ["checkpoint passed over: step-000003 cannot be read: " + said[0].split("read: ")[1]]


@pytest.mark.parametrize(
    ("into", "message"),
    [
        ({"model.a": torch.zeros(3)}, "`optimiser.a.momentum` is not a tensor of this run"),
        (tensors() | {"model.b": torch.zeros(1)}, "`model.b` is missing"),
        (tensors() | {"model.a": torch.zeros(4)}, "`model.a` is not a tensor of this run"),
    ],
)
def test_tensors_of_another_run_are_not_taken(checkpoints: Checkpoints, into: dict, message: str) -> None:
    save(checkpoints, 5)
    with pytest.raises(ValueError, match=message):
        checkpoints.load(5, into)


@pytest.mark.parametrize(
    ("keep", "kept"),
    [
        (Keep(), [6, 18, 20]),
        (Keep(last=1), [6, 20]),
        (Keep(last=4), [6, 14, 16, 18, 20]),
        (Keep(every=8), [0, 6, 8, 16, 18, 20]),
    ],
)
def test_the_last_the_best_and_every_nth_stay(tmp_path: Path, keep: Keep, kept: list[int]) -> None:
    checkpoints = Checkpoints(tmp_path, "key", print, keep)
    for step in range(0, 21, 2):
        save(checkpoints, step, best_step=min(step, 6))
    assert checkpoints.steps() == kept


def test_beginning_removes_leftovers_and_afresh_everything(checkpoints: Checkpoints) -> None:
    save(checkpoints, 4)
    (checkpoints.directory / ".partial-000008").mkdir()
    (checkpoints.directory / ".partial-000008" / "model.safetensors").write_bytes(b"half")
    checkpoints.begin()
    assert [path.name for path in checkpoints.directory.iterdir()] == ["step-000004"]
    checkpoints.begin(fresh=True)
    assert list(checkpoints.directory.iterdir()) == []


def test_a_finished_run_drops_those_of_others(checkpoints: Checkpoints, tmp_path: Path) -> None:
    other = Checkpoints(tmp_path, "other", print)
    save(other, 3)
    save(checkpoints, 4)
    checkpoints.finish()
    assert checkpoints.steps() == [4]
    assert not other.directory.exists()


def test_a_directory_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("in the way")
    with pytest.raises(UserError, match=r"step 5 could not be written to .*key.*there is no earlier one"):
        save(Checkpoints(tmp_path, "key", print), 5)


def test_a_write_that_fails_in_the_background_is_told_and_the_last_one_stays(checkpoints: Checkpoints) -> None:
    save(checkpoints, 4)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, before[1]))
    try:
        checkpoints.save(8, {"model.a": torch.zeros(100_000)}, {}, 8)
        while not checkpoints.failed():
            os.sched_yield()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    with pytest.raises(UserError, match=r"step 8 could not .*File too large; the checkpoint of step 4 is whole. Free"):
        checkpoints.settle()
    assert not checkpoints.failed()
    assert [path.name for path in checkpoints.directory.iterdir()] == ["step-000004"]
    assert save(checkpoints, 8)


def test_damaged_newer_ones_do_not_push_out_what_is_whole(tmp_path: Path, said: list[str]) -> None:
    made = Checkpoints(tmp_path, "key", said.append, Keep(last=1))
    made.begin()
    for step in (20, 30):
        save(made, step, best_step=30)
        (made.path(step) / "state.json").unlink()
    save(made, 10)
    assert made.newest(tensors()) is not None
    assert 10 in made.steps()
