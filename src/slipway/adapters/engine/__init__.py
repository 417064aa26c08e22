"""Where the functions over shards run: in this process, in a pool of processes, or on a Ray cluster.

    SLIPWAY_ENGINE   local (default) or ray
    SLIPWAY_WORKERS  processes of the local pool; default: the cores this process may use; 1 = in this process
    RAY_ADDRESS      the cluster; without it, ray starts on this machine alone

These are variables of the environment and not settings of the recipe, because they must not change a byte of what is
made; records and caches know nothing of them.

    >>> engine = choose()
    >>> list(engine(len, ["ab", "c"]))
    [2, 1]
    >>> engine.close()
"""

import os
from typing import Protocol

from slipway.errors import UserError
from slipway.spread import Spread


class Engine(Spread, Protocol):
    """A `Spread` that holds processes or a connection until it is closed."""

    def close(self) -> None:
        """End what was started; a later call starts it again."""


def choose() -> Engine:
    """The engine that the environment names; it starts nothing before there are two items to work on.

    Raises:
        UserError: an unknown engine, a number of workers that is none, or ray without its library.
    """
    name = os.environ.get("SLIPWAY_ENGINE") or "local"
    if name == "ray":
        from slipway.adapters.engine.cluster import Cluster

        return Cluster(os.environ.get("RAY_ADDRESS") or "local", _workers())
    if name == "local":
        from slipway.adapters.engine.pool import Pool

        return Pool(_workers())
    raise UserError(f"SLIPWAY_ENGINE={name}: there is no such engine; set it to local or ray")


def _workers() -> int:
    text = os.environ.get("SLIPWAY_WORKERS")
    if not text:
        # Containers and batch systems give a process fewer cores than the machine has.
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if not text.isdecimal() or int(text) < 1:
        raise UserError(f"SLIPWAY_WORKERS={text}: give the number of processes, 1 or more")
    return int(text)
