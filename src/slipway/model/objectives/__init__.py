"""What a model learns, a small file each; `choose` takes the one that the recipe names."""

from pathlib import Path

from slipway.model.objectives.base import Batches, Loss, Objective
from slipway.settings import Train
from slipway.settings import objective as wanted

__all__ = ["Batches", "Loss", "Objective", "choose"]


def choose(settings: Train, seed: int, tokens: Path, teacher: Path) -> Objective:
    """The objective of a recipe, with its data opened.

    Raises:
        UserError: if the data is of another kind than the objective learns from.
    """
    from slipway.model.objectives.distill import Distill
    from slipway.model.objectives.dpo import Dpo
    from slipway.model.objectives.pretrain import Pretrain
    from slipway.model.objectives.sft import Sft
    from slipway.model.objectives.simpo import Simpo

    match settings.objective:
        case wanted.Distill() as objective:
            return Distill(settings, objective, seed, tokens=tokens, teacher=teacher)
        case wanted.Dpo() as objective:
            return Dpo(settings, objective, seed, tokens)
        case wanted.Simpo() as objective:
            return Simpo(settings, objective, seed, tokens)
        case wanted.Sft():
            return Sft(settings, seed, tokens)
    return Pretrain(settings, seed, tokens)
