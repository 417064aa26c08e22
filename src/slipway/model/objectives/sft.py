"""Supervised fine-tuning: the assistant's turns and completions, each conversation on its own."""

from pathlib import Path

from slipway.errors import UserError
from slipway.model.objectives.pretrain import Pretrain
from slipway.settings import Train


class Sft(Pretrain):
    """Next-token prediction of answers; what people said is read and not learnt."""

    def __init__(self, settings: Train, seed: int, tokens: Path) -> None:
        super().__init__(settings, seed, tokens)
        if self.train.learnt == self.train.tokens:
            raise UserError(
                f"{tokens}: every token of train counts in the loss, so there are no answers to questions in it; add a "
                "source of conversations or completions, or set train.objective to {kind: pretrain}"
            )
