"""Several processes: who they are, how the model is divided among them, how they agree.

Started by torchrun (torch elastic), which restarts the job when a process dies. The model is sharded by FSDP2
(`fully_shard`; Zhao et al., arXiv:2304.11277): each rank holds a part of every parameter, gradient and optimiser
state, and gathers a layer while it computes it.
"""

import os
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import nn

from slipway.errors import UserError
from slipway.model import ranks
from slipway.model.device import Device
from slipway.settings import Devices


def local_rank() -> int:
    """Number of this process on its machine."""
    return int(os.environ.get("LOCAL_RANK", "0"))


@dataclass(frozen=True)
class World:
    """This process among all; of size 1 without torchrun."""

    rank: int = 0
    size: int = 1
    mesh: Any = None
    writing: Any = None
    """Process group of the thread that writes checkpoints: two threads may not share one."""

    @property
    def first(self) -> bool:
        """The rank that speaks and writes reports."""
        return self.rank == 0

    def sums(self, values: list[float], device: torch.device) -> list[float]:
        """Each value summed over all ranks."""
        if self.size == 1:
            return values
        tensor = torch.tensor(values, dtype=torch.float64, device=device)
        dist.all_reduce(tensor)
        return [float(value) for value in tensor.tolist()]

    def told(self, value: Any) -> Any:
        """What the first rank says."""
        if self.size == 1:
            return value
        box = [value]
        dist.broadcast_object_list(box, src=0)
        return box[0]


def join(devices: Devices, device: Device) -> World:
    """Meet the other processes.

    Raises:
        UserError: if the recipe asks for several and this process stands alone, or for another number.
    """
    wanted = devices.count * devices.nodes
    if not ranks.inside():
        if wanted > 1:
            raise UserError(
                f"train.devices asks for {wanted} processes, and this is a single one; run `slipway build`, which "
                "starts them"
            )
        return World()
    backend = "cpu:gloo,cuda:nccl" if device.on_gpu else "gloo"
    if not dist.is_initialized():
        dist.init_process_group(backend)
    size = dist.get_world_size()
    if size != wanted:
        raise UserError(f"train.devices asks for {wanted} processes, and the launcher started {size}; make them equal")
    mesh = dist.init_device_mesh(device.place.type, (size,))
    return World(dist.get_rank(), size, mesh, dist.new_group(backend="gloo"))


def leave(world: World) -> None:
    """Part from the others."""
    if world.size > 1 and dist.is_initialized():
        dist.destroy_process_group()


def layers(model: nn.Module) -> list[nn.Module]:
    """The repeated blocks of a model: its longest list of modules."""
    lists = [list(module) for module in model.modules() if isinstance(module, nn.ModuleList)]
    return max(lists, key=len, default=[])


def shard(learner: nn.Module, world: World, device: Device) -> None:
    """Divide the parameters among the ranks, layer by layer."""
    if world.size == 1:
        return
    from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard

    half = device.dtype if device.dtype != torch.float32 else None
    # Sums of gradients stay float32.
    policy = MixedPrecisionPolicy(param_dtype=half, reduce_dtype=torch.float32 if half else None)
    for layer in layers(learner):
        fully_shard(layer, mesh=world.mesh, mp_policy=policy)
    whole = fully_shard(learner, mesh=world.mesh, mp_policy=policy)
    # A rank whose part holds no answers does not use the head; what is summed must be the same on all.
    whole.set_reduce_scatter_unused_params(True)
