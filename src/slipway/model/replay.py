"""Replaying a segment of a recorded run: train between two recorded checkpoints again and compare digests.

The chain of a run is the step and digest of each of its checkpoints; segment k leads from the k-th to the next. A
checkpoint's state holds the chain before it, so equal digests at the end of a segment mean equal weights, optimiser,
log and history up to there. What runs is the code of training itself, in a directory of its own.

    >>> part = segment(recorded.report, 3)
    >>> outcome = replay(recorded, part, start, places, told)
    >>> outcome.equal
    True
"""

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import torch

from slipway import __version__
from slipway.errors import Refusal, UserError
from slipway.files import digests
from slipway.model import device as devices
from slipway.model import parallel
from slipway.model.kept import MANIFEST, check, listed
from slipway.model.load import weights_digest
from slipway.model.loop import iterate
from slipway.model.outcome import LIBRARIES, run_key, write_model
from slipway.model.run import Run
from slipway.model.told import Places, Told, Uncounted, inputs_digest
from slipway.model.train import open_run
from slipway.records import TrainReport
from slipway.settings import Devices, Train


@dataclass(frozen=True)
class Recorded:
    """What a release says of its run."""

    settings: Train
    seed: int
    inputs: Mapping[str, str]
    """Path in the project -> sha256 of every file that the stage read."""
    report: TrainReport
    slipway: str
    """Version of Slipway."""
    libraries: Mapping[str, str]
    """Name -> version of the packages beside it."""


@dataclass(frozen=True)
class Segment:
    """The stretch between two checkpoints of the chain."""

    number: int
    """From 1."""
    start: int
    """Step of the checkpoint that it begins with."""
    start_sha256: str
    end: int
    end_sha256: str

    def __str__(self) -> str:
        return f"segment {self.number}: steps {self.start} to {self.end}"


@dataclass(frozen=True)
class Replayed:
    """What a replay came to."""

    step: int
    """Where digests were compared: the segment's end, or step 0 if the run already begins otherwise."""
    recorded: str
    found: str | None
    """None: the replay wrote no checkpoint there."""
    differences: tuple[str, ...]
    """What equal bits depend on and is another here than on record."""

    @property
    def equal(self) -> bool:
        """Whether the segment gave the recorded digest."""
        return self.found == self.recorded


def count(report: TrainReport) -> int:
    """Number of segments; raises UserError if a run of several processes, or a chain too short, has none to replay."""
    if report.world_size > 1:
        raise UserError(
            f"this run had {report.world_size} processes, and its digests are those of as many parts; a segment of "
            "several processes cannot be replayed yet"
        )
    if len(report.checkpoints) < 2:
        raise UserError("the record names fewer than two checkpoints, so it has no segment to replay")
    return len(report.checkpoints) - 1


def segment(report: TrainReport, number: int) -> Segment:
    """Segment `number` of a run; raises UserError if there is none, and as `count`."""
    if not 1 <= number <= count(report):
        raise UserError(f"segment {number}: this run has segments 1 to {count(report)}; name one of them")
    return Segment(number, *report.checkpoints[number - 1], *report.checkpoints[number])


def compare_inputs(root: Path, recorded: Recorded) -> None:
    """Compare what training reads in the project with what the release was trained on.

    Args:
        root: the project.
        recorded: of the release.

    Raises:
        UserError: naming the first file that is missing, added or another.
    """
    settings = recorded.settings
    folders = ["data/tokens"]
    folders += ["models/base"] if settings.start == "base" else []
    folders += ["models/teacher"] if settings.objective.kind == "distill" else []
    for folder in folders:
        expected = {path: sha for path, sha in recorded.inputs.items() if path.startswith(f"{folder}/")}
        found = digests(root / folder, root) if (root / folder).is_dir() else {}
        for path in sorted(expected.keys() | found.keys() or {folder}):
            here, there = found.get(path, "missing"), expected.get(path, "not there")
            if here != there:
                raise UserError(
                    f"{path}: here it is {here}, and in the release {there}. A replay needs what was trained on: take "
                    "recipe.json and inputs.lock of the release as params.yaml and inputs.lock, make it again with "
                    "`slipway build` (or fetch it with `dvc pull`), and replay there"
                )


def _same_device(recorded: Recorded) -> Train:
    """The recipe, held to the kind of device and the precision that the run had."""
    kind, dtype = recorded.report.device.split()[0], recorded.report.dtype
    computed = f"this run was computed on {recorded.report.device} in {dtype}, and this machine"
    if kind == "cuda" and not torch.cuda.is_available():
        raise UserError(f"{computed} has no GPU that torch can use: not comparable here; replay it on such a GPU")
    if dtype == "bfloat16" and not devices.has_bfloat16(kind):
        raise UserError(f"{computed} does not compute in {dtype}: not comparable here; replay it on one that does")
    devices_of = Devices(kind="cuda" if kind == "cuda" else "cpu")
    return recorded.settings.model_copy(update={"devices": devices_of, "precision": dtype})


def _differences(recorded: Recorded, run: Run) -> tuple[str, ...]:
    """What the bits of a run depend on and differs between record and this process; the recipe's own is the same."""
    here, report = run.setting.device, recorded.report
    facts = {
        "device": (here.name, report.device),
        "dtype": (str(here.dtype).removeprefix("torch."), report.dtype),
        "layers in a form of their own": (", ".join(run.faster), ", ".join(report.faster_layers)),
        "slipway": (__version__, recorded.slipway),
    }
    known = [name for name in LIBRARIES if name in recorded.libraries]
    facts |= {name: (version(name), recorded.libraries[name]) for name in known}
    found = [f"{name}: {mine} here, {theirs} on record" for name, (mine, theirs) in facts.items() if mine != theirs]
    key = run_key(recorded.settings, recorded.seed, inputs_digest(recorded.inputs), here)
    if key != report.run_key and not found:
        found.append(
            f"run key: {key} here, {report.run_key} on record: the code of training is another, or the record is not "
            "one of this recipe"
        )
    if not recorded.settings.deterministic and report.device.startswith("cuda"):
        found.append("deterministic: false in the recipe, so not even the same machine gives equal bits")
    if others := sorted({size for _, size in run.state.worlds} - {1}):
        found.append(f"processes: 1 here, {others[0]} in an earlier part of the run")
    return tuple(found)


def _take(start: Path, part: Segment, before: tuple[tuple[int, str], ...], run: Run) -> None:
    """Go on from a copy of `start`, the last checkpoint of the chain `before`, once every byte has been compared."""
    target = run.setting.checkpoints.path(part.start)
    target.mkdir()
    for file in [start / name for name in (MANIFEST, *listed((start / MANIFEST).read_bytes()))]:
        try:
            os.link(file, target / file.name)
        except OSError:  # another disk
            shutil.copyfile(file, target / file.name)
    try:
        check(target, part.start_sha256)
    except ValueError as error:
        raise UserError(f"{error}; {start} was changed while it was taken") from None
    try:
        run.resume()
    except (ValueError, TypeError) as error:  # other tensors, or another state
        raise UserError(
            f"{start}: as recorded, but this Slipway cannot go on from it ({error}); use the one that made the release"
        ) from None
    # The digests of both ends say nothing of what lies between, unless it is that many steps after that chain.
    if (run.state.step, tuple(run.state.chain)) != (part.start, before):
        raise Refusal(
            f"{start}: has the recorded digest, but says of itself that it is of step {run.state.step} or comes after "
            "another chain than the record's; do not believe this release"
        )


def _check_released(recorded: Recorded, run: Run, places: Places) -> None:
    """At the end of the segment with the best step: the release holds these very weights."""
    if recorded.report.adapter is not None:  # merged weights are no checkpoint's
        return
    if run.average:
        run.average.install()
    write_model(run.model, places.model_out, None, run.setting.device.dtype)
    if (found := weights_digest(places.model_out)) != recorded.report.weights_sha256:
        raise Refusal(
            f"the training is as recorded up to step {recorded.report.best_step}, but its weights have sha256 {found} "
            f"and the release's {recorded.report.weights_sha256}; they were exchanged: do not believe this release"
        )


def replay(recorded: Recorded, part: Segment, start: Path | None, places: Places, told: Told) -> Replayed:
    """Train the segment again and compare.

    Args:
        recorded: what the release says of its run.
        part: the segment.
        start: directory of its first checkpoint; None for segment 1: it is made from seed or base, and compared.
        places: `tokens`, `base` and `teacher` as they were compared; `work` is for this replay alone.
        told: where to tell how it goes.

    Raises:
        UserError: if this machine cannot run it, or the checkpoint is not the recorded one.
        Refusal: if the checkpoint says of itself that it is not of that step and chain, or the segment gives the
            released weights' step and they are others.
    """

    def progress(done: int, _: int, note: str) -> None:
        told.progress(done - part.start, part.end - part.start, note)

    settings = _same_device(recorded)
    run = open_run(settings, recorded.seed, places, key="replay", device=devices.choose(settings), told=told)
    try:
        run.setting.checkpoints.begin(fresh=True)
        if start is None:
            run.save()
            run.settle()
            found = run.state.chain[-1][1]
            if found != part.start_sha256:
                return Replayed(part.start, part.start_sha256, found, _differences(recorded, run))
        else:
            _take(start, part, recorded.report.checkpoints[: part.number], run)
        peak = devices.matmul_peak(run.setting.device)
        iterate(run, Told(told.log, progress, told.say), Uncounted(), peak, until=part.end)
        at_end = dict(run.state.chain).get(part.end)
        if at_end == part.end_sha256 and part.end == recorded.report.best_step:
            _check_released(recorded, run, places)
        return Replayed(part.end, part.end_sha256, at_end, _differences(recorded, run))
    finally:
        parallel.leave(run.setting.world)
