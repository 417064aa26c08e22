"""Optimisers and the learning-rate schedule; neither keeps a state that is not in the checkpoint.

Muon moves each hidden matrix along its orthogonalised momentum (Jordan et al. 2024,
https://kellerjordan.github.io/posts/muon/; scaling as there). `torch.optim.Muon` orthogonalises in bfloat16,
which many CPUs emulate at a twelfth of the speed, one matrix at a time; this one takes float32 on a CPU and
all matrices of one shape at once. Embeddings, norms, biases and the output head are AdamW's.
"""

from collections import defaultdict
from typing import Any

import torch
from torch import nn

from slipway.settings import Train

MOMENTUM = 0.95
NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
"""Coefficients of the quintic iteration, chosen there for the steepest slope at zero."""


def schedule(settings: Train, step: int) -> float:
    """Share of the peak learning rate at `step` (from 1): rise, plateau, linear fall towards 0.

    Warm-up-stable-decay as in Hu et al., arXiv:2404.06395.
    """
    rise = max(1, round(settings.warmup_share * settings.steps))
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
                state = self.state[parameter]
                momentum = state.setdefault("momentum", torch.zeros_like(parameter))
                momentum.lerp_(parameter.grad, 1 - MOMENTUM)
                update = parameter.grad.lerp(momentum, MOMENTUM)
                wide = update if update.shape[0] <= update.shape[1] else update.T
                alike[wide.shape[0], wide.shape[1]].append((parameter, wide))
            for same in alike.values():
                for (parameter, _), wide in zip(same, orthogonalise(torch.stack([w for _, w in same])), strict=True):
                    rows, columns = parameter.shape
                    parameter.mul_(1 - group["lr"] * group["weight_decay"])
                    parameter.add_(
                        wide if rows <= columns else wide.T, alpha=-group["lr"] * max(1.0, rows / columns) ** 0.5
                    )


class Optimisers:
    """The optimisers of a recipe behind one `step`, with a state of plain tensors."""

    def __init__(self, model: nn.Module, settings: Train) -> None:
        self._settings = settings
        outside = {id(p) for m in model.modules() if isinstance(m, nn.Embedding) for p in m.parameters()}
        head = model.get_output_embeddings()  # type: ignore[operator]
        outside |= {id(p) for p in head.parameters()} if isinstance(head, nn.Module) else set()
        parameters = list(model.parameters())
        hidden = [p for p in parameters if p.ndim == 2 and id(p) not in outside and settings.optimizer == "muon"]
        chosen = {id(p) for p in hidden}
        decay, plain = settings.weight_decay, [p for p in parameters if id(p) not in chosen]
        groups = [
            {"params": [p for p in plain if p.ndim >= 2], "weight_decay": decay},
            {"params": [p for p in plain if p.ndim < 2], "weight_decay": 0.0},
        ]
        adamw = torch.optim.AdamW(groups, lr=settings.learning_rate, betas=(0.9, 0.95), eps=1e-10, fused=True)
        self._parts: list[tuple[torch.optim.Optimizer, float]] = [(adamw, settings.learning_rate)]
        if hidden:
            muon = Muon(hidden, settings.matrix_learning_rate, decay)
            self._parts.append((muon, settings.matrix_learning_rate))

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
        """Every tensor the optimisers remember, by a stable name."""
        return {
            f"{part}.{index}.{name}": tensor
            for part, (optimiser, _) in enumerate(self._parts)
            for index, values in optimiser.state_dict()["state"].items()
            for name, tensor in values.items()
        }

    def load(self, tensors: dict[str, torch.Tensor]) -> None:
        """Take back what `state` gave."""
        for part, (optimiser, _) in enumerate(self._parts):
            states: dict[int, dict[str, torch.Tensor]] = defaultdict(dict)
            for key, tensor in tensors.items():
                number, index, name = key.split(".", 2)
                if int(number) == part:
                    states[int(index)][name] = tensor
            optimiser.load_state_dict({"state": dict(states), "param_groups": optimiser.state_dict()["param_groups"]})
