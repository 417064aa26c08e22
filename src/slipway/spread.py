"""One function over many shards: the promise between rooms, which say what, and engines, which say where.

A room takes a `Spread` and never knows whether its function runs here, in a pool of processes or on a
cluster. In return its functions keep three rules, so that a lost worker costs a repetition and nothing else:
they stand at the top of a module and take and return small values that pickle; they write files atomically
and name them by the item; equal items give equal bytes.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class Spread(Protocol):
    """Applies a function to every item; results come in the order of the items."""

    def __call__(self, function: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[Result]:
        """Raises the first error (in the order of the items) that the function raised, after stopping the rest."""


def here(function: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[Result]:
    """The `Spread` that runs in this process, one item after the other."""
    return map(function, items)
