"""What a model learns, a small file each; `choose` takes the one that the recipe names."""

from pathlib import Path

from slipway.model.objectives.base import Batches, Loss, Objective
from slipway.settings import Train

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

    if settings.objective.kind == "distill":
        return Distill(settings, seed, tokens, teacher)
    known: dict[str, type[Pretrain | Sft | Dpo | Simpo]] = {
        "pretrain": Pretrain,
        "sft": Sft,
        "dpo": Dpo,
        "simpo": Simpo,
    }
    return known[settings.objective.kind](settings, seed, tokens)
