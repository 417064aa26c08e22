"""A Ray cluster: one task per item, repeated elsewhere when a worker or a node is lost.

Files are not sent: items name them, and every node must see them under the same absolute path, on a shared file
system. Every node has the same version of Slipway installed, which each task checks. Small results (under 100 kB)
outlive the node that made them, because Ray sends them back by value; larger ones are then made again.
"""

import os
import pickle
import socket
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from slipway import __version__
from slipway.adapters.engine.task import ATTEMPTS, limit_threads, lost, name_of, packed, unpacked, work
from slipway.errors import UserError
from slipway.spread import Item, Result

_AHEAD = 2  # tasks submitted per core of the cluster, so that a core finds its next one waiting
_SAME = "install the same slipway, with the same libraries, on every node"


class Cluster:
    """The cluster at `address`, or `local`: Ray on this machine with `workers` cores, ended by `close`."""

    def __init__(self, address: str, workers: int) -> None:
        self._address = address
        self._workers = workers
        # Read when the library is imported; Slipway reports to nobody.
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        try:
            import ray
        except ImportError as error:
            raise UserError("SLIPWAY_ENGINE=ray, but ray is not installed: pip install 'slipway[ray]'") from error
        self._ray: Any = ray

    def __call__(self, function: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[Result]:
        """See `Spread`."""
        if len(items) < 2:
            return map(function, items)
        return self._run(function, items)

    def close(self) -> None:
        """Leave the cluster; what other drivers do there goes on."""
        self._ray.shutdown()

    def _connect(self) -> None:
        if self._ray.is_initialized():
            return
        # The size of a cluster is its own affair; only a Ray of ours can be told.
        own = {"num_cpus": self._workers, "include_dashboard": False} if self._address == "local" else {}
        try:
            self._knock()
            self._ray.init(address=self._address, log_to_driver=False, logging_level="warning", **own)
        except (OSError, RuntimeError, ValueError) as error:
            raise UserError(
                f"no Ray cluster answers at RAY_ADDRESS={self._address} ({error}); start one with "
                "`ray start --head`, or unset RAY_ADDRESS to run on this machine"
            ) from error

    def _knock(self) -> None:
        # Ray itself waits for minutes where nobody listens.
        host, colon, port = self._address.rpartition("://")[2].rpartition(":")
        if colon and port.isdecimal():
            socket.create_connection((host, int(port)), timeout=10).close()

    def _run(self, function: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[Result]:
        self._connect()
        task = self._ray.remote(num_cpus=1, max_retries=ATTEMPTS - 1)(_task)
        done: dict[int, tuple[Any, Exception | None]] = {}
        pending: dict[Any, int] = {}
        begun, end = 0, len(items)
        try:
            for index in range(len(items)):
                while index not in done:
                    while begun < end and len(pending) < self._window():
                        pending[task.remote(packed(function, items[begun]), __version__)] = begun
                        begun += 1
                    for reference in self._ray.wait(list(pending))[0]:
                        number = pending.pop(reference)
                        done[number] = self._answer(reference, function, items[number])
                        if done[number][1] is not None:
                            # What comes after an error will not be asked for.
                            end = min(end, number)
                result, error = done.pop(index)
                if error is not None:
                    raise error
                yield result
        finally:
            for reference in pending:
                self._ray.cancel(reference, force=True)

    def _window(self) -> int:
        return max(2, int(_AHEAD * self._ray.cluster_resources().get("CPU", 1)))

    def _answer(
        self, reference: object, function: Callable[[Item], Result], item: Item
    ) -> tuple[Any, Exception | None]:
        """What a task that has ended returned, or the error for one whose worker or node was lost too often."""
        try:
            return unpacked(self._ray.get(reference))
        except self._ray.exceptions.RayTaskError as error:
            # What the function raises comes back as a value, so the task did not even get to it.
            reason = (str(error).strip().splitlines() or [""])[-1][:300]
            unfit = UserError(f"a node of the cluster cannot begin {name_of(function)} ({reason}); {_SAME}")
            unfit.__cause__ = error
            return None, unfit
        except self._ray.exceptions.RayError as error:
            failure = lost(function, item, f"{type(error).__name__}: {str(error).strip()[:300]}")
            failure.__cause__ = error
            return None, failure


def _task(payload: bytes, version: str) -> bytes:
    if version != __version__:
        import platform

        error = UserError(f"node {platform.node()} has slipway {__version__}, the one that asks has {version}; {_SAME}")
        return pickle.dumps((None, error))
    limit_threads()
    return work(payload)
