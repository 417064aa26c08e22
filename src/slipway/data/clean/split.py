"""A split without leakage: documents that belong together never straddle it.

Two documents belong together if they are in one group (module, file, conversation) or similar, directly or
through others; such a connected set is a family. Families are put into an order by a hash of seed and name
and handed out: first to test, then to validation, each taking a family only if it is not larger (in
characters) than what the split still needs; the rest is training. So a split is never larger than its share,
and falls short of it by less than the smallest family left.
"""

import hashlib
import math
from collections import Counter
from collections.abc import Sequence

import numpy as np

from slipway.data.clean.rows import Row
from slipway.errors import UserError


def families(rows: Sequence[Row], pairs: np.ndarray) -> list[str]:
    """The family of each row, named by the smallest id in it."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    first_of_group: dict[str, int] = {}
    to_first = [(first_of_group.setdefault(row.group, index), index) for index, row in enumerate(rows)]
    edges = np.concatenate([np.array(to_first, np.int64).reshape(-1, 2), pairs])
    shape = (len(rows), len(rows))
    graph = coo_array((np.ones(len(edges), np.int8), (edges[:, 0], edges[:, 1])), shape=shape)
    _, labels = connected_components(graph, directed=False)
    names: dict[int, str] = {}
    for label, row in zip(labels.tolist(), rows, strict=True):
        names[label] = min(names.get(label, row.id), row.id)
    return [names[label] for label in labels.tolist()]


def order_key(seed: int, name: str) -> bytes:
    """A place in a random order that depends on seed and name alone."""
    return hashlib.sha256(f"{seed}/{name}".encode()).digest()


def assign(rows: Sequence[Row], family: Sequence[str], seed: int, test: float, validation: float) -> dict[str, str]:
    """Family -> `test`, `validation` or `train`; shares are of characters.

    Raises:
        UserError: if a split stays empty, with the number of documents that would do.
    """
    sizes: Counter[str] = Counter()
    for row, name in zip(rows, family, strict=True):
        sizes[name] += len(row.text)
    total = sizes.total()
    ordered = sorted(sizes, key=lambda name: order_key(seed, name))
    where = dict.fromkeys(ordered, "train")
    for split, share in (("test", test), ("validation", validation)):
        need = math.floor(share * total)
        for name in ordered:
            if where[name] == "train" and sizes[name] <= need:
                where[name] = split
                need -= sizes[name]
    for split, share in (("test", test), ("validation", validation), ("train", 1.0)):
        if split not in where.values():
            raise UserError(_too_few(split, share, len(rows), sizes, min(test, validation)))
    return where


def _too_few(split: str, share: float, documents: int, sizes: Counter[str], least_share: float) -> str:
    needed = max(3, math.ceil(1 / least_share) + 1)
    smallest = min(sizes.values(), default=0)
    return (
        f"nothing is left for the {split} split: {documents} clean documents form {len(sizes)} families "
        f"(same group, or similar text), the smallest of {smallest} characters, and {split} may take "
        f"{math.floor(share * sizes.total())} of {sizes.total()}. With these shares about {needed} families of equal "
        "size are needed: add documents, raise prepare.test_share and prepare.validation_share, or give a "
        "group_column with more values"
    )
