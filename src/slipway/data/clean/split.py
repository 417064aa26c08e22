"""A split that is stable as data grows: a group's side is a hash of seed and group against the shares.

Nothing else enters, so a document never changes sides when others come or go. The price is that shares are
of groups and hold on average only. Leakage is prevented afterwards: a training document that is too similar
to a held-out one is turned away, and a validation document too similar to a test document; see `prepare`.
"""

import hashlib
import math
from collections.abc import Sequence

import numpy as np

from slipway.errors import UserError

SPLITS = ("train", "validation", "test")
TRAIN, VALIDATION, TEST = range(3)


def place(seed: int, name: str) -> int:
    """A place in a random order that depends on seed and name alone: 64 bits."""
    return int.from_bytes(hashlib.blake2b(f"{seed}/{name}".encode("utf-8", "surrogatepass"), digest_size=8).digest())


def side(seed: int, group: str, test_share: float, validation_share: float) -> int:
    """TEST, VALIDATION or TRAIN: where every document of `group` belongs, for good."""
    draw = place(seed, f"side/{group}") / 2**64
    return TEST if draw < test_share else VALIDATION if draw < test_share + validation_share else TRAIN


def leaks(pairs: np.ndarray, jaccard: np.ndarray, sides: np.ndarray, rank: np.ndarray) -> list[tuple[int, int, float]]:
    """Documents to turn away, each with the held-out document it is most similar to, and how much.

    Args:
        pairs: documents at least as similar as allowed, int64 (pairs, 2).
        jaccard: of each pair.
        sides: of each document, by number.
        rank: place of each document in the order of the ids, which decides between held-out ones of equal index.

    A validation document goes if it is similar to a test document; a training document if it is similar to
    a held-out document that stays. Test documents always stay.
    """
    turned_away: list[tuple[int, int, float]] = []
    gone = np.zeros(len(sides), bool)
    for leaking, held_out in ((VALIDATION, (TEST,)), (TRAIN, (TEST, VALIDATION))):
        both = np.concatenate([pairs, pairs[:, ::-1]])
        of, to, value = both[:, 0], both[:, 1], np.concatenate([jaccard, jaccard])
        chosen = (sides[of] == leaking) & np.isin(sides[to], held_out) & ~gone[to]
        of, to, value = of[chosen], to[chosen], value[chosen]
        order = np.lexsort((rank[to], -value, of))
        of, first = np.unique(of[order], return_index=True)
        best = order[first]
        turned_away += zip(of.tolist(), to[best].tolist(), value[best].tolist(), strict=True)
        gone[of] = True
    return turned_away


def check_sides(counts: Sequence[int], groups: int, test_share: float, validation_share: float) -> None:
    """`counts`: documents left in train, validation and test.

    Raises:
        UserError: if a split is empty, with the number of groups that would do.
    """
    shares = (1 - test_share - validation_share, validation_share, test_share)
    for name, count, share in zip(SPLITS, counts, shares, strict=True):
        if not count:
            # So many that a split of the least share is empty once in a hundred recipes.
            needed = math.ceil(math.log(0.01) / math.log1p(-min(shares)))
            raise UserError(
                f"nothing is left for the {name} split: {sum(counts)} clean documents stand in {groups} groups "
                f"(module, file, conversation); a hash of seed and group gives {name} {share:.3g} of them. "
                f"With these shares about {needed} groups are needed: add documents, raise prepare.test_share and "
                "prepare.validation_share, or give a group_column with more values"
            )
