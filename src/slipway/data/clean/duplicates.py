"""Exact and near duplicates: of each set of copies, the one whose id sorts first stays."""

from collections.abc import Sequence

import numpy as np

from slipway.data.clean.rows import Reject, Row, reject
from slipway.data.clean.similar import fingerprint


def exact(rows: Sequence[Row]) -> tuple[list[Row], list[Reject]]:
    """Split rows, sorted by id, into first occurrences and copies (equal but for case and white space)."""
    first: dict[bytes, str] = {}
    kept, rejects = [], []
    for row in rows:
        original = first.setdefault(fingerprint(row.text), row.id)
        if original == row.id:
            kept.append(row)
        else:
            rejects.append(reject(row, "duplicates", "exact duplicate", "equal but for case and white space", original))
    return kept, rejects


def near(
    rows: Sequence[Row], pairs: np.ndarray, similarity: np.ndarray, least: float
) -> tuple[np.ndarray, list[Reject]]:
    """Go through rows in order; turn away each that is at least `least` similar to one already kept.

    Returns: a mask of the rows kept, and the rejects, each naming the most similar kept document.
    """
    keep = np.ones(len(rows), bool)
    rejects = []
    strong = similarity >= least
    pairs, similarity = pairs[strong], similarity[strong]
    for index in np.lexsort((pairs[:, 0], -similarity, pairs[:, 1])):
        (earlier, later), value = pairs[index], similarity[index]
        if keep[earlier] and keep[later]:
            keep[later] = False
            detail = f"Jaccard {value:.3f} of word 5-shingles"
            rejects.append(reject(rows[later], "duplicates", "near duplicate", detail, rows[earlier].id))
    return keep, rejects
