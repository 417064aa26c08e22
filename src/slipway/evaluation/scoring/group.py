"""Several processes that score together: who they are, and how each learns what the others found.

Every process runs the same program on the same texts. Batches are dealt out in turn, and what comes of them is
gathered, so that all processes go on with the same numbers: those of one process alone. Results are few and lie in
main memory, on processors and on GPUs alike, so gloo carries them.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Group:
    """This process among all; of size 1 where it stands alone."""

    rank: int = 0
    size: int = 1

    def mine(self, batch: int) -> bool:
        """Whether this process computes batch number `batch`."""
        return batch % self.size == self.rank

    def gather(self, found: Mapping[int, Any]) -> dict[int, Any]:
        """Results by number of batch, of all processes."""
        if self.size == 1:
            return dict(found)
        import torch.distributed as dist

        parts: list[Any] = [None] * self.size
        dist.all_gather_object(parts, dict(found))
        return {batch: result for part in parts for batch, result in part.items()}


def join() -> Group:
    """Meet the other processes, if torchrun started this one."""
    import torch.distributed as dist

    if "TORCHELASTIC_RUN_ID" in os.environ and not dist.is_initialized():
        dist.init_process_group("gloo")
    return current()


def current() -> Group:
    """The group that this process has joined; none is a group of one."""
    import torch.distributed as dist

    if dist.is_available() and dist.is_initialized():
        return Group(dist.get_rank(), dist.get_world_size())
    return Group()


def leave() -> None:
    """Part from the others."""
    import torch.distributed as dist

    if dist.is_available() and dist.is_initialized():
        dist.destroy_process_group()
