"""An exponential moving average of the weights, for validation and release (Polyak and Juditsky, 1992)."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import nn
from torch.distributed.tensor import DTensor


def _own(tensors: Iterable[torch.Tensor]) -> list[torch.Tensor]:
    """What this rank holds of each."""
    return [t.to_local() if isinstance(t, DTensor) else t.detach() for t in tensors]


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
        torch._foreach_lerp_(_own(self.tensors.values()), _own(self._parameters), 1 - decay)

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
        torch._foreach_copy_(_own(self._parameters), _own(tensors))
