"""The training loop: a step is a pure function of (checkpoint, step number).

Batches and random numbers are derived from (seed, step), the learning rate from the step, and all else
is in the checkpoint. So a run that was killed and resumed equals one that was not, bit for bit, on the
same kind of device, torch and number of threads and ranks. The loop knows no tracker and no objective: it hands
each line of its log to a function, together with the speed, which is nowhere in the results.
"""

import time
from dataclasses import dataclass
from typing import Any

from slipway.model.run import Run
from slipway.model.told import Meter, Told

LOG_LINES = 250
"""About so many lines are in the log of a run, each the mean over its steps."""


def _line(run: Run, rate: float, norm: float, found: dict[str, float] | None) -> dict[str, Any]:
    """Add a line to the log."""
    state = run.state
    line = {
        "step": state.step,
        "tokens": state.places,
        "loss": sum(state.since_line) / len(state.since_line),
        "learning_rate": rate,
        "grad_norm": norm,
        "validation_loss": None,
    }
    line |= {f"validation_{name}": value for name, value in (found or {}).items()}
    state.lines.append(line)
    state.since_line = []
    return line


def logged(line: dict[str, Any]) -> dict[str, float]:
    """The figures of a line of the log."""
    return {name: float(value) for name, value in line.items() if value is not None and name != "step"}


@dataclass
class _Speed:
    """How fast it goes since this process began to train."""

    flops_per_token: int
    peak: float
    first: int
    last: int
    places: int
    began: float

    def now(self, run: Run) -> tuple[float, float, float]:
        """Tokens per second, share of the measured peak, seconds left."""
        seconds = time.perf_counter() - self.began
        speed = (run.state.places - self.places) / seconds
        left = (self.last - run.state.step) * seconds / (run.state.step - self.first)
        return speed, speed * self.flops_per_token / self.peak, left


def iterate(run: Run, told: Told, meter: Meter, peak: float, until: int | None = None) -> None:
    """Train until the recipe's end, an early stop, or step `until`.

    Args:
        run: where to go on from.
        told: where to tell how it goes.
        meter: counts tokens and arithmetic.
        peak: FLOP/s of matrix products, measured, of all devices.
        until: step to stop at.
    """
    settings, state = run.settings, run.state
    every = max(1, settings.steps // LOG_LINES)
    last = settings.steps if until is None else until
    clock = _Speed(run.flops.per_token, peak, state.step, last, state.places, time.perf_counter())
    while not state.finished and state.step < last:
        before = state.places
        loss, norm = run.advance()
        rate = run.update()
        meter.add(state.places - before, (state.places - before) * run.flops.per_token)
        due = state.step % settings.validate_every == 0 or state.step == settings.steps
        found = run.validate() if due else None
        speed, share, left = clock.now(run)
        if due or state.step % every == 0:
            line = _line(run, rate, norm, found)
            told.log(state.step, logged(line) | {"tokens_per_second": speed, "mfu": share})
        if state.finished or state.step % settings.checkpoint_every == 0 or state.best_step == state.step:
            run.save()
        elif run.setting.checkpoints.failed():
            run.settle()
        note = f"loss {loss:.3f}, {speed:,.0f} tokens/s, MFU {share:.0%}, {left:.0f} s left"
        told.progress(state.step, last, note)
    run.settle()
