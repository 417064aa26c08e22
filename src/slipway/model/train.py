"""Training from recipe to model directory: choose the device, build, go on where it stopped, write what is best.

report = train(recipe.train, recipe.seed, places=places, inputs_digest=digest)
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from slipway.errors import UserError
from slipway.files import write_atomic
from slipway.model import device as devices
from slipway.model import parallel
from slipway.model.checkpoint import Checkpoints
from slipway.model.device import Device
from slipway.model.fast import keep_pages
from slipway.model.ledger import Attempt
from slipway.model.load import weights_digest
from slipway.model.loop import iterate, logged
from slipway.model.lora import describe
from slipway.model.objectives import choose
from slipway.model.outcome import gathered, run_key, to_jsonl, write_model
from slipway.model.preflight import preflight
from slipway.model.run import Run, Setting
from slipway.model.start import finished, prepare
from slipway.model.told import Meter, Places, Told, Uncounted
from slipway.records import TrainReport
from slipway.settings import Train


def open_run(settings: Train, seed: int, places: Places, *, key: str, device: Device, told: Told) -> Run:
    """A run at its very start: model on its device, data opened, nothing restored.

    Raises:
        UserError: for whatever in recipe, data, base or machine does not fit.
    """
    torch.set_num_threads(settings.threads)
    torch.use_deterministic_algorithms(settings.deterministic)
    # Every tensor here is written before it is read; filling them first costs time.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    if not device.on_gpu:
        keep_pages()
    world = parallel.join(settings.devices, device)
    objective = choose(settings, seed, places.tokens, places.teacher)
    start = prepare(settings, seed, places.tokens, places.base, device)
    checkpoints = Checkpoints(places.work, key, told.say, settings.keep, world)
    return Run(Setting(settings, seed, device, world, start, objective, checkpoints))


def begin(run: Run, told: Told, *, fresh: bool) -> None:
    """Resume from the newest valid checkpoint, or write that of step 0."""
    checkpoints, world = run.setting.checkpoints, run.setting.world
    checkpoints.begin(fresh=fresh)
    preflight(checkpoints, run.settings, run.tensors(), world, told.say)
    step = run.resume()
    if step is None:
        run.save()
    elif world.first:
        told.say(f"resumed after step {step} of {run.settings.steps}")
        for line in run.state.lines:  # the tracker's run is a new one and has no beginning yet
            told.log(line["step"], logged(line))


def train(
    settings: Train,
    seed: int,
    *,
    places: Places,
    inputs_digest: str,
    name: str = "model",
    fresh: bool = False,
    told: Told | None = None,
) -> TrainReport | None:
    """Train, or go on where an earlier call was killed, and write the best weights.

    Args:
        settings: the section `train` of the recipe.
        seed: of parameters, order and everything else that is random.
        places: where to read and write.
        inputs_digest: names the content of tokens, base and teacher; part of the key of the checkpoints.
        name: of the recipe, for the ledger.
        fresh: train from step 0 even if checkpoints of this very run are there.
        told: where to tell how it goes.

    Returns: the report; None on every rank but the first.

    Raises:
        UserError: for a recipe, data, base or machine that do not fit, a diverged run, a full disk.
    """
    told = told or Told()
    device = devices.choose(settings, parallel.local_rank())
    key = run_key(settings, seed, inputs_digest, device)
    run = open_run(settings, seed, places, key=key, device=device, told=told)
    world = run.setting.world
    try:
        begin(run, told, fresh=fresh)
        peak = devices.matmul_peak(device) * world.size
        with _counted(run, places.ledger, key, name, peak) as meter:
            iterate(run, told, meter, peak)
            return _outcome(run, places, key)
    finally:
        if world.size == 1:
            run.setting.checkpoints.close()
        parallel.leave(world)


@contextmanager
def _counted(run: Run, ledger: Path, key: str, name: str, peak: float) -> Iterator[Meter]:
    """An entry in the ledger for this attempt, however it ends."""
    setting = run.setting
    if not setting.world.first:
        yield Uncounted()  # the first counts for all
        return
    attempt = Attempt.begin(
        ledger, key=key, recipe=name, device=setting.device.name, devices=setting.world.size, peak_flops=peak
    )
    try:
        yield attempt
    except (KeyboardInterrupt, SystemExit):
        attempt.end("interrupted", run.state.step)
        raise
    except BaseException:
        attempt.end("failed", run.state.step)
        raise
    attempt.end("finished", run.state.step)


def _best(run: Run) -> None:
    """Take the weights of the best validation."""
    try:
        run.setting.checkpoints.load(run.state.best_step, run.tensors())
    except ValueError as error:
        raise UserError(
            f"the best weights are lost: {error}; remove {run.setting.checkpoints.directory} and train again, on a "
            "disk you trust"
        ) from None
    if run.average:
        run.average.install()


def _outcome(run: Run, places: Places, key: str) -> TrainReport | None:
    state, world = run.state, run.setting.world
    _best(run)
    whole: dict[str, Any] | None = gathered(run.model, world)
    if not world.first:
        return None
    device, start = run.setting.device, run.setting.start
    if whole is not None and start.adapters is not None:
        # Adapters cannot be merged in parts: into a base of its own, on this rank.
        start = prepare(run.settings, run.setting.seed, places.tokens, places.base, device)
        start.model.load_state_dict(whole, strict=False)
        whole = None
    rows = run.held_out.rows[:8, :-1].to(device.place)
    model, merge_error = finished(start, run.settings, places.base, rows)
    loss = state.best_loss or 0.0
    if run.settings.base_bits:
        loss = run.measure(model)["loss"]  # what was validated was the base in few bits
    parameters = sum(p.numel() for p in model.parameters())
    write_model(model, places.model_out, whole, device.dtype)
    write_atomic(places.log_out, to_jsonl(state.lines))
    run.setting.checkpoints.finish()
    return _report(run, places, key, loss=loss, parameters=parameters, merge_error=merge_error)


def _report(
    run: Run, places: Places, key: str, *, loss: float, parameters: int, merge_error: float | None
) -> TrainReport:
    state, settings, device = run.state, run.settings, run.setting.device
    bits = run.objective.bits_per_byte
    used, why = run.compiled
    return TrainReport(
        objective=settings.objective.kind,
        start=settings.start,
        adapter=describe(settings.adapter) if settings.adapter else None,
        merge_error=merge_error,
        parameters=parameters,
        trained_parameters=sum(p.numel() for p in run.parameters.values()),
        steps=state.step,
        best_step=state.best_step,
        tokens_seen=state.places,
        tokens_learnt=state.learnt,
        stopped_early=state.step < settings.steps,
        train_loss=state.best_train_loss,
        validation_loss=loss,
        gap=loss - state.best_train_loss,
        validation_bits_per_byte=None if bits is None else loss * bits,
        averaged=run.average is not None,
        dtype=str(device.dtype).removeprefix("torch."),
        device=device.name,
        world_size=run.setting.world.size,
        threads=settings.threads,
        faster_layers=tuple(run.faster),
        compiled=f"{'yes' if used else 'no'}: {why}",
        flops_per_token=run.flops.per_token,
        flops=run.flops.per_token * state.places,
        flops_method=run.flops.method,
        checkpoints=tuple(state.chain),
        weights_sha256=weights_digest(places.model_out),
        run_key=key,
    )
