"""The item table: what a model made of every single item, as parquet. `evaluate` writes it, the gate compares two.

A task's figure is sum(value) / sum(weight) over its rows: 1 or 0 over 1 for a right or wrong answer, bits over bytes
for bits per byte. So two models are compared item by item whatever the task is. No text is in the table.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

NAME = "evaluate_items.parquet"
"""In `reports/`, and in `records/` of a bundle."""


@dataclass(frozen=True, slots=True)
class Item:
    """One item of one task, as one model answered it."""

    task: str
    model: str
    """`model` or `base`."""
    item: str
    """Id, unique within the task."""
    family: str
    """Items of one family resemble each other and count as one piece of evidence."""
    prompt_sha256: str
    """Of the prompt's tokens as decimal numbers joined by spaces; of a whole document's where it has no prompt."""
    value: float
    weight: float
    seed: int | None = None
    """Of a sampled generation; such an item has a row per seed."""
    scores: tuple[float, ...] = ()
    """Log-likelihood of every choice, in nats, as the task scores it; empty if there are none."""
    right: int | None = None
    picked: int | None = None


def schema() -> "pa.Schema":
    """Columns of the table."""
    import pyarrow as pa

    return pa.schema(
        [
            *((name, pa.string()) for name in ("task", "model", "item", "family", "prompt_sha256")),
            ("value", pa.float64()),
            ("weight", pa.float64()),
            ("seed", pa.int64()),
            ("scores", pa.list_(pa.float64())),
            ("right", pa.int32()),
            ("picked", pa.int32()),
        ]
    )


def write(items: Iterable[Item], path: Path) -> None:
    """Write the table; equal items in equal order give equal bytes."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist([asdict(item) for item in items], schema=schema()), path)
