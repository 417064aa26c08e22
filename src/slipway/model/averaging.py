"""An exponential moving average of the weights, for validation and release (Polyak and Juditsky, 1992)."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


class Average:
    """The average of the parameters that are trained."""

    def __init__(self, parameters: dict[str, nn.Parameter], decay: float) -> None:
        self._decay = decay
        self._parameters = list(parameters.values())
        self.tensors = {name: parameter.detach().clone() for name, parameter in parameters.items()}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights after `step`; early steps weigh more, so that the start is soon forgotten."""
        decay = min(self._decay, step / (step + 10))
        torch._foreach_lerp_(list(self.tensors.values()), [p.detach() for p in self._parameters], 1 - decay)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """While entered, the model computes with the average."""
        kept = [parameter.detach().clone() for parameter in self._parameters]
        self._put(list(self.tensors.values()))
        try:
            yield
        finally:
            self._put(kept)

    def install(self) -> None:
        """Make the average the weights, for good."""
        self._put(list(self.tensors.values()))

    @torch.no_grad()
    def _put(self, tensors: list[torch.Tensor]) -> None:
        torch._foreach_copy_([parameter.detach() for parameter in self._parameters], tensors)
