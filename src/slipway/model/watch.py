"""Something is wrong with a run: NaN, a spike, or a loss that rises for good. It is said with the step's documents.

Judged on the loss of the steps alone, which the checkpoint holds, so a resumed run stops where a straight one does.
"""

import math
import statistics
from collections.abc import Callable

from slipway.errors import UserError
from slipway.settings import Watch

LEAST_SPIKE = 0.5
"""Nats: smaller jumps of a very even loss are no spikes."""
SHOWN = 12
"""Documents that a message lists."""


def _named(documents: list[str]) -> str:
    more = f" and {len(documents) - SHOWN} more" if len(documents) > SHOWN else ""
    return ", ".join(documents[:SHOWN]) + more


def check(
    settings: Watch,
    losses: list[float],
    *,
    step: int,
    norm: float,
    saved: int,
    lowest: float | None,
    documents: Callable[[], list[str]],
) -> float | None:
    """Look at the newest loss; returns the lowest mean of a full window so far.

    Args:
        settings: bounds.
        losses: of the last steps, the newest at the end; at most a window and one.
        step: the newest step.
        norm: of its gradient, before clipping.
        saved: step of the last checkpoint.
        lowest: what the call before returned.
        documents: ids of the documents in the step; asked only if something is wrong.

    Raises:
        UserError: saying what is wrong, on which documents, and what to do.
    """
    loss, before = losses[-1], losses[:-1]
    where = f"step {step}: loss {loss:.4g}, gradient norm {norm:.4g}"
    if not (math.isfinite(loss) and math.isfinite(norm)):
        raise UserError(
            f"{where}; the run has diverged (last checkpoint: step {saved}). Lower train.learning_rate and "
            f"train.matrix_learning_rate, or raise train.warmup_share. Documents of this step: {_named(documents())}"
        )
    if len(before) < settings.window:
        return lowest
    mean, spread = statistics.fmean(before), statistics.pstdev(before)
    bound = mean + max(settings.spike * spread, LEAST_SPIKE)
    if loss > bound:
        raise UserError(
            f"{where}; a spike: the mean of the last {settings.window} steps is {mean:.4g}, and more than {bound:.4g} "
            f"is out of the ordinary. Look at the documents of this step, and leave out what is broken: "
            f"{_named(documents())}. Or raise train.watch.spike ({settings.spike:g})"
        )
    lowest = mean if lowest is None else min(lowest, mean)
    if mean > lowest + settings.divergence:
        raise UserError(
            f"{where}; the run diverges: the mean of the last {settings.window} steps is {mean:.4g} and was "
            f"{lowest:.4g} (last checkpoint: step {saved}). Lower train.learning_rate, or raise train.watch.divergence "
            f"({settings.divergence:g}). Documents of this step: {_named(documents())}"
        )
    return lowest
