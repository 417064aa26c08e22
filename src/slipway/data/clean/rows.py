"""Rows between the steps of cleaning: a document, and a document that was turned away."""

from typing import NamedTuple


class Row(NamedTuple):
    """A document, as in `data/raw/documents.parquet`."""

    id: str
    text: str
    source: str
    group: str
    licence: str | None
    signature: str | None


class Reject(NamedTuple):
    """A document that was turned away, as in `data/rejects/rejects.parquet`."""

    id: str
    stage: str
    """Step of cleaning: licence, length, personal data or duplicates."""
    reason: str
    """Short and countable; `detail` holds what is special to this row."""
    detail: str
    collided_with: str | None
    """Id of the kept document that this one repeats."""
    text: str


def reject(row: Row, stage: str, reason: str, detail: str, collided_with: str | None = None) -> Reject:
    """The reject that `row` becomes."""
    return Reject(row.id, stage, reason, detail, collided_with, row.text)
