"""One training run: model, objective, optimisers and state, and the verbs of the loop on them."""

import math
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import nn
from torch.distributed.tensor import DTensor

from slipway.errors import UserError
from slipway.model import watch
from slipway.model.averaging import Average
from slipway.model.checkpoint import Checkpoints, Tensors
from slipway.model.device import Device, compiles
from slipway.model.fast import speed_up
from slipway.model.flops import Flops, count
from slipway.model.forward import Forward
from slipway.model.objectives import Loss, Objective
from slipway.model.optim import Optimisers
from slipway.model.parallel import World, shard
from slipway.model.start import Start
from slipway.model.state import State, restored
from slipway.settings import Train

VALIDATION_TOKENS = 65_536
"""A validation reads about so many tokens, spread over the split, always the same."""


@dataclass(frozen=True)
class Setting:
    """What a run is made of; nothing in it changes."""

    settings: Train
    seed: int
    device: Device
    world: World
    start: Start
    objective: Objective
    checkpoints: Checkpoints


class Learner(nn.Module):
    """Model and objective as one module, so that sharding sees the output head used inside its forward pass."""

    def __init__(self, forward: Forward, objective: Objective) -> None:
        super().__init__()
        self.model = forward.model
        self._ask, self._objective = forward, objective

    def forward(self, batch: Any, divisor: float) -> Loss:
        """The loss of a batch."""
        return self._objective.loss(self._ask, batch, divisor)


class Run:
    """A run between two steps."""

    def __init__(self, setting: Setting) -> None:
        settings, device = setting.settings, setting.device
        self.setting, self.settings, self.state = setting, settings, State()
        self.model, self.objective = setting.start.model, setting.objective
        self.faster = speed_up(self.model)
        forward = Forward(self.model)
        with self.computing():
            self.objective.begin(forward, device.place)
        rows = max(1, VALIDATION_TOKENS // settings.sequence_length)
        self.held_out = self.objective.held_out.sample(rows)
        self.learner = Learner(forward, self.objective).train()
        self.flops: Flops = count(self.learner, self.objective.held_out.sample(1).to(device.place), self.computing)
        places = settings.steps * settings.batch_size * settings.sequence_length
        self.compiled = compiles(settings, device, self.flops.per_token * places)
        if self.compiled[0]:
            self.model.compile()
        shard(self.learner, setting.world, device)
        self.parameters = {name: p for name, p in self.model.named_parameters() if p.requires_grad}
        self.optimisers = Optimisers(self.model, settings)
        self.average = Average(self.parameters, settings.average) if settings.average else None

    @contextmanager
    def computing(self) -> Iterator[None]:
        """In the run's precision; sharding brings its own."""
        device = self.setting.device
        half = device.dtype != torch.float32 and self.setting.world.size == 1
        with torch.autocast(device.place.type, device.dtype) if half else nullcontext():
            yield

    def tensors(self) -> Tensors:
        """All that a checkpoint holds, by name; the very tensors, to be read or overwritten."""
        kept = self.model.state_dict().keys() if self.setting.start.adapters is None else ()
        found: Tensors = {f"model.{name}": p.detach() for name, p in self.parameters.items()}
        found |= {f"model.{name}": buffer for name, buffer in self.model.named_buffers() if name in kept}
        found |= {f"optimiser.{name}": tensor for name, tensor in self.optimisers.state().items()}
        if self.average:
            found |= {f"average.{name}": tensor for name, tensor in self.average.tensors.items()}
        return found

    def save(self) -> None:
        """Write a checkpoint in the background, once the one before it is on disk."""
        self.settle()
        self.setting.checkpoints.save(self.state.step, self.tensors(), asdict(self.state), self.state.best_step)

    def settle(self) -> None:
        """Wait for the checkpoint that is being written and put it in the chain."""
        if done := self.setting.checkpoints.settle():
            self.state.chain.append(done)

    def resume(self) -> int | None:
        """Go on from the newest valid checkpoint: its step, or None if there is none."""
        found = self.setting.checkpoints.newest(self.tensors())
        if found is None:
            return None
        step, values, digest = found
        self.state = restored(values)
        self.state.chain.append((step, digest))
        return step

    def advance(self) -> tuple[float, float]:
        """Forward and backward of the next step; returns loss and norm of the gradient before clipping."""
        state, settings, world = self.state, self.settings, self.setting.world
        state.step += 1
        torch.manual_seed(self.setting.seed * 1_000_003 + state.step)  # for architectures with dropout
        if not state.worlds or state.worlds[-1][1] != world.size:
            state.worlds.append((state.step, world.size))
        share = settings.batch_size // world.size
        part = slice(world.rank * share, (world.rank + 1) * share)
        batch = self.objective.train.batch(state.step, settings.batch_size, part)
        device = self.setting.device.place
        units, learnt, places = world.sums([batch.units, batch.learnt, batch.places], device)
        value = torch.zeros((), device=device)
        for micro in batch.split(settings.micro_batch_size or share):
            with self.computing():
                # Gradients are averaged over ranks, and the loss is a mean over all of them.
                loss = self.learner(micro.to(device), max(units, 1) / world.size).value
            loss.backward()
            value += loss.detach()
        norm = _number(nn.utils.clip_grad_norm_(self.parameters.values(), settings.clip))
        total = world.sums([float(value)], device)[0] / world.size
        self._note(total, norm, int(learnt), int(places))
        return total, norm

    def _note(self, loss: float, norm: float, learnt: int, places: int) -> None:
        state, settings = self.state, self.settings
        state.learnt += learnt
        state.places += places
        state.recent.append(loss)
        state.lowest = watch.check(
            settings.watch,
            state.recent,
            step=state.step,
            norm=norm,
            saved=state.chain[-1][0] if state.chain else 0,
            lowest=state.lowest,
            documents=self._documents,
        )
        state.recent = state.recent[-settings.watch.window :]
        state.since_line.append(loss)
        state.since_validation.append(loss)

    def _documents(self) -> list[str]:
        try:
            return self.objective.train.documents(self.state.step, self.settings.batch_size)
        except UserError as error:  # what stops the run matters more than their names
            return [f"not known ({error})"]

    def update(self) -> float:
        """Let the optimisers take the step; returns the learning rate."""
        rate = self.optimisers.step(self.state.step)
        if self.average:
            self.average.update(self.state.step)
        return rate

    def validate(self) -> dict[str, float]:
        """Loss and other measures on the held-out sample, means per unit; notes whether the loss is the best."""
        state, found = self.state, self.measure()
        value = found["loss"]
        if not math.isfinite(value):
            raise UserError(f"step {state.step}: validation loss {value}; lower train.learning_rate")
        trained = sum(state.since_validation) / len(state.since_validation)
        state.since_validation = []
        if state.best_loss is None or value < state.best_loss:
            state.best_loss, state.best_step, state.stale, state.best_train_loss = value, state.step, 0, trained
        else:
            state.stale += 1
        state.finished = state.step == self.settings.steps or state.stale >= self.settings.patience
        return found

    @torch.no_grad()
    def measure(self, model: Any = None) -> dict[str, float]:
        """`loss` and the objective's other measures on the held-out sample, means per unit.

        Args:
            model: another than the one that is trained, e.g. merged.
        """
        world, device = self.setting.world, self.setting.device.place
        size = self.settings.micro_batch_size or 32
        batches = self.held_out.split(size)
        units = sum(batch.units for batch in batches)
        sums: dict[str, float] = {"loss": 0.0}
        learner = self.learner if model is None else Learner(Forward(model), self.objective)
        learner.eval()
        averaged = self.average.applied() if self.average and model is None else nullcontext()
        # Sharded layers are gathered by all ranks together, so each does every batch; the sample is small.
        with averaged, self.computing():
            for batch in batches:
                loss = learner(batch.to(device), 1.0)
                for name, value in {"loss": loss.value, **loss.sums}.items():
                    sums[name] = sums.get(name, 0.0) + float(value)
        if world.size > 1 and model is None:
            learner.reshard()  # type: ignore[operator]  # or the next step begins with the gathered average
        learner.train()
        return {name: world.told(total) / units for name, total in sums.items()}


def _number(norm: Any) -> float:
    return float(norm.full_tensor() if isinstance(norm, DTensor) else norm)
