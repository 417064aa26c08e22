"""Rows between the steps of cleaning: a document, and a document that was turned away."""

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import pyarrow as pa

STEPS = (
    *("licence", "length", "text", "personal data", "quality"),
    *("exact duplicates", "near duplicates", "split", "decontamination"),
)
"""In the order in which documents go through them; `boilerplate` is the part of quality that needs all documents."""


class Reject(NamedTuple):
    """A document that was turned away, as in `data/rejects/rejects-0000N.parquet`."""

    id: str
    stage: str
    """One of `STEPS`."""
    reason: str
    """Short and countable; `detail` holds what is special to this row."""
    detail: str
    collided_with: str | None
    """Id of the document that this one repeats or resembles, or `<set>/<item>` of what it contaminates."""
    text: str


def reject_schema() -> "pa.Schema":
    """The columns of the rejects."""
    import pyarrow as pa

    return pa.schema([pa.field(name, pa.string()) for name in Reject._fields])
