"""How the next token is chosen from a model's distribution: the most probable one, or drawn from a given number.

A drawn token inverts the cumulative sum at a number of [0, 1) that the caller gives, so that a sample depends on
nothing but its own row: not on its neighbours, not on the state of a generator.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch


@dataclass(frozen=True)
class Sampling:
    """What a token is drawn from: all of the distribution at `temperature`, or its most probable part."""

    temperature: float = 1.0
    top_k: int | None = None
    """So many most probable tokens."""
    top_p: float | None = None
    """The fewest most probable tokens that hold this share."""

    def probabilities(self, logits: torch.Tensor) -> torch.Tensor:
        """Of every token, (rows, vocabulary) in float64; tokens that are left out have 0."""
        logits = logits.double() / self.temperature
        if self.top_k is not None and self.top_k < logits.shape[-1]:
            least = logits.topk(self.top_k).values[:, -1:]
            logits = logits.masked_fill(logits < least, -torch.inf)
        found = logits.softmax(-1)
        if self.top_p is not None:
            sorted_, order = found.sort(-1, descending=True)
            left_out = sorted_.cumsum(-1) - sorted_ >= self.top_p
            left_out[:, 0] = False
            found = found.masked_fill(left_out.scatter(-1, order, left_out), 0)
        return found


def choose(logits: torch.Tensor, uniforms: np.ndarray | None, sampling: Sampling) -> tuple[np.ndarray, bool]:
    """The next token of each row, and whether all of their logits are numbers.

    Args:
        logits: (rows, vocabulary).
        uniforms: a number of [0, 1) per row; None for the most probable token.
        sampling: what is drawn from; unused without `uniforms`.
    """
    if uniforms is None:
        best, chosen = logits.max(-1)
        return chosen.cpu().numpy(), bool(torch.isfinite(best).all())
    cumulative = sampling.probabilities(logits).cumsum(-1)
    drawn = torch.from_numpy(uniforms).to(cumulative) * cumulative[:, -1]
    chosen = torch.searchsorted(cumulative, drawn[:, None], right=True)[:, 0]
    return chosen.cpu().numpy(), bool(torch.isfinite(cumulative[:, -1]).all())


class Stops:
    """Texts at which a generation ends."""

    def __init__(self, texts: Sequence[str], tokenizer: object) -> None:
        self.texts, self.tokenizer = [text for text in texts if text], tokenizer
        encoded = tokenizer(self.texts, add_special_tokens=False)["input_ids"] if self.texts else []  # type: ignore[operator]
        # Two more than its own, for a text can be made of other tokens than those that the tokenizer makes of it.
        self.tail = max(map(len, encoded), default=0) + 2

    def met(self, tokens: Sequence[int]) -> bool:
        """Whether the last tokens complete one of the texts."""
        if not self.texts:
            return False
        end = self.tokenizer.decode(list(tokens[-self.tail :]))  # type: ignore[attr-defined]
        return any(text in end for text in self.texts)
