"""Replaying a segment of a run: equal for what was really trained so, and said to be otherwise for all else."""

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from slipway import __version__
from slipway.errors import Refusal, UserError
from slipway.files import digests
from slipway.model import kept
from slipway.model.replay import Recorded, Replayed, compare_inputs, count, replay, segment
from slipway.model.told import Told, inputs_digest
from slipway.model.train import train
from slipway.settings import Train
from tests.model.conftest import places, settings, write_tokens

RECIPE = settings(keep={"every": 4})


def go(root: Path, recipe: Train = RECIPE, seed: int = 7) -> Recorded:
    """Train in the project `root`; what its release would say."""
    write_tokens(root / "data" / "tokens")
    inputs = digests(root / "data", root)
    report = train(recipe, seed, places=places(root, root / "data" / "tokens"), inputs_digest=inputs_digest(inputs))
    assert report is not None
    return Recorded(recipe, seed, inputs, report, __version__, {})


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Recorded]:
    root = tmp_path_factory.mktemp("project")
    return root, go(root)


@pytest.fixture
def again(project: tuple[Path, Recorded], tmp_path: Path) -> Callable[..., Replayed]:
    """Replay segment `number` of what `recorded` says, with the project's own checkpoint."""

    def run(number: int, recorded: Recorded = project[1], told: Told | None = None) -> Replayed:
        root, part = project[0], segment(recorded.report, number)
        start = kept.find([root / "work"], part.start, part.start_sha256)[0] if number > 1 else None
        return replay(recorded, part, start, places(tmp_path, root / "data" / "tokens"), told or Told())

    return run


def test_every_segment_is_equal(project: tuple[Path, Recorded], again: Callable[..., Replayed]) -> None:
    report = project[1].report
    assert [step for step, _ in report.checkpoints] == [0, 4, 6, 8, 12, 16, 18, 20, 24]
    done: list[tuple[int, int]] = []
    told = Told(progress=lambda step, steps, _: done.append((step, steps)))
    for number in range(1, count(report) + 1):
        part = segment(report, number)
        if part.start % 4:
            continue  # of the best validation for a while, and then dropped
        outcome = again(number, told=told)
        assert (outcome.equal, outcome.step, outcome.differences) == (True, part.end, ()), part
    assert done[:4] == [(1, 4), (2, 4), (3, 4), (4, 4)]


@pytest.mark.parametrize(
    "changes", [{"optimizer": "adamw", "average": 0.9, "objective": {"kind": "pretrain"}}, {"validate_every": 5}]
)
def test_of_other_recipes_too(tmp_path: Path, changes: dict) -> None:
    recorded = go(tmp_path, settings(steps=12, keep={"every": 4}, **changes))
    part = next(s for n in range(2, 9) if (s := segment(recorded.report, n)).start == 8)
    start, _ = kept.find([tmp_path / "work"], part.start, part.start_sha256)
    assert replay(recorded, part, start, places(tmp_path / "again", tmp_path / "data" / "tokens"), Told()).equal


def test_a_forged_digest_is_not_equal(project: tuple[Path, Recorded], again: Callable[..., Replayed]) -> None:
    recorded = project[1]
    chain = (*recorded.report.checkpoints[:1], (4, "ab" * 32), *recorded.report.checkpoints[2:])
    forged = dataclasses.replace(recorded, report=recorded.report.model_copy(update={"checkpoints": chain}))
    outcome = again(1, forged)
    assert (outcome.equal, outcome.recorded, outcome.found) == (False, "ab" * 32, recorded.report.checkpoints[1][1])
    assert outcome.differences == ()


def test_exchanged_weights_are_found_in_the_segment_that_ends_at_their_step(
    project: tuple[Path, Recorded], again: Callable[..., Replayed]
) -> None:
    recorded = project[1]
    ends = [segment(recorded.report, number).end for number in range(1, count(recorded.report) + 1)]
    number = ends.index(recorded.report.best_step) + 1
    exchanged = dataclasses.replace(recorded, report=recorded.report.model_copy(update={"weights_sha256": "0" * 64}))
    assert segment(recorded.report, number).start in (0, 4, 8, 12, 16, 20)
    with pytest.raises(Refusal, match="they were exchanged: do not believe this release"):
        again(number, exchanged)
    assert again(1, exchanged).equal  # says nothing of the weights


@pytest.mark.parametrize(("number", "step"), [(1, 0), (2, 6)])
def test_another_seed_is_not_equal(
    project: tuple[Path, Recorded], again: Callable[..., Replayed], number: int, step: int
) -> None:
    outcome = again(number, dataclasses.replace(project[1], seed=8))
    assert (outcome.equal, outcome.step) == (False, step)
    assert "run key" in outcome.differences[0]


def test_what_differs_here_is_named(project: tuple[Path, Recorded], again: Callable[..., Replayed]) -> None:
    report = project[1].report.model_copy(update={"device": "cpu Z80", "world_size": 1})
    recorded = dataclasses.replace(project[1], seed=8, report=report, slipway="0.0.1", libraries={"torch": "1.0"})
    found = again(1, recorded).differences
    assert [line.split(":")[0] for line in found] == ["device", "slipway", "torch"]
    assert found[0].endswith("cpu Z80 on record")


@pytest.mark.parametrize("name", ["model.safetensors", "optimiser.safetensors", "state.json", "manifest.json"])
def test_a_tampered_checkpoint_is_passed_over(project: tuple[Path, Recorded], tmp_path: Path, name: str) -> None:
    root, recorded = project
    step, digest = recorded.report.checkpoints[4]
    path = kept.find([root / "work"], step, digest)[0]
    assert path is not None
    copy = shutil.copytree(path, tmp_path / "given" / path.name)
    assert kept.find([tmp_path / "given"], step, digest) == (copy, [])
    data = bytearray((copy / name).read_bytes())
    data[len(data) // 2] ^= 1
    (copy / name).write_bytes(data)
    found, passed = kept.find([tmp_path / "given"], step, digest)
    assert found is None
    assert f"{copy}" in passed[0]
    with pytest.raises(UserError, match="changed while it was taken"):
        replay(recorded, segment(recorded.report, 5), copy, places(tmp_path, root / "data" / "tokens"), Told())


def test_a_checkpoint_of_another_step_or_chain_than_recorded_is_refused(
    project: tuple[Path, Recorded], again: Callable[..., Replayed]
) -> None:
    chain = project[1].report.checkpoints
    for forged in ((*chain[:3], (10, chain[4][1]), *chain[5:]), (*chain[:2], (6, "ab" * 32), *chain[3:])):
        report = project[1].report.model_copy(update={"checkpoints": forged})
        with pytest.raises(Refusal, match=r"says of itself that it is of step (8|12)"):
            again(4, dataclasses.replace(project[1], report=report))


def test_other_tokens_are_refused_with_the_way_out(project: tuple[Path, Recorded], tmp_path: Path) -> None:
    compare_inputs(*project)
    shutil.copytree(project[0] / "data", tmp_path / "data")
    path = tmp_path / "data" / "tokens" / "train-00000.bin"
    path.write_bytes(path.read_bytes()[:-2] + b"\1\0")
    with pytest.raises(UserError, match=r"train-00000\.bin: here it is [0-9a-f]{64}, .*recipe\.json and inputs\.lock"):
        compare_inputs(tmp_path, project[1])
    shutil.rmtree(tmp_path / "data")
    with pytest.raises(UserError, match="here it is missing"):
        compare_inputs(tmp_path, project[1])
    with pytest.raises(UserError, match="models/base: here it is missing"):
        compare_inputs(project[0], dataclasses.replace(project[1], settings=settings(start="base", architecture=None)))


def test_what_cannot_be_replayed_is_said(project: tuple[Path, Recorded], again: Callable[..., Replayed]) -> None:
    report = project[1].report
    with pytest.raises(UserError, match="segment 9: this run has segments 1 to 8"):
        segment(report, 9)
    with pytest.raises(UserError, match="this run had 8 processes"):
        count(report.model_copy(update={"world_size": 8}))
    with pytest.raises(UserError, match="fewer than two"):
        count(report.model_copy(update={"checkpoints": report.checkpoints[:1]}))
    on_gpu = report.model_copy(update={"device": "cuda NVIDIA H300"})
    with pytest.raises(UserError, match=r"computed on cuda NVIDIA H300 in float32, and .* not comparable here"):
        again(1, dataclasses.replace(project[1], report=on_gpu))


def test_checkpoints_of_the_latest_release_survive_another_training(tmp_path: Path) -> None:
    def kept_runs() -> set[str]:
        return {path.name for path in (tmp_path / "work").iterdir()}

    first, second, third = (settings(steps=4, learning_rate=rate) for rate in (0.01, 0.02, 0.03))
    one = go(tmp_path, first).report
    kept.mark(tmp_path / "work", one.run_key, "tiny")
    two = go(tmp_path, second).report
    assert kept_runs() == {one.run_key, two.run_key}
    kept.mark(tmp_path / "work", two.run_key, "tiny")
    kept.mark(tmp_path / "work", "a run whose checkpoints are elsewhere", "tiny")
    three = go(tmp_path, third).report
    assert kept_runs() == {two.run_key, three.run_key}
    assert kept.find([tmp_path / "work" / two.run_key], *two.checkpoints[-1])[0]
