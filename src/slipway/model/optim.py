"""Optimisers and learning-rate schedules; neither keeps a state that is not in the checkpoint.

Muon moves each hidden matrix along its orthogonalised momentum (Jordan et al. 2024,
https://kellerjordan.github.io/posts/muon/; scaling as there). `torch.optim.Muon` orthogonalises in bfloat16,
which many CPUs emulate at a twelfth of the speed, one matrix at a time; this one takes float32 on a CPU and
all matrices of one shape at once. Embeddings, norms, biases and the output head are AdamW's.
"""

import math
from collections import defaultdict
from typing import Any

import torch
from torch import nn
from torch.distributed.tensor import DTensor, distribute_tensor

from slipway.settings import Train

MOMENTUM = 0.95
NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
"""Coefficients of the quintic iteration, chosen there for the steepest slope at zero."""


def schedule(settings: Train, step: int) -> float:
    """Share of the peak learning rate at `step` (from 1).

    `wsd`: rise, plateau, linear fall towards 0 (Hu et al., arXiv:2404.06395). `cosine`: rise, then half a cosine down
    to the floor (Loshchilov and Hutter, arXiv:1608.03983).
    """
    rise = max(1, round(settings.warmup_share * settings.steps))
    if settings.schedule == "cosine":
        done = max(0, step - rise) / max(1, settings.steps - rise)
        floor = settings.floor_share
        return min(step / rise, floor + (1 - floor) * (1 + math.cos(math.pi * done)) / 2)
    fall = max(1, round(settings.decay_share * settings.steps))
    return min(1.0, step / rise, (settings.steps - step + 1) / (fall + 1))


@torch.no_grad()
def orthogonalise(matrices: torch.Tensor) -> torch.Tensor:
    """Move the singular values of each matrix, shape (n, rows, columns), close to 1; rows ≤ columns is cheaper."""
    a, b, c = NEWTON_SCHULZ
    x = matrices.to(torch.bfloat16 if matrices.is_cuda else torch.float32)
    x = x / x.norm(dim=(1, 2), keepdim=True).clamp(min=1e-7)
    for _ in range(5):
        gram = torch.bmm(x, x.mT)
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.to(matrices.dtype)


def _whole(update: torch.Tensor) -> torch.Tensor:
    """The matrix of which a rank holds a part: its singular values are those of the whole."""
    return update.full_tensor() if isinstance(update, DTensor) else update


def _part(whole: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """What `like`'s rank holds of a matrix that every rank has."""
    if not isinstance(like, DTensor):
        return whole
    return distribute_tensor(whole.contiguous(), like.device_mesh, like.placements, src_data_rank=None)


class Muon(torch.optim.Optimizer):
    """Muon with Nesterov momentum for two-dimensional parameters."""

    def __init__(self, params: list[nn.Parameter], lr: float, weight_decay: float) -> None:
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]  # noqa: ARG002
        for group in self.param_groups:
            alike: dict[tuple[int, int], list[tuple[nn.Parameter, torch.Tensor]]] = defaultdict(list)
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                momentum = self.state[parameter].setdefault("momentum", torch.zeros_like(parameter))
                momentum.lerp_(parameter.grad, 1 - MOMENTUM)
                update = _whole(parameter.grad.lerp(momentum, MOMENTUM))
                wide = update if update.shape[0] <= update.shape[1] else update.T
                alike[wide.shape[0], wide.shape[1]].append((parameter, wide))
            for same in alike.values():
                for (parameter, _), wide in zip(same, orthogonalise(torch.stack([w for _, w in same])), strict=True):
                    rows, columns = parameter.shape
                    parameter.mul_(1 - group["lr"] * group["weight_decay"])
                    update = _part(wide if rows <= columns else wide.T, parameter)
                    parameter.add_(update, alpha=-group["lr"] * max(1.0, rows / columns) ** 0.5)


class Optimisers:
    """The optimisers of a recipe behind one `step`, with a state of plain tensors."""

    def __init__(self, model: nn.Module, settings: Train) -> None:
        self._settings = settings
        outside = {id(p) for m in model.modules() if isinstance(m, nn.Embedding) for p in m.parameters()}
        head = model.get_output_embeddings()  # type: ignore[operator]
        outside |= {id(p) for p in head.parameters()} if isinstance(head, nn.Module) else set()
        self._names = {p: name for name, p in model.named_parameters() if p.requires_grad}
        parameters = list(self._names)
        hidden = [p for p in parameters if p.ndim == 2 and id(p) not in outside and settings.optimizer == "muon"]
        chosen = {id(p) for p in hidden}
        decay, plain = settings.weight_decay, [p for p in parameters if id(p) not in chosen]
        groups = [
            {"params": [p for p in plain if p.ndim >= 2], "weight_decay": decay},
            {"params": [p for p in plain if p.ndim < 2], "weight_decay": 0.0},
        ]
        self._parts: list[tuple[torch.optim.Optimizer, float]] = []
        if filled := [group for group in groups if group["params"]]:
            rate = settings.learning_rate
            self._parts.append((torch.optim.AdamW(filled, lr=rate, betas=(0.9, 0.95), eps=1e-10, fused=True), rate))
        if hidden:
            muon = Muon(hidden, settings.matrix_learning_rate, decay)
            self._parts.append((muon, settings.matrix_learning_rate))
        self._materialise()

    def _materialise(self) -> None:
        """Make every state now, so that the first checkpoint is as large as the last and loading has where to."""
        for optimiser, _ in self._parts:
            names = ("momentum",) if isinstance(optimiser, Muon) else ("exp_avg", "exp_avg_sq")
            for group in optimiser.param_groups:
                for parameter in group["params"]:
                    state = {name: torch.zeros_like(parameter, requires_grad=False) for name in names}
                    if not isinstance(optimiser, Muon):
                        state["step"] = torch.zeros((), dtype=torch.float32, device=parameter.device)
                    optimiser.state[parameter] = state

    def step(self, step: int) -> float:
        """Update the parameters with the learning rate of `step`; returns AdamW's rate."""
        share = schedule(self._settings, step)
        for optimiser, peak in self._parts:
            for group in optimiser.param_groups:
                group["lr"] = peak * share
            optimiser.step()
            optimiser.zero_grad()
        return self._settings.learning_rate * share

    def state(self) -> dict[str, torch.Tensor]:
        """Every tensor the optimisers remember, `<parameter>.<name>`; the very tensors, to be read or overwritten."""
        names: dict[Any, str] = self._names
        return {
            f"{names[parameter]}.{name}": tensor
            for optimiser, _ in self._parts
            for parameter, values in optimiser.state.items()
            for name, tensor in values.items()
        }
