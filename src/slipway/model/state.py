"""What a checkpoint holds besides tensors: plain JSON, from which training goes on as if nothing had happened."""

from dataclasses import dataclass, field
from typing import Any


@dataclass
class State:
    """Where a run is."""

    step: int = 0
    best_step: int = 0
    best_loss: float | None = None
    best_train_loss: float = 0.0
    """Mean over the interval before the best validation."""
    stale: int = 0
    """Validations since the best one."""
    finished: bool = False
    learnt: int = 0
    """Tokens that counted in the loss so far."""
    places: int = 0
    """Places that were computed so far."""
    since_line: list[float] = field(default_factory=list)
    """Losses of the steps since the last line of the log."""
    since_validation: list[float] = field(default_factory=list)
    recent: list[float] = field(default_factory=list)
    """Losses that the watch compares with."""
    lowest: float | None = None
    """Lowest mean of a full window of the watch."""
    lines: list[dict[str, Any]] = field(default_factory=list)
    """The log so far."""
    worlds: list[tuple[int, int]] = field(default_factory=list)
    """(first step, number of processes) each time that number changed."""
    chain: list[tuple[int, str]] = field(default_factory=list)
    """Step and digest of every earlier checkpoint."""


def restored(values: dict[str, Any]) -> State:
    """The state that a checkpoint's JSON holds."""
    state = State(**values)
    state.chain = [(step, digest) for step, digest in state.chain]
    state.worlds = [(step, size) for step, size in state.worlds]
    return state
