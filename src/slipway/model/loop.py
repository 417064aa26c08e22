"""The training loop: a step is a pure function of (checkpoint, step number).

Batches and random numbers are derived from (seed, step), the learning rate from the step, and all else
is in the checkpoint. So a run that was killed and resumed equals one that was not, bit for bit, on the
same processor, torch and number of threads. The loop knows no tracker: it hands each line of its log to
a function, together with the speed, which is nowhere in the results.
"""

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from slipway.errors import UserError
from slipway.files import sha256_file, write_atomic
from slipway.model.build import build
from slipway.model.checkpoint import Checkpoints, Snapshot
from slipway.model.data import Batch, Tokens
from slipway.model.loss import make_loss
from slipway.model.optim import Optimisers
from slipway.model.outcome import run_key, to_jsonl, write_model
from slipway.records import TrainReport
from slipway.settings import Train

VALIDATION_TOKENS = 65_536
"""A validation reads about so many tokens, spread over the split, always the same."""
LOG_LINES = 250
"""About so many lines are in the log of a run, each the mean over its steps."""

Log = Callable[[int, dict[str, float]], None]
Progress = Callable[[int, int, str], None]
Say = Callable[[str], None]


@dataclass
class _State:
    """What a checkpoint holds besides tensors; plain JSON."""

    step: int = 0
    best_step: int = 0
    best_loss: float | None = None
    stale: int = 0
    """Validations since the best one."""
    finished: bool = False
    train_loss: float = 0.0
    since_line: list[float] = field(default_factory=list)
    """Losses of the steps since the last line of the log."""
    since_validation: list[float] = field(default_factory=list)
    lines: list[dict[str, Any]] = field(default_factory=list)
    chain: list[tuple[int, str]] = field(default_factory=list)
    """Step and digest of every earlier checkpoint."""


class _Run:
    def __init__(self, settings: Train, seed: int, tokens: Path, checkpoints: Checkpoints) -> None:
        self.settings, self.seed, self.checkpoints = settings, seed, checkpoints
        self.data = Tokens(tokens, "train", settings.sequence_length, seed)
        held_out = Tokens(tokens, "validation", settings.sequence_length, seed)
        self.bits_per_byte = held_out.learnt / max(held_out.learnt_bytes, 1) / math.log(2)
        self.held_out = held_out.sample(max(1, VALIDATION_TOKENS // settings.sequence_length))
        self.model = build(settings.architecture, self.data.vocabulary, self.data.length, seed, self.data.special)
        self.loss = make_loss(self.model)
        self.optimisers = Optimisers(self.model, settings)
        self.state = _State()

    def parameters(self) -> dict[str, torch.Tensor]:
        """Parameters and buffers by name, tied ones once."""
        tensors = {name: p.detach() for name, p in self.model.named_parameters()}
        kept = self.model.state_dict().keys()
        return tensors | {name: b for name, b in self.model.named_buffers() if name in kept}

    @torch.no_grad()
    def restore(self, tensors: dict[str, torch.Tensor]) -> None:
        for name, tensor in self.parameters().items():
            tensor.copy_(tensors[name])

    def save(self) -> None:
        state = self.state
        snapshot = Snapshot(state.step, self.parameters(), self.optimisers.state(), asdict(state))
        digest = self.checkpoints.save(snapshot, state.best_step)
        state.chain.append((state.step, digest))

    def begin(self, say: Say, *, fresh: bool) -> None:
        """Resume from the newest valid checkpoint, or write and read back that of step 0."""
        self.checkpoints.begin(fresh=fresh)
        if found := self.checkpoints.newest():
            snapshot, digest = found
            self.restore(snapshot.model)
            self.optimisers.load(snapshot.optimiser)
            self.state = _State(**snapshot.state)
            self.state.chain = [(step, sha) for step, sha in self.state.chain] + [(snapshot.step, digest)]
            say(f"resumed after step {snapshot.step} of {self.settings.steps}")
        else:
            self.save()
            size = sum(t.nbytes for t in self.parameters().values())
            self.checkpoints.preflight(0, 3 * size)

    def advance(self) -> tuple[float, float]:
        """Forward and backward of the next step; returns loss and norm of the gradient before clipping."""
        state, settings = self.state, self.settings
        state.step += 1
        torch.manual_seed(self.seed * 1_000_003 + state.step)  # for architectures with dropout
        loss = self.loss(*self.data.batch(state.step, settings.batch_size))
        loss.backward()
        norm = float(torch.nn.utils.clip_grad_norm_(self.model.parameters(), settings.clip))
        value = float(loss.detach())
        if not (math.isfinite(value) and math.isfinite(norm)):
            last = self.state.chain[-1][0]
            raise UserError(
                f"step {state.step}: loss {value}, gradient norm {norm}; the run has diverged (last checkpoint: step "
                f"{last}). Lower train.learning_rate and train.matrix_learning_rate, or raise train.warmup_share"
            )
        state.since_line.append(value)
        state.since_validation.append(value)
        return value, norm

    def validate(self) -> float:
        """Mean loss over the held-out rows, nats per token; notes whether it is the best."""
        self.model.eval()
        with torch.inference_mode():
            batches = [Batch(*both) for both in zip(*(part.split(32) for part in self.held_out), strict=True)]
            weights = [batch.learnt / self.settings.sequence_length for batch in batches]  # in full rows
            parts = [float(self.loss(*batch)) * weight for batch, weight in zip(batches, weights, strict=True)]
        self.model.train()
        value, state = sum(parts) / sum(weights), self.state
        if not math.isfinite(value):
            raise UserError(f"step {state.step}: validation loss {value}; lower train.learning_rate")
        if state.best_loss is None or value < state.best_loss:
            state.best_loss, state.best_step, state.stale = value, state.step, 0
        else:
            state.stale += 1
        state.train_loss = sum(state.since_validation) / len(state.since_validation)
        state.since_validation = []
        state.finished = state.step == self.settings.steps or state.stale >= self.settings.patience
        return value

    def line(self, rate: float, norm: float, validation: float | None) -> dict[str, Any]:
        """Add a line to the log."""
        state = self.state
        line = {
            "step": state.step,
            "tokens": state.step * self.settings.batch_size * self.settings.sequence_length,
            "loss": sum(state.since_line) / len(state.since_line),
            "learning_rate": rate,
            "grad_norm": norm,
            "validation_loss": validation,
        }
        state.lines.append(line)
        state.since_line = []
        return line


def _iterate(run: _Run, log: Log, progress: Progress) -> None:
    settings, state = run.settings, run.state
    first, started = state.step, time.perf_counter()
    every = max(1, settings.steps // LOG_LINES)
    run.model.train()
    while not state.finished:
        loss, norm = run.advance()
        rate = run.optimisers.step(state.step)
        due = state.step % settings.validate_every == 0 or state.step == settings.steps
        validation = run.validate() if due else None
        seconds = time.perf_counter() - started
        speed = (state.step - first) * settings.batch_size * settings.sequence_length / seconds
        if due or state.step % every == 0:
            line = run.line(rate, norm, validation)
            values = {name: float(value) for name, value in line.items() if value is not None and name != "step"}
            log(state.step, values | {"tokens_per_second": speed})
        if state.finished or state.step % settings.checkpoint_every == 0 or state.best_step == state.step:
            run.save()
        left = (settings.steps - state.step) * seconds / (state.step - first)
        note = f"loss {loss:.3f}, {speed:,.0f} tokens/s, {left:.0f} s left"
        progress(state.step, settings.steps, note)


def _best(checkpoints: Checkpoints, step: int) -> dict[str, torch.Tensor]:
    try:
        return checkpoints.load(step)[0].model
    except ValueError as error:
        raise UserError(
            f"the best weights are lost: {error}; remove {checkpoints.directory} and train again, on a disk you trust"
        ) from None


def train(
    settings: Train,
    seed: int,
    *,
    tokens: Path,
    tokens_digest: str,
    model_out: Path,
    log_out: Path,
    work: Path,
    fresh: bool = False,
    log: Log = lambda _step, _values: None,
    progress: Progress = lambda _done, _total, _note: None,
    say: Say = lambda _text: None,
) -> TrainReport:
    """Train, or go on where an earlier call was killed, and write the best weights.

    Args:
        settings: the section `train` of the recipe.
        seed: of parameters, order and everything else that is random.
        tokens: directory with `index.json` and the packed splits.
        tokens_digest: names the content of `tokens`; part of the key of the checkpoints.
        model_out: Hugging Face directory to write: config, generation config, safetensors.
        log_out: file for the log, JSON lines.
        work: directory for checkpoints.
        fresh: train from step 0 even if checkpoints of this very run are there.
        log: gets (step, values) for each line of the log, with `tokens_per_second`.
        progress: gets (steps done, steps, a note for people).
        say: gets a sentence when something is resumed or passed over.

    Raises:
        UserError: for a wrong architecture, too few tokens, a diverged run, a full disk.
    """
    torch.set_num_threads(settings.threads)
    torch.use_deterministic_algorithms(True)
    # Every tensor here is written before it is read; filling them first costs time.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    checkpoints = Checkpoints(work, run_key(settings, seed, tokens_digest), say)
    run = _Run(settings, seed, tokens, checkpoints)
    run.begin(say, fresh=fresh)
    _iterate(run, log, progress)
    state = run.state
    run.restore(_best(checkpoints, state.best_step))
    write_model(run.model, model_out)
    write_atomic(log_out, to_jsonl(state.lines))
    checkpoints.finish()
    loss = state.best_loss or 0.0
    return TrainReport(
        parameters=sum(p.numel() for p in run.model.parameters()),
        steps=state.step,
        best_step=state.best_step,
        tokens_seen=state.step * settings.batch_size * settings.sequence_length,
        stopped_early=state.step < settings.steps,
        train_loss=state.train_loss,
        validation_loss=loss,
        validation_bits_per_byte=loss * run.bits_per_byte,
        dtype="float32",
        threads=settings.threads,
        checkpoints=tuple(state.chain),
        weights_sha256=sha256_file(model_out / "model.safetensors"),
    )
